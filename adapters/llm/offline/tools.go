package offline

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bureau-agents/bureau/ports/tool"
)

// toolView is what a tool looks like to the matcher.
type toolView struct {
	spec    tool.Spec
	schema  *jsonschema.Schema
	input   node
	name    []string        // its words
	verbs   map[string]bool // stems of the verbs that it is introduced by
	classes map[class]bool
	changes bool // does something outside that a question must not cause
	lookup  bool // finds or lists things

	nameStems, descStems, propStems map[string]bool
}

// node is the part of a JSON Schema that extraction looks at.
type node struct {
	name     string
	types    []string
	enum     []any
	constant any
	format   string
	pattern  string
	desc     string
	fallback any // "default"
	props    []node
	required map[string]bool
	items    *node
}

func (n node) is(typ string) bool { return slices.Contains(n.types, typ) }

// views holds the toolViews of recently offered tools: agents offer the same ones at every call.
type views struct {
	mu   sync.Mutex
	seen map[string]*toolView
}

// maxViews bounds the cache; it is emptied when it is full.
const maxViews = 1024

func (vs *views) of(v *vocabulary, specs []tool.Spec) []*toolView {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	var out []*toolView
	for _, spec := range specs {
		key := spec.Name + "\x00" + spec.Description + "\x00" + string(spec.InputSchema)
		view, ok := vs.seen[key]
		if !ok {
			if vs.seen == nil || len(vs.seen) >= maxViews {
				vs.seen = map[string]*toolView{}
			}
			view = newToolView(v, spec)
			vs.seen[key] = view
		}
		if view != nil {
			out = append(out, view)
		}
	}
	return out
}

// noLoader keeps schemas from naming files and addresses: they come from tenants and from other people's servers.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("offline: schemas are not loaded from elsewhere")
}

// newToolView returns nil for a tool whose schema is none, or takes too long.
func newToolView(v *vocabulary, spec tool.Spec) *toolView {
	raw := spec.InputSchema
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = json.RawMessage(`{"type":"object"}`)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	compiler.AssertFormat()
	if err := compiler.AddResource("tool.json", doc); err != nil {
		return nil
	}
	schema, err := compiler.Compile("tool.json")
	if err != nil {
		return nil
	}
	if (effort{}).of(schema, 0) > maxEffort {
		return nil
	}
	root, _ := doc.(map[string]any)
	left := maxLooked
	t := &toolView{
		spec: spec, schema: schema, input: newNode("", root, root, 0, &left), name: words(spec.Name), verbs: map[string]bool{},
		classes: map[class]bool{}, nameStems: map[string]bool{}, descStems: map[string]bool{}, propStems: map[string]bool{},
	}
	for _, w := range t.name {
		t.nameStems[stem(w)] = true
	}
	described := words(spec.Description)
	for _, w := range described {
		if !v.stop[w] {
			t.descStems[stem(w)] = true
		}
	}
	for _, p := range t.input.props {
		for _, w := range words(p.name) {
			t.propStems[stem(w)] = true
		}
	}
	t.learn(v, described)
	return t
}

