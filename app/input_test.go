package app_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/core/agent"
)

// TestBadInput sends nonsense to every operation of the document: broken JSON, values of every wrong kind in every place of a good
// body, nonsense in every query parameter and for every id. The server never fails, answers in the envelope, and stores nothing.
func TestBadInput(t *testing.T) {
	t.Parallel()
	unraced(t)
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := startUnhosted(t, cfg)
		d := readDocument(t, s.Admin)
		w := newWorld(t, s, "fomalhaut")
		counted := countsOf(t, w)
		bodies := map[string][]variant{} // of each operation: both rounds send theirs
		each := func(what string, do func(*badInput)) {
			for _, op := range d.ops {
				t.Run(op.ID+what, func(t *testing.T) {
					api := w.api.In(t)
					if op.Scope == "operator" {
						api = s.Admin.In(t)
					}
					// What is merely big does not come as far as the database.
					b := &badInput{t: t, api: api, op: op, path: w.path(t, op), of: w, big: cfg.DatabaseURL == ""}
					if _, known := bodies[op.ID]; !known {
						bodies[op.ID] = b.variants(d)
					}
					b.bodies = bodies[op.ID]
					do(b)
				})
			}
		}
		each("", func(b *badInput) {
			if cfg.DatabaseURL == "" { // what is refused before a database is asked is refused for both
				b.brokenBodies()
				b.wrongValues()
			}
			b.badQueries()
			b.badIDs()
			now := countsOf(b.t, w)
			before := counted
			counted = now
			same(b.t, before, now)
		})
		each(" odd", func(b *badInput) { b.oddValues() }) // last, because odd messages begin turns, which go on by themselves
	})
}

// badInput abuses one operation.
type badInput struct {
	t    *testing.T
	api  *apptest.Client
	op   operation
	path string
	of   *world
	big  bool // sends megabytes, too
	// bodies are what it sends besides good ones.
	bodies []variant
}

// send calls the operation and checks what holds for every answer. It reports whether the call was refused.
func (b *badInput) send(what, path string, body any, headers ...string) (refused bool) {
	b.t.Helper()
	a := b.api.Do(b.op.Method, path, body, headers...)
	switch {
	case a.Status >= 500:
		b.t.Errorf("%s: %d %s", what, a.Status, short(a.Body))
		return true
	case a.Status >= 400:
		if !slices.Contains(b.op.Statuses, strconv.Itoa(a.Status)) {
			b.t.Errorf("%s: the status %d is not documented: %s", what, a.Status, short(a.Body))
		}
		if _, _, err := a.Error(); err != nil {
			b.t.Errorf("%s: %v: %s", what, err, short(a.Body))
		}
		if len(a.Body) > 100_000 {
			b.t.Errorf("%s: the refusal has %d bytes", what, len(a.Body))
		}
		return true
	}
	return false
}

func short(b []byte) string { return string(b[:min(len(b), 600)]) }

// countsOf are the lengths of all lists, for telling whether something was stored.
func countsOf(t *testing.T, w *world) map[string]int {
	t.Helper()
	api := w.api.In(t)
	n := map[string]int{}
	for _, list := range []string{
		"/v1/agents?archived=true", "/v1/agents/" + w.agent + "/versions", "/v1/agents/" + w.agent + "/skills",
		"/v1/agents/" + w.agent + "/wallet/transactions", "/v1/api_keys", "/v1/approvals", "/v1/audit",
		"/v1/environments?archived=true", "/v1/files", "/v1/evals", "/v1/knowledge?agent_id=" + w.agent,
		"/v1/policies", "/v1/memory_stores?archived=true", "/v1/memory_stores/" + w.store + "/entries", "/v1/memory_stores/" + w.store + "/memory_versions", "/v1/skills", "/v1/skills/" + w.skill + "/versions", "/v1/sessions?archived=true", "/v1/sessions/" + w.session + "/events", "/v1/sessions/" + w.session + "/resources", "/v1/sessions/" + w.session + "/threads",
		"/v1/integrations/slack/publications", "/v1/usage", "/v1/events", "/v1/agent_messages", "/v1/feedback",
		"/v1/budgets?include_archived=true", "/v1/agent_links", "/v1/skills/review", "/v1/webhooks",
		"/v1/agents/" + w.agent + "/chat/messages", "/v1/agents/" + w.agent + "/chat/sessions", "/v1/agents/" + w.agent + "/chat/peers",
		"/v1/agents/" + w.agent + "/documents/soul/versions", "/v1/agents/" + w.agent + "/documents/workflow/versions",
		"/v1/agents/" + w.agent + "/rules/" + plain["rule_name"] + "/versions", "/v1/swarms", "/v1/swarms/" + w.swarm + "/members",
		"/v1/swarms/" + w.swarm + "/agents", "/v1/agents/" + w.agent + "/secrets", "/v1/swarms/" + w.swarm + "/credentials",
		"/v1/card_reports", "/v1/cards", "/v1/model_cards", "/v1/vaults?archived=true", "/v1/vaults/" + w.vault + "/credentials?archived=true",
	} {
		n[list] = len(apptest.All[json.RawMessage](api, list))
	}
	return n
}

