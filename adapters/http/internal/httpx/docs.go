package httpx

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"maps"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.css
var docsCSS string

//go:embed docs.html.tmpl
var docsHTML string

// RegisterDocs serves the face's OpenAPI document at /openapi.json and a page made of it at /docs. Both routes must stand in
// Config.Public.
func (f *Face) RegisterDocs() {
	RegisterStream(f, Op{
		ID: "getOpenAPI", Method: http.MethodGet, Path: "/openapi.json", Summary: "The OpenAPI document", Hidden: true,
	}, func(context.Context, *struct{}) (Stream, error) {
		f.buildDocs()
		return func(w http.ResponseWriter, _ *http.Request) {
			callOf(w).send(http.StatusOK, contentJSON, f.docJSON)
		}, nil
	})
	RegisterStream(f, Op{
		ID: "getDocs", Method: http.MethodGet, Path: "/docs", Summary: "The API as a page", Hidden: true,
	}, func(context.Context, *struct{}) (Stream, error) {
		f.buildDocs()
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Security-Policy", f.docCSP)
			callOf(w).send(http.StatusOK, "text/html; charset=utf-8", f.docPage)
		}, nil
	})
}

// OpenAPI returns the document as JSON. Nothing may be registered afterwards.
func (f *Face) OpenAPI() []byte {
	f.buildDocs()
	return f.docJSON
}

func (f *Face) buildDocs() {
	f.docOnce.Do(func() {
		var buf bytes.Buffer
		f.docJSON = encodeDocument(f.api.OpenAPI())
		page := template.Must(template.New("docs").Parse(docsHTML))
		if err := page.Execute(&buf, newDocsPage(f)); err != nil {
			panic(err)
		}
		f.docPage = bytes.Clone(buf.Bytes())
		sum := sha256.Sum256([]byte(docsCSS))
		f.docCSP = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	})
}

// unusedSchemas are huma's own error types, which no answer here has.
var unusedSchemas = []string{"ErrorModel", "ErrorDetail"}