// learn finds the verbs that introduce the tool: the first or last word of its name, and the first of its description.
func (t *toolView) learn(v *vocabulary, described []string) {
	add := func(w string) bool {
		classes := v.stems[stem(w)]
		for _, c := range classes {
			t.classes[c] = true
		}
		return len(classes) > 0
	}
	nameVerb := false
	for i, w := range t.name {
		if len(v.classes[w]) > 0 && (i == 0 || !nameVerb) {
			nameVerb = add(w) || nameVerb
			t.verbs[stem(w)] = true
		}
	}
	for i, w := range described {
		if i >= 8 {
			break
		}
		s := stem(w)
		if i == 0 && !v.stop[w] && (strings.HasSuffix(w, "s") || len(described) > 1 && v.determiners[described[1]]) {
			t.verbs[s] = true
		}
		if len(v.stems[s]) > 0 && (i == 0 || described[i-1] == "and" || described[i-1] == "or" || described[i-1] == "to") {
			add(w)
			t.verbs[s] = true
		} else if i == 0 {
			if c, ok := v.nominals[w]; ok {
				t.classes[c] = true
			}
		}
	}
	for _, w := range t.name {
		if c, ok := v.nominals[w]; ok {
			t.classes[c] = true
		}
	}
	// "Use it to read, open or download ...": more verbs for the same thing.
	for _, sentence := range strings.FieldsFunc(t.spec.Description, func(r rune) bool { return r == '.' || r == '\n' || r == ';' }) {
		ws := words(sentence)
		if len(ws) < 2 || ws[0] != "use" {
			continue
		}
		for _, w := range ws[1:] {
			if len(v.classes[w]) > 0 && !v.neutral[w] {
				add(w)
			}
		}
	}
	// An unknown verb in front of a name of several words ("reconcile_accounts") is one all the same.
	if len(t.name) > 1 && !nameVerb && !v.stop[t.name[0]] {
		t.verbs[stem(t.name[0])] = true
	}
	// What is sent or transferred is money where there is an amount, and a message elsewhere.
	if slices.ContainsFunc(t.input.props, func(p node) bool { return roleOf(p) == roleAmount }) {
		delete(t.classes, "send")
	} else {
		delete(t.classes, "pay")
	}
	t.lookup = t.classes["search"] || t.classes["list"] || t.classes["fetch"] || t.classes["check"]
	t.changes = t.acts(v, described)
}

// acts decides whether the tool changes something outside. In doubt it does: then only an order calls it.
func (t *toolView) acts(v *vocabulary, described []string) bool {
	reads, changes := false, false
	for i, w := range described {
		if i > 0 && described[i-1] != "and" && described[i-1] != "or" && described[i-1] != "to" {
			continue
		}
		r, c := v.effect(base(v, w))
		reads = reads || r && i == 0
		changes = changes || c
	}
	for _, w := range t.name {
		r, c := v.effect(w)
		if !r && !c {
			continue
		}
		// "order_status" is about an order and orders nothing.
		if c && v.nouns[w] && reads && !changes {
			continue
		}
		return c
	}
	for _, w := range append(slices.Clone(t.name), described[:min(1, len(described))]...) {
		if c, ok := v.nominals[w]; ok && v.changes[c] {
			return true
		}
	}
	var money, payee bool
	for _, p := range t.input.props {
		money = money || roleOf(p) == roleAmount
		payee = payee || roleOf(p) == roleRecipient
	}
	return changes || money && payee && !reads
}

// effect reports whether a verb in its base form only reads, or changes something. Verbs that may mean either do neither.
func (v *vocabulary) effect(verb string) (reads, changes bool) {
	classes := v.classes[verb]
	if v.neutral[verb] {
		return false, false
	}
	for _, c := range classes {
		if !v.lexicon.changes[c] && c != "use" {
			return true, false
		}
	}
	for _, c := range classes {
		changes = changes || v.lexicon.changes[c]
	}
	return false, changes
}

// base returns the base form of a verb in the third person, when the lexicon has it.
func base(v *vocabulary, w string) string {
	for _, form := range []string{w, strings.TrimSuffix(w, "s"), strings.TrimSuffix(w, "es"), strings.TrimSuffix(w, "ies") + "y"} {
		if len(v.classes[form]) > 0 {
			return form
		}
	}
	return w
}

// maxNodes bounds how deep schemas are looked into.
const maxNodes = 6