// brokenBodies sends what is no JSON, or no JSON that can be meant.
func (b *badInput) brokenBodies() {
	if b.op.Body != "application/json" {
		return
	}
	good, err := json.Marshal(b.of.body(b.t, b.op))
	if err != nil {
		b.t.Fatal(err)
	}
	members := strings.TrimSuffix(strings.TrimPrefix(string(good), "{"), "}")
	for what, body := range map[string]string{
		"cut off":              string(good[:len(good)-1]),
		"more after it":        string(good) + "{}",
		"a trailing comma":     "{" + members + ",}",
		"no quotes":            "{name: 1}",
		"bad UTF-8":            "{\"\xff\":1," + members + "}",
		"NUL":                  `{"x":"\u0000",` + members + "}",
		"a raw NUL":            "{\"x\":\"\x00\"," + members + "}",
		"every key twice":      "{" + members + "," + members + "}",
		"nested too deep":      strings.Repeat("[", 100_000),
		"nested deep":          `{"x":` + strings.Repeat(`{"x":`, 2000) + "1" + strings.Repeat("}", 2000) + "," + members + "}",
		"a bad number":         `{"x":01,` + members + "}",
		"NaN":                  `{"x":NaN,` + members + "}",
		"an array":             "[" + string(good) + "]",
		"a string":             strconv.Quote(string(good)),
		"null":                 "null",
		"a number":             "17",
		"blank":                " ",
		"another content type": "name=x&agent=y",
		"XML":                  "<agent/>",
	} {
		if !b.send(what, b.path, body) {
			b.t.Errorf("%s is accepted", what)
		}
	}
	if b.op.BodyRequired && !b.send("nothing", b.path, nil) {
		b.t.Error("no body is accepted")
	}
	if b.big && !b.send("17 MiB", b.path, seventeenMB) {
		b.t.Error("17 MiB are accepted")
	}
	b.send("multipart", b.path, "--x\r\n\r\n--x--", "Content-Type: multipart/form-data; boundary=x")
	b.send("multipart without a boundary", b.path, "--x\r\n\r\n--x--", "Content-Type: multipart/form-data")
}

// wrongs are values that hardly any place takes.
var wrongs = map[string]json.RawMessage{
	"null": json.RawMessage("null"), "true": json.RawMessage("true"), "minus one": json.RawMessage("-1"), "a fraction": json.RawMessage("1.5"),
	"2^63": json.RawMessage("9223372036854775808"), "a huge number": json.RawMessage("1e400"), "many digits": json.RawMessage(strings.Repeat("9", 400)),
	"an empty string": json.RawMessage(`""`), "a blank": json.RawMessage(`" "`), "NUL": json.RawMessage(`"a\u0000b"`),
	"half a character": json.RawMessage(`"\ud800"`), "controls": json.RawMessage(`"\u0001\u001b\u007f"`), "a number as text": json.RawMessage(`"1e9"`),
	"an empty list": json.RawMessage("[]"), "an empty object": json.RawMessage("{}"), "a list of lists": json.RawMessage("[[[]]]"),
	"a list of nulls": json.RawMessage("[null,null]"), "an object": json.RawMessage(`{"a":{"b":[1]},"__proto__":1}`),
	"nested deep": json.RawMessage(strings.Repeat("[", 600) + strings.Repeat("]", 600)),
}

// seventeenMB is a body over the limit, and fiveMB a text under it.
var (
	seventeenMB = []byte(`{"x":"` + strings.Repeat("x", 17<<20) + `"}`)
	fiveMB      = json.RawMessage(`"` + strings.Repeat("x", 5<<20) + `"`)
)

// variant is a good body with another value in one place.
type variant struct {
	what  string
	body  []byte
	valid bool // by the document's schema
}

// variants puts every wrong value into every place of a good body. Operations that are one under several methods, as changes are, take them
// in turn.
func (b *badInput) variants(d document) []variant {
	b.t.Helper()
	if b.op.Body != "application/json" {
		return nil
	}
	schema := d.bodySchema(b.t, b.op)
	raw, err := json.Marshal(b.of.body(b.t, b.op))
	if err != nil {
		b.t.Fatal(err)
	}
	var good any
	if err := json.Unmarshal(raw, &good); err != nil {
		b.t.Fatal(err)
	}
	turn, turns := d.turn(b.op)
	var all []variant
	n, big := 0, b.big
	for _, place := range places(good, nil) {
		values := maps.Clone(wrongs)
		if len(place) > 0 {
			values["nothing"] = nil
		}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			v := values[name]
			if n++; n%turns != turn {
				continue
			}
			body := replaced(good, place, v)
			all = append(all, variant{"/" + strings.Join(place, "/") + " = " + name, body, fits(schema, body)})
		}
		if _, text := at(good, place).(string); text && big {
			// The schema may allow it; its patterns would take their time to say so.
			all = append(all, variant{"/" + strings.Join(place, "/") + " = 5 MB", replaced(good, place, fiveMB), true})
			big = false // one is enough
		}
	}
	return all
}

