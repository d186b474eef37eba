package httpx

import (
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// docsPage is what the template shows. The page has no script: it works offline and under a strict policy.
type docsPage struct {
	Title, Version string
	Description    template.HTML
	CSS            template.CSS
	JSON           string
	Groups         []docsGroup
	Schemas        []docsSchema
}

type docsGroup struct {
	Name        string
	Description template.HTML
	Operations  []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary string
	Description               template.HTML
	Example                   string // a curl command
	Parameters                []docsField
	Bodies                    []docsSchema // one of them
	Answers                   []docsAnswer
	Errors                    []string // statuses
	ErrorRef                  string
}

type docsAnswer struct{ Status, Description, Type, Ref string }

type docsSchema struct {
	Name, Type, Ref string
	Fields          []docsField
}

type docsField struct {
	Name, In, Type, Ref string
	Description         template.HTML
	Required            bool
}

// docsBuilder makes the page of a document.
type docsBuilder struct {
	prefix  string
	server  string // as examples call it
	schemas map[string]*huma.Schema
}

func newDocsPage(f *Face) docsPage {
	doc := f.api.OpenAPI()
	b := docsBuilder{prefix: f.cfg.Prefix, server: "$URL", schemas: doc.Components.Schemas.Map()}
	p := docsPage{
		Title: doc.Info.Title, Version: doc.Info.Version, Description: prose(doc.Info.Description),
		CSS:  template.CSS(docsCSS), //nolint:gosec // our own file
		JSON: f.cfg.Prefix + "/openapi.json",
	}
	byTag := make(map[string][]docsOperation)
	for path, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil && len(op.Tags) > 0 {
				byTag[op.Tags[0]] = append(byTag[op.Tags[0]], b.operation(f.cfg.Prefix+path, op))
			}
		}
	}
	for _, t := range doc.Tags {
		ops := byTag[t.Name]
		sort.Slice(ops, func(i, j int) bool {
			if ops[i].Path != ops[j].Path {
				return ops[i].Path < ops[j].Path
			}
			return ops[i].Method < ops[j].Method
		})
		if len(ops) > 0 {
			p.Groups = append(p.Groups, docsGroup{t.Name, prose(t.Description), ops})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.schemas)) {
		if !slices.Contains(unusedSchemas, name) {
			p.Schemas = append(p.Schemas, b.schema(name, b.schemas[name]))
		}
	}
	return p
}

func (b docsBuilder) operation(path string, op *huma.Operation) docsOperation {
	out := docsOperation{ID: op.OperationID, Method: op.Method, Path: path, Summary: op.Summary, Description: prose(op.Description)}
	for _, p := range op.Parameters {
		typ, ref := typeName(p.Schema)
		out.Parameters = append(out.Parameters, docsField{
			Name: p.Name, In: p.In, Type: typ, Ref: ref, Description: prose(p.Description), Required: p.Required,
		})
	}
	if op.RequestBody != nil {
		for _, contentType := range slices.Sorted(maps.Keys(op.RequestBody.Content)) {
			body := b.schema(contentType, op.RequestBody.Content[contentType].Schema)
			if body.Ref != "" { // what a caller sends stands where the call does
				body.Fields = b.schema("", b.schemas[body.Ref]).Fields
			}
			out.Bodies = append(out.Bodies, body)
		}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		a := docsAnswer{Status: status, Description: r.Description}
		for _, m := range r.Content {
			a.Type, a.Ref = typeName(m.Schema)
		}
		if status < "400" {
			out.Answers = append(out.Answers, a)
			continue
		}
		if out.ErrorRef = a.Ref; status != "default" {
			out.Errors = append(out.Errors, status)
		}
	}
	out.Example = b.example(path, op)
	return out
}

// example is a command that makes the call, with what the call cannot do without.
func (b docsBuilder) example(path string, op *huma.Operation) string {
	var cmd strings.Builder
	cmd.WriteString("curl -s")
	if r := op.Responses["200"]; r != nil && r.Content[ContentEvents] != nil {
		cmd.WriteByte('N') // shows events as they come
	}
	cmd.WriteByte(' ')
	if op.Method != http.MethodGet && (op.Method != http.MethodPost || op.RequestBody == nil) {
		cmd.WriteString("-X " + op.Method + " ")
	}
	var query []string
	for _, p := range op.Parameters {
		if p.In == "query" && p.Required {
			query = append(query, p.Name+"="+placeholder(p.Name))
		}
	}
	for _, p := range op.Parameters {
		if p.In == "path" {
			path = strings.Replace(path, "{"+p.Name+"}", placeholder(p.Name), 1)
		}
	}
	address := b.server + path
	if len(query) > 0 {
		address = `"` + address + "?" + strings.Join(query, "&") + `"`
	}
	cmd.WriteString(address)
	if len(op.Security) > 0 {
		cmd.WriteString(` -H "x-api-key: $KEY"`)
	}
	if op.RequestBody == nil {
		return cmd.String()
	}
	kinds := op.RequestBody.Content
	m := kinds[contentJSON]
	switch {
	case kinds["multipart/form-data"] != nil:
		return cmd.String() + " -F file=@FILE"
	case m == nil:
		for contentType := range kinds {
			cmd.WriteString(" -H 'content-type: " + contentType + "' --data-binary @FILE")
		}
		return cmd.String()
	}
	body := m.Example
	if body == nil {
		body = b.sample(m.Schema, 0)
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // it is made of maps, slices, texts and numbers
	}
	return cmd.String() + " -H 'content-type: application/json' \\\n  -d '" + strings.ReplaceAll(string(text), "'", `'\''`) + "'"
}