// newNode reads schema; left counts down how much of the tool's schema may still be read.
func newNode(name string, schema, root map[string]any, depth int, left *int) node {
	schema = follow(schema, root, 0)
	n := node{name: name, required: map[string]bool{}}
	if *left--; schema == nil || *left < 0 {
		return n
	}
	switch t := schema["type"].(type) {
	case string:
		n.types = []string{t}
	case []any:
		for _, e := range t {
			if s, ok := e.(string); ok && s != "null" {
				n.types = append(n.types, s)
			}
		}
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		branches, _ := schema[key].([]any)
		for _, b := range branches {
			branch, _ := b.(map[string]any)
			if branch == nil || branch["type"] == "null" || depth > maxNodes {
				continue
			}
			inner := newNode(name, branch, root, depth+1, left)
			if len(n.types) == 0 {
				n.types = inner.types
			}
			if n.enum == nil {
				n.enum = inner.enum
			}
			if n.format == "" {
				n.format = inner.format
			}
			if n.pattern == "" {
				n.pattern = inner.pattern
			}
			if key == "allOf" && len(inner.props) > 0 {
				n.props = append(n.props, inner.props...)
				for r := range inner.required {
					n.required[r] = true
				}
			}
		}
	}
	if enum, ok := schema["enum"].([]any); ok {
		n.enum = enum
	}
	n.constant = schema["const"]
	n.fallback = schema["default"]
	n.format, _ = orString(schema["format"], n.format)
	n.pattern, _ = orString(schema["pattern"], n.pattern)
	n.desc, _ = orString(schema["description"], "")
	if title, ok := schema["title"].(string); ok {
		n.desc = strings.TrimSpace(title + ". " + n.desc)
	}
	if len(n.types) == 0 {
		for _, e := range n.enum {
			if _, ok := e.(string); ok {
				n.types = []string{"string"}
			}
		}
	}
	if depth > maxNodes {
		return n
	}
	if items, ok := schema["items"].(map[string]any); ok {
		inner := newNode(name, items, root, depth+1, left)
		n.items = &inner
	}
	required, _ := schema["required"].([]any)
	var order []string
	for _, r := range required {
		if s, ok := r.(string); ok {
			n.required[s] = true
			order = append(order, s)
		}
	}
	props, _ := schema["properties"].(map[string]any)
	var rest []string
	for p := range props {
		if !n.required[p] {
			rest = append(rest, p)
		}
	}
	sort.Strings(rest)
	for _, p := range append(order, rest...) {
		inner, _ := props[p].(map[string]any)
		n.props = append(n.props, newNode(p, inner, root, depth+1, left))
	}
	if len(n.types) == 0 && len(n.props) > 0 {
		n.types = []string{"object"}
	}
	return n
}

func orString(value any, fallback string) (string, bool) {
	if s, ok := value.(string); ok {
		return s, true
	}
	return fallback, false
}

// follow resolves references inside the schema itself.
func follow(schema, root map[string]any, depth int) map[string]any {
	ref, ok := schema["$ref"].(string)
	if !ok || depth > maxNodes || !strings.HasPrefix(ref, "#/") {
		return schema
	}
	var at any = root
	for _, part := range strings.Split(ref[2:], "/") {
		m, _ := at.(map[string]any)
		at = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	target, _ := at.(map[string]any)
	return follow(target, root, depth+1)
}

// valid reports whether args are valid input of the tool, and the encoded form.
func (t *toolView) valid(args map[string]any) (json.RawMessage, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return raw, t.schema.Validate(doc)
}

// knowledge reports whether the tool searches what the agent was taught, and how surely: 0 is not at all.
func (t *toolView) knowledge() int {
	if !t.classes["search"] || t.changes {
		return 0
	}
	if p := t.queryProp(); p == "" {
		return 0
	}
	best := 0
	for rank, stems := range [][]string{{"memori", "note"}, {"document", "passag", "wiki", "faq", "handbook", "manual"}, {"knowledg"}} {
		for _, s := range stems {
			if t.nameStems[s] {
				best = max(best, 2*rank+2)
			} else if t.descStems[s] {
				best = max(best, 2*rank+1)
			}
		}
	}
	return best
}

// queryProp returns the property that takes a question, when the tool needs nothing else.
func (t *toolView) queryProp() string {
	found := ""
	for _, p := range t.input.props {
		if roleOf(p) == roleQuery && p.is("string") && found == "" {
			found = p.name
		}
	}
	for r := range t.input.required {
		if r != found {
			return ""
		}
	}
	return found
}