// wrongValues sends the bodies that the document's schema refuses: the server must, too.
func (b *badInput) wrongValues() {
	for _, v := range b.bodies {
		if !v.valid && !b.send(v.what, b.path, v.body) {
			b.t.Errorf("%s is accepted against the schema", v.what)
		}
	}
}

// oddValues sends the bodies that the document's schema allows: they may be accepted or not, but must not fail.
func (b *badInput) oddValues() {
	for _, v := range b.bodies {
		if v.valid {
			b.send(v.what, b.path, v.body)
		}
	}
}

// fits reports whether a body is valid by its schema.
func fits(s *jsonschema.Schema, body []byte) bool {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	return err == nil && s.Validate(v) == nil
}

// places lists the path of every value in v, v itself included.
func places(v any, at []string) [][]string {
	all := [][]string{slices.Clone(at)}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, places(v[k], append(slices.Clone(at), k))...)
		}
	case []any:
		for i := range v {
			all = append(all, places(v[i], append(slices.Clone(at), strconv.Itoa(i)))...)
		}
	}
	return all
}

func at(v any, place []string) any {
	for _, step := range place {
		switch c := v.(type) {
		case map[string]any:
			v = c[step]
		case []any:
			i, _ := strconv.Atoi(step)
			v = c[i]
		}
	}
	return v
}

// replaced returns v as JSON with another value at a place; nil removes it.
func replaced(v any, place []string, with json.RawMessage) []byte {
	if len(place) == 0 {
		return with
	}
	sub := func(v any) json.RawMessage { return replaced(v, place[1:], with) }
	var out any
	switch c := v.(type) {
	case map[string]any:
		o := map[string]any{}
		maps.Copy(o, c)
		if o[place[0]] = sub(c[place[0]]); o[place[0]].(json.RawMessage) == nil {
			delete(o, place[0])
		}
		out = o
	case []any:
		i, _ := strconv.Atoi(place[0])
		l := slices.Clone(c)
		if r := sub(c[i]); r != nil {
			l[i] = r
		} else {
			l = slices.Delete(l, i, i+1)
		}
		out = l
	}
	b, err := json.Marshal(out)
	if err != nil { // it was JSON before, and so is what came in
		panic(err)
	}
	return b
}

// nonsense are texts that hardly any parameter takes, percent-encoded.
var nonsense = []string{
	"", "%00", "%ff", "%", "%zz", "-1", "0", "1.5", "1e9", "9223372036854775808", "null", "true", "%F0%9F%92%A9", "a%27%20OR%20%271%27%3D%271",
	"..%2F..%2Fetc%2Fpasswd", "%5B%5D", "%7B%7D", "2026-13-45", "0000-00-00T00:00:00Z", "+", "%20", strings.Repeat("x", 8000),
}

func (b *badInput) badQueries() {
	names := b.op.named("query")
	if len(names) == 0 || b.op.Stream && b.op.ID != "listSessionEvents" {
		return
	}
	for _, name := range names {
		for _, value := range nonsense {
			if name == "older_than_days" && value == "0" {
				continue // says that everything may go, and it does
			}
			pair := url.QueryEscape(name) + "=" + value
			b.send("?"+pair[:min(len(pair), 100)], b.path+"?"+pair, nil)
			b.send("? twice "+pair[:min(len(pair), 100)], b.path+"?"+pair+"&"+pair, nil)
		}
	}
}

func (b *badInput) badIDs() {
	params := b.op.named("path")
	if len(params) == 0 {
		return
	}
	body := b.of.body(b.t, b.op)
	for _, param := range params {
		for _, value := range slices.Concat(nonsense, []string{
			"agent_", "agent_00000000000000000000000000", "agent_zzzzzzzzzzzzzzzzzzzzzzzzzz", "00000000-0000-0000-0000-000000000000",
			"env_01h455vb4pex5vsknk084sn02q", "AGENT_01H455VB4PEX5VSKNK084SN02Q", "%2e%2e", ".", "a%2Fb",
		}) {
			if strings.Trim(value, "%.") == "" || value == "%zz" {
				continue // not a URL, or another one
			}
			path := b.op.at(func(name string) string {
				switch known, ok := b.of.ids()[name]; {
				case name == param:
					return value
				case ok:
					return known
				}
				return plain[name]
			})
			if name, err := url.PathUnescape(value); param == "rule_name" && err == nil {
				if _, err := agent.RulePath(name); err == nil && (b.op.Method == "PUT" || b.op.Method == "PATCH") {
					continue // makes a rule of this name
				}
				if !b.send(param+" = "+value[:min(len(value), 50)], path, body) {
					b.t.Errorf("%s = %.50q is accepted", param, value)
				}
				continue
			}
			a := b.api.Do(b.op.Method, path, body)
			if a.Status != 404 {
				b.t.Errorf("%s = %.50q: %d %s", param, value, a.Status, short(a.Body))
			} else if _, _, err := a.Error(); err != nil {
				b.t.Errorf("%s = %.50q: %v: %s", param, value, err, short(a.Body))
			}
		}
	}
}