// placeholder is a variable of the shell that the reader sets.
func placeholder(name string) string { return "$" + strings.ToUpper(name) }

// maxSampleDepth keeps a sample of a schema that contains itself short.
const maxSampleDepth = 8

// sample makes a value that a schema describes: its example, or as little as it asks for.
func (b docsBuilder) sample(s *huma.Schema, depth int) any {
	switch {
	case s == nil || depth > maxSampleDepth:
		return nil
	case s.Ref != "":
		return b.sample(b.schemas[s.Ref[len(schemaPrefix):]], depth+1)
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Default != nil:
		return s.Default
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.OneOf) > 0:
		return b.sample(s.OneOf[0], depth+1)
	case len(s.AnyOf) > 0:
		return b.sample(s.AnyOf[0], depth+1)
	}
	switch s.Type {
	case huma.TypeObject:
		out := map[string]any{}
		for _, name := range s.Required {
			out[name] = b.sample(s.Properties[name], depth+1)
		}
		return out
	case huma.TypeArray:
		if s.MinItems != nil && *s.MinItems > 0 {
			return []any{b.sample(s.Items, depth+1)}
		}
		return []any{}
	case huma.TypeInteger, huma.TypeNumber:
		if s.Minimum != nil && *s.Minimum > 1 {
			return *s.Minimum
		}
		return 1
	case huma.TypeBoolean:
		return true
	case huma.TypeString:
		if s.Format == "date-time" {
			return "2026-01-31T12:00:00Z"
		}
		return "..."
	}
	return map[string]any{}
}

func (b docsBuilder) schema(name string, s *huma.Schema) docsSchema {
	typ, ref := typeName(s)
	out := docsSchema{Name: name, Type: typ, Ref: ref}
	if s == nil {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		typ, ref := typeName(p)
		out.Fields = append(out.Fields, docsField{
			Name: name, Type: typ, Ref: ref, Description: prose(p.Description), Required: slices.Contains(s.Required, name),
		})
	}
	// What must be given comes first.
	slices.SortStableFunc(out.Fields, func(a, b docsField) int {
		switch {
		case a.Required == b.Required:
			return 0
		case a.Required:
			return -1
		}
		return 1
	})
	return out
}

// prose shows the Markdown that descriptions use: paragraphs, which the style keeps, and `code`.
func prose(text string) template.HTML {
	var out strings.Builder
	for i, part := range strings.Split(text, "`") {
		if part = template.HTMLEscapeString(part); i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		out.WriteString(part)
	}
	return template.HTML(out.String()) //nolint:gosec // every part is escaped
}

// typeName describes a schema in a word or two, with the name of the schema that it refers to.
func typeName(s *huma.Schema) (typ, ref string) {
	switch {
	case s == nil:
		return "", ""
	case s.Ref != "":
		return "", s.Ref[len(schemaPrefix):]
	case s.Type == huma.TypeArray && s.Items != nil:
		typ, ref = typeName(s.Items)
		if ref == "" {
			return "array of " + typ, ""
		}
		return "array of", ref
	case s.Type == "":
		return "any", ""
	}
	typ = s.Type
	if s.Format != "" && s.Type == huma.TypeString { // of numbers it is their size in memory
		typ += " (" + s.Format + ")"
	}
	number := func(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		typ += ", " + number(*s.Minimum) + " to " + number(*s.Maximum)
	case s.Minimum != nil:
		typ += ", at least " + number(*s.Minimum)
	case s.Maximum != nil:
		typ += ", at most " + number(*s.Maximum)
	}
	for i, e := range s.Enum {
		if i == 0 {
			typ += ": "
		} else {
			typ += ", "
		}
		if text, ok := e.(string); ok {
			typ += text
		} else if n, ok := e.(float64); ok {
			typ += number(n)
		}
	}
	if s.Default != nil {
		typ += fmt.Sprintf("; default %v", s.Default)
	}
	return typ, ""
}
