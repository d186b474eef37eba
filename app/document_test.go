package app_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bureau-agents/bureau/app/apptest"
)

// document is the OpenAPI document of a server, as far as tests read it.
type document struct {
	ops    []operation
	schema *jsonschema.Compiler
}

type operation struct {
	ID, Method, Path string // the path as it is called; the id of another face's operation begins with its name: "valta.spend"
	Scope            string // x-bureau-scope; "" needs none
	Public           bool
	Params           []parameter
	Body             string // content type; JSON where that is one of several, "" has none
	BodyRequired     bool
	Stream           bool // answers with events
	Statuses         []string
	schema           string // of the JSON body, in the document
}

type parameter struct{ Name, In string }

const documentURL = "https://bureau.example"

// faces are the documents of a server, by the name of the face.
var faces = map[string]struct {
	prefix string // of its paths
	least  int    // operations that it must have
}{
	"": {"", 250}, "valta": {valtaPrefix, 25}, "valar": {valarPrefix, 25}, "agento": {agentoPrefix, 13},
}

// readDocument reads the operations of a server, over all of its faces.
func readDocument(t *testing.T, c *apptest.Client) document {
	t.Helper()
	d := document{schema: jsonschema.NewCompiler()}
	d.schema.DefaultDraft(jsonschema.Draft2020)
	for name, face := range faces {
		before := len(d.ops)
		d.read(t, c, name, face.prefix)
		if len(d.ops) < before+face.least {
			t.Fatalf("the document at %s/openapi.json has %d operations", face.prefix, len(d.ops)-before)
		}
	}
	slices.SortFunc(d.ops, func(a, b operation) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	return d
}

// read adds the operations of one face.
func (d *document) read(t *testing.T, c *apptest.Client, name, prefix string) {
	t.Helper()
	url := documentURL + prefix + "/openapi.json"
	raw := c.Do("GET", prefix+"/openapi.json", nil).Body
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string                `json:"operationId"`
			Scope       string                `json:"x-bureau-scope"`
			Security    []map[string][]string `json:"security"`
			Parameters  []parameter
			RequestBody *struct {
				Required bool
				Content  map[string]any
			} `json:"requestBody"`
			Responses map[string]struct{ Content map[string]any }
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.schema.AddResource(url, tree); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths {
		for method, o := range item {
			op := operation{
				ID: o.OperationID, Method: strings.ToUpper(method), Path: prefix + path, Scope: o.Scope, Public: len(o.Security) == 0 || slices.ContainsFunc(o.Security, func(s map[string][]string) bool { return len(s) == 0 }), Params: o.Parameters,
			}
			if name != "" {
				op.ID = name + "." + op.ID
			}
			if o.RequestBody != nil {
				op.BodyRequired = o.RequestBody.Required
				for op.Body = range o.RequestBody.Content {
					if op.Body == "application/json" {
						break
					}
				}
				op.schema = strings.Join([]string{
					url + "#/paths", pointer(path), method, "requestBody/content", pointer(op.Body), "schema",
				}, "/")
			}
			for status, r := range o.Responses {
				op.Statuses = append(op.Statuses, status)
				_, events := r.Content["text/event-stream"]
				op.Stream = op.Stream || events
			}
			d.ops = append(d.ops, op)
		}
	}
}

// turn returns which of how many operations op is that are one under several methods: a change under PATCH, POST and PUT alike.
func (d document) turn(op operation) (turn, turns int) {
	for _, other := range d.ops {
		change := other.Method == "PATCH" || other.Method == "PUT" || other.Method == "POST"
		if other.Path != op.Path || !change {
			continue
		}
		if other.Method == op.Method {
			turn = turns
		}
		turns++
	}
	if turns < 3 {
		return 0, 1
	}
	return turn, turns
}

// pointer escapes a step of a JSON pointer in a URL.
func pointer(step string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "[", "%5B", "]", "%5D").Replace(step)
}

// bodySchema compiles the schema of an operation's body.
func (d document) bodySchema(t *testing.T, op operation) *jsonschema.Schema {
	t.Helper()
	s, err := d.schema.Compile(op.schema)
	if err != nil {
		t.Fatalf("%s: %v", op.ID, err)
	}
	return s
}

// named returns the operation's parameters in a place: "path" or "query".
func (o operation) named(in string) []string {
	var names []string
	for _, p := range o.Params {
		if p.In == in {
			names = append(names, p.Name)
		}
	}
	return names
}

// at returns the operation's address with the path parameters that value gives.
func (o operation) at(value func(param string) string) string {
	path := o.Path
	for _, name := range o.named("path") {
		path = strings.Replace(path, "{"+name+"}", value(name), 1)
	}
	return path
}