// encodeDocument writes the document, with what the face does beyond the schemas: an optional property of a body may be null, no
// text holds U+0000, integers have a size, and a pointer that is always written may be null.
func encodeDocument(doc *huma.OpenAPI) []byte {
	b, err := json.Marshal(doc)
	var tree map[string]any
	if err == nil {
		err = json.Unmarshal(b, &tree)
	}
	if err != nil {
		panic(err) // the schemas were checked when they were registered
	}
	components, _ := tree["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	for _, name := range unusedSchemas {
		delete(schemas, name)
	}
	for name, props := range nullable(doc.Components.Schemas) {
		schema, _ := schemas[name].(map[string]any)
		all, _ := schema["properties"].(map[string]any)
		for _, prop := range props {
			p, _ := all[prop].(map[string]any)
			if _, single := p["type"].(string); single || p["$ref"] != nil {
				all[prop] = orNull(p)
			}
		}
	}
	n := accepted{schemas: schemas, seen: make(map[string]bool)}
	paths, _ := tree["paths"].(map[string]any)
	addLinks(paths)
	for _, item := range paths {
		ops, _ := item.(map[string]any)
		for _, op := range ops {
			o, _ := op.(map[string]any)
			params, _ := o["parameters"].([]any)
			for _, param := range params {
				if p, ok := param.(map[string]any); ok && p["in"] == "query" {
					n.open(p["schema"])
				}
			}
			body, _ := o["requestBody"].(map[string]any)
			content, _ := body["content"].(map[string]any)
			for _, media := range content {
				if m, ok := media.(map[string]any); ok {
					n.open(m["schema"])
				}
			}
		}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

// addLinks says which operations take what an answer names: those below the address of a collection take the id of what was made or
// listed there. A list does not lead to deletions, so that whoever follows links by machine does not delete what others have made.
func addLinks(paths map[string]any) {
	for path, item := range paths {
		at := strings.LastIndexByte(path, '{')
		if at < 1 {
			continue
		}
		collection, rest := path[:at-1], path[at+1:]
		param, _, ok := strings.Cut(rest, "}")
		field := param
		if isID(param) {
			field = "id"
		}
		parent, _ := paths[collection].(map[string]any)
		ops, _ := item.(map[string]any)
		if !ok || parent == nil {
			continue
		}
		given := make(map[string]any)
		for _, outer := range strings.Split(collection, "{")[1:] {
			name, _, _ := strings.Cut(outer, "}")
			given[name] = "$request.path." + name
		}
		for method, op := range ops {
			o, _ := op.(map[string]any)
			for from, pointer := range map[string]string{"post": "/" + field, "get": "/data/0/" + field} {
				if from == "get" && method == "delete" {
					continue
				}
				link(parent[from], o["operationId"], given, param, pointer)
			}
		}
	}
}

// link adds a link to the successful JSON answers of an operation: to another, whose parameter is what a pointer finds in the answer. A list
// that is a bare array has no data.
func link(op, to any, given map[string]any, param, pointer string) {
	o, _ := op.(map[string]any)
	id, _ := to.(string)
	responses, _ := o["responses"].(map[string]any)
	for status, response := range responses {
		r, _ := response.(map[string]any)
		content, _ := r["content"].(map[string]any)
		if status[0] != '2' || content[contentJSON] == nil {
			continue
		}
		media, _ := content[contentJSON].(map[string]any)
		if schema, _ := media["schema"].(map[string]any); schema["type"] == huma.TypeArray {
			pointer = strings.TrimPrefix(pointer, "/data")
		}
		params := maps.Clone(given)
		params[param] = "$response.body#" + pointer
		links, _ := r["links"].(map[string]any)
		if links == nil {
			links = make(map[string]any)
			r["links"] = links
		}
		links[id] = map[string]any{"operationId": id, "parameters": params}
	}
}

// nullable lists the properties of each schema that its Go type always writes and that may be nil. huma says so of plain values only, not
// of objects and of types that make their own schema.
func nullable(reg huma.Registry) map[string][]string {
	found := make(map[string][]string)
	for name := range reg.Map() {
		t := reg.TypeFromRef(schemaPrefix + name)
		if t == nil || t.Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(t) {
			prop, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Type.Kind() == reflect.Pointer && f.Tag.Get("nullable") != "false" && prop != "" && prop != "-" && !strings.Contains(options, "omitempty") {
				found[name] = append(found[name], prop)
			}
		}
	}
	return found
}

// accepted completes the schemas of what callers send.
type accepted struct {
	schemas map[string]any
	seen    map[string]bool
}

const schemaPrefix = "#/components/schemas/"

func (n *accepted) open(schema any) {
	s, ok := schema.(map[string]any)
	if !ok {
		return
	}
	if ref, ok := s["$ref"].(string); ok {
		if !n.seen[ref] {
			n.seen[ref] = true
			n.open(n.schemas[strings.TrimPrefix(ref, schemaPrefix)])
		}
		return
	}
	if s["type"] == "string" && s["pattern"] == nil && s["enum"] == nil && s["format"] == nil {
		s["pattern"] = "^[^\\x00]*$"
	}
	if s["type"] == "integer" {
		bits := [2]int64{math.MinInt64, math.MaxInt64}
		if s["format"] == "int32" {
			bits = [2]int64{math.MinInt32, math.MaxInt32}
		}
		for i, key := range []string{"minimum", "maximum"} {
			if s[key] == nil {
				s[key] = bits[i]
			}
		}
	}
	required := make(map[any]bool)
	list, _ := s["required"].([]any)
	for _, name := range list {
		required[name] = true
	}
	props, _ := s["properties"].(map[string]any)
	for name, prop := range props {
		n.open(prop)
		if p, ok := prop.(map[string]any); ok && !required[name] {
			props[name] = orNull(p)
		}
	}
	n.open(s["items"])
	n.open(s["additionalProperties"])
	for _, key := range []string{"oneOf", "anyOf", "allOf"} {
		subs, _ := s[key].([]any)
		for _, sub := range subs {
			n.open(sub)
		}
	}
}

// NotNull is an extension of a schema that keeps an optional property of a body from being documented as nullable.
const NotNull = "x-not-null"

func orNull(s map[string]any) map[string]any {
	if s[NotNull] != nil {
		delete(s, NotNull)
		return s
	}
	null := map[string]any{"type": "null"}
	if alternatives, ok := s["anyOf"].([]any); ok {
		s["anyOf"] = append(alternatives, null)
		return s
	}
	if types, ok := s["type"].([]any); ok && slices.Contains(types, any("null")) {
		if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, nil) {
			s["enum"] = append(enum, nil)
		}
		return s
	}
	typ, ok := s["type"].(string)
	switch {
	case ok:
		s["type"] = []any{typ, "null"}
		if enum, ok := s["enum"].([]any); ok {
			s["enum"] = append(enum, nil)
		}
		return s
	case s["$ref"] != nil, s["oneOf"] != nil, s["allOf"] != nil:
		out := map[string]any{"anyOf": []any{s, null}}
		if d, ok := s["description"]; ok {
			delete(s, "description")
			out["description"] = d
		}
		return out
	}
	return s // any type, or null already
}
