package card

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
)

var migrated = flag.Int("migrations", 60, "how many made cards, and twice as many changed ones, are migrated in every way")

// migration is one way of migrating cards.
type migration struct {
	name string
	do   func([]byte) (Migration, error)
}

var migrations = []migration{
	{"to 0.3.0", func(text []byte) (Migration, error) { return Migrate(text, V030) }},
	{"to 1.0", func(text []byte) (Migration, error) { return Migrate(text, V10) }},
	{"to both", MigrateHybrid},
}

// checkMigration holds a migration to what is promised of all: the patch makes the card, there is a step for each operation, the card is
// valid unless a decision is blocking, and there is nothing to do on it again.
func checkMigration(t *testing.T, way migration, text []byte) (Migration, bool) {
	t.Helper()
	m, err := way.do(text)
	if err != nil {
		if !errors.Is(err, ErrNotObject) && !errors.Is(err, ErrTarget) {
			t.Errorf("%s: %v", way.name, err)
		}
		return m, false
	}
	patch, err := jsonpatch.DecodePatch(m.Patch)
	if err != nil {
		t.Fatalf("%s: %v: %s", way.name, err, m.Patch)
	}
	if len(patch) != len(m.Steps) {
		t.Errorf("%s: %d operations and %d steps", way.name, len(patch), len(m.Steps))
	}
	for i, operation := range patch {
		path, _ := operation.Path()
		if s := m.Steps[i]; s.Operation != operation.Kind() || s.Pointer != path || s.Text == "" || s.Source == "" {
			t.Errorf("%s: the step %+v is not of the operation %s at %s", way.name, s, operation.Kind(), path)
		}
	}
	made, err := patch.Apply(text)
	if err != nil {
		t.Errorf("%s: %v\n%s\n%s", way.name, err, m.Patch, text)
		return m, false
	}
	if diff := cmp.Diff(exactly(t, made), exactly(t, m.Card)); diff != "" {
		t.Errorf("%s: the patch makes another card (-patch +card):\n%s", way.name, diff)
	}
	blocking := slices.ContainsFunc(m.Manual, func(d Decision) bool { return d.Blocking })
	valid := Validate(m.Card, Options{Version: m.To}).Valid
	if way.name == "to both" && m.From != V10 {
		valid = valid && Validate(m.Card, Options{Version: V030}).Valid
	}
	if valid == blocking {
		t.Errorf("%s: valid is %v, and what is left to decide %v\n%s", way.name, valid, m.Manual, text)
	}
	again, err := way.do(m.Card)
	if err != nil || string(again.Patch) != "[]" || !slices.Equal(exactlyText(t, again.Card), exactlyText(t, m.Card)) {
		t.Errorf("%s: there is something to do again: %v %s\n%s", way.name, err, again.Patch, text)
	}
	return m, true
}

// exactly decodes JSON without rounding numbers.
func exactly(t *testing.T, text []byte) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func exactlyText(t *testing.T, text []byte) []byte {
	t.Helper()
	made, err := json.Marshal(exactly(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestMigrateToBothForms(t *testing.T) {
	const old = `{"protocolVersion":"0.2.6","name":"A","description":"B","url":"https://a.example.org","version":"1","capabilities":{"stateTransitionHistory":true},
		"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"s","name":"S","description":"D","tags":["t"]}],
		"securitySchemes":{"a/b":{"type":"apiKey","in":"header","name":"X","x-n":1.50}},"security":[{"a/b":[]}],"supportsAuthenticatedExtendedCard":true}`
	for _, c := range []struct {
		way, patch, last string
	}{
		{"to 0.3.0", `[
			{"op":"replace","path":"/protocolVersion","value":"0.3.0"},
			{"op":"add","path":"/preferredTransport","value":"JSONRPC"}]`, `"preferredTransport": "JSONRPC"`},
		{"to 1.0", `[
			{"op":"add","path":"/supportedInterfaces","value":[{"url":"https://a.example.org","protocolBinding":"JSONRPC","protocolVersion":"1.0"}]},
			{"op":"add","path":"/capabilities/extendedAgentCard","value":true},
			{"op":"remove","path":"/supportsAuthenticatedExtendedCard"},
			{"op":"replace","path":"/securitySchemes/a~1b","value":{"apiKeySecurityScheme":{"location":"header","name":"X","x-n":1.50}}},
			{"op":"add","path":"/securityRequirements","value":[{"schemes":{"a/b":{"list":[]}}}]},
			{"op":"remove","path":"/security"},
			{"op":"remove","path":"/url"},
			{"op":"remove","path":"/protocolVersion"},
			{"op":"remove","path":"/capabilities/stateTransitionHistory"}]`, `"securityRequirements": [`},
		{"to both", `[
			{"op":"replace","path":"/protocolVersion","value":"0.3.0"},
			{"op":"add","path":"/preferredTransport","value":"JSONRPC"},
			{"op":"add","path":"/supportedInterfaces","value":[{"url":"https://a.example.org","protocolBinding":"JSONRPC","protocolVersion":"1.0"}]},
			{"op":"add","path":"/capabilities/extendedAgentCard","value":true},
			{"op":"add","path":"/securitySchemes/a~1b/apiKeySecurityScheme","value":{"location":"header","name":"X","x-n":1.50}},
			{"op":"add","path":"/securityRequirements","value":[{"schemes":{"a/b":{"list":[]}}}]}]`, `"securityRequirements": [`},
	} {
		way := migrations[slices.IndexFunc(migrations, func(m migration) bool { return m.name == c.way })]
		got, ok := checkMigration(t, way, []byte(old))
		if !ok {
			t.Fatal(c.way)
		}
		if diff := cmp.Diff(exactly(t, []byte(c.patch)), exactly(t, got.Patch)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.way, diff)
		}
		if got.From != V026 || !strings.Contains(string(got.Card), c.last) || !strings.HasPrefix(string(got.Card), "{\n  \"") ||
			!strings.HasSuffix(string(got.Card), "\n}\n") {
			t.Errorf("%s of %s:\n%s", c.way, got.From, got.Card)
		}
		if slices.ContainsFunc(got.Manual, func(d Decision) bool { return d.Blocking }) {
			t.Errorf("%s: %v", c.way, got.Manual)
		}
	}
}

func TestMigrateWhatAPersonMustDecide(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(map[string]any)
		way  string
		path string
		text string
	}{
		{"no skills", func(card map[string]any) { card["skills"] = []any{} }, "to 1.0", "skills", "skills"},
		{"no modes", func(card map[string]any) { card["defaultInputModes"] = []any{} }, "to both", "defaultInputModes", "defaultInputModes"},
		{"no tags", func(card map[string]any) { at(card, "skills", 1)["tags"] = []any{} }, "to 1.0", "skills[1].tags", "tags"},
		{"no flow", func(card map[string]any) { at(card, "securitySchemes", "login")["flows"] = map[string]any{} }, "to 1.0",
			"securitySchemes.login.oauth2SecurityScheme.flows", "authorizationCode"},
		{"no name", func(card map[string]any) { delete(card, "name") }, "to 0.3.0", "name", "required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			card := full(V030)
			c.do(card)
			way := migrations[slices.IndexFunc(migrations, func(m migration) bool { return m.name == c.way })]
			got, _ := checkMigration(t, way, marshal(t, card))
			var blocking []Decision
			for _, d := range got.Manual {
				if d.Blocking {
					blocking = append(blocking, d)
				}
			}
			if len(blocking) != 1 || blocking[0].Path != c.path || !strings.Contains(blocking[0].Text, c.text) {
				t.Errorf("%v", blocking)
			}
		})
	}
	t.Run("what is served, signed and of 0.1", func(t *testing.T) {
		card := full(V026)
		card["signatures"] = []any{map[string]any{"protected": "e30", "signature": "AA"}}
		card["authentication"] = map[string]any{"schemes": []any{"Bearer"}}
		delete(card, "securitySchemes")
		delete(card, "security")
		got, _ := checkMigration(t, migrations[1], marshal(t, card))
		var paths []string
		for _, d := range got.Manual {
			if paths = append(paths, d.Path); d.Blocking {
				t.Errorf("%+v", d)
			}
		}
		if diff := cmp.Diff([]string{"", "authentication", "supportedInterfaces", "signatures"}, paths); diff != "" {
			t.Error(diff)
		}
		if strings.Contains(string(got.Card), "signatures") {
			t.Error("a signature over another card is left")
		}
	})
}

func TestMigrateFails(t *testing.T) {
	for _, c := range []struct {
		text string
		to   Version
		want error
	}{
		{"", V10, ErrNotObject}, {"[]", V10, ErrNotObject}, {"{", V030, ErrNotObject}, {"{}", V026, ErrTarget}, {"{}", "", ErrTarget}, {"{}",
			"2.0", ErrTarget},
		{`{"supportedInterfaces":[]}`, V030, ErrTarget}, {`{}`, "1.0.0", nil}, {`{}`, "0.3", nil},
	} {
		if _, err := Migrate([]byte(c.text), c.to); !errors.Is(err, c.want) {
			t.Errorf("%q to %q: %v", c.text, c.to, err)
		}
	}
}

// A card of 1.0 that has remains of 0.3 is rid of them.
func TestMigrateMendsCardsOf10(t *testing.T) {
	card := full(V10)
	card["security"] = []any{map[string]any{"key": []any{}}}
	card["securityRequirements"] = []any{map[string]any{"key": []any{}}, map[string]any{},
		map[string]any{"schemes": map[string]any{"key": []any{}, "login": map[string]any{"list": []any{"read"}}}}}
	at(card, "skills", 1)["security"] = []any{map[string]any{"login": []any{"read"}}}
	at(card, "securitySchemes")["old"] = map[string]any{"type": "http", "scheme": "bearer"}
	at(card, "supportedInterfaces", 0)["transport"] = "JSONRPC"
	delete(at(card, "supportedInterfaces", 0), "protocolBinding")
	delete(at(card, "supportedInterfaces", 0), "protocolVersion")
	card["url"] = "https://harbour.example.org/old"
	card["supportsExtendedAgentCard"] = true
	at(card, "capabilities")["stateTransitionHistory"] = true
	got, _ := checkMigration(t, migrations[1], marshal(t, card))
	result := Validate(got.Card, Options{})
	if !result.Valid || len(result.Warnings) > 0 || result.Score != 100 || len(got.Manual) > 0 {
		t.Errorf("%v %v %v\n%s", result.Errors, result.Warnings, got.Manual, got.Card)
	}
	made := decoded(t, got.Card)
	last := at(made, "supportedInterfaces", 3)
	if last["url"] != "https://harbour.example.org/old" || last["protocolVersion"] != "0.3" {
		t.Errorf("%v", last)
	}
}

func TestMigrateLeavesGoodCardsAlone(t *testing.T) {
	for _, c := range []struct {
		v   Version
		way int
	}{{V030, 0}, {V10, 1}, {V10, 2}} {
		got, err := migrations[c.way].do(marshal(t, full(c.v)))
		if err != nil || string(got.Patch) != "[]" || len(got.Steps)+len(got.Manual) > 0 {
			t.Errorf("%s %s: %v %s %v", c.v, migrations[c.way].name, err, got.Patch, got.Manual)
		}
	}
}

// Whatever is valid before 1.0 says the same afterwards, and is valid; that some arrays are empty is all that can be in the way.
func TestMigrateKeepsWhatCardsSay(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for range *migrated {
		v := versions[random.IntN(len(versions)-1)]
		card := anyCard(random, v)
		text := marshal(t, card)
		if source := Validate(text, Options{Version: v}); !source.Valid {
			t.Fatalf("%v: %s", source.Errors, text)
		}
		for _, way := range migrations {
			if v < V025 && card["protocolVersion"] == nil {
				card["protocolVersion"] = string(v) // so that the card is taken for what it is
				text = marshal(t, card)
			}
			got, ok := checkMigration(t, way, text)
			if !ok {
				continue
			}
			for _, d := range got.Manual {
				if d.Blocking {
					t.Errorf("%s %s: %+v\n%s", v, way.name, d, text)
				}
			}
			if slices.ContainsFunc(got.Manual, func(d Decision) bool { return strings.Contains(d.Text, "combinations") }) {
				continue // some are left out, and a person is told
			}
			made := decoded(t, got.Card)
			want := meaning(card, false)
			forms := []bool{way.name != "to 0.3.0"}
			if way.name == "to both" {
				forms = append(forms, false)
			}
			for _, form := range forms {
				if diff := cmp.Diff(want, meaning(made, form)); diff != "" {
					t.Fatalf("%s %s: (-before +after)\n%s\n%s\n%s", v, way.name, diff, text, got.Card)
				}
			}
		}
	}
}

// anyCard makes a valid card of a version before 1.0.
func anyCard(r *rand.Rand, v Version) map[string]any {
	card := full(v)
	some := func() bool { return r.IntN(2) == 0 }
	for _, key := range []string{"provider", "documentationUrl", "iconUrl", "supportsAuthenticatedExtendedCard", "preferredTransport",
		"additionalInterfaces"} {
		if r.IntN(3) == 0 {
			delete(card, key)
		}
	}
	if some() && v >= V024 {
		card["preferredTransport"] = []string{"GRPC", "HTTP+JSON", "urn:example:pigeon"}[r.IntN(3)]
	}
	if some() && v >= V024 {
		card["additionalInterfaces"] = []any{map[string]any{"url": "https://x.example.org", "transport": "HTTP+JSON", "x-weight": r.IntN(9)},
			map[string]any{"url": "x:1", "transport": "GRPC"}}
	}
	flow := func() map[string]any {
		made := map[string]any{"authorizationUrl": "https://l.example.org/a", "tokenUrl": "https://l.example.org/t", "scopes": map[string]any{}}
		for _, scope := range []string{"read", "write", "öl"} {
			if some() {
				made["scopes"].(map[string]any)[scope] = fmt.Sprint("Scope ", r.IntN(100))
			}
		}
		return made
	}
	schemes := map[string]any{}
	for _, name := range []string{"one", "two/2", "three~", "one_password", ""} {
		switch r.IntN(6) {
		case 0:
			schemes[name] = map[string]any{"type": "apiKey", "in": "query", "name": "k", "description": "A key"}
		case 1:
			schemes[name] = map[string]any{"type": "http", "scheme": "Basic", "x-realm": map[string]any{"r": 1e3}}
		case 2:
			schemes[name] = map[string]any{"type": "openIdConnect", "openIdConnectUrl": "https://l.example.org"}
		case 3, 4:
			flows := map[string]any{}
			for len(flows) == 0 {
				for _, kind := range []string{"authorizationCode", "clientCredentials", "implicit", "password"} {
					if some() {
						flows[kind] = flow()
					}
				}
			}
			schemes[name] = map[string]any{"type": "oauth2", "flows": flows, "description": "OAuth"}
			if v == V030 && some() {
				at(schemes, name)["oauth2MetadataUrl"] = "https://l.example.org/m"
			}
		}
	}
	card["securitySchemes"] = schemes
	requirements := func() []any {
		list := []any{}
		for range r.IntN(3) {
			one := map[string]any{}
			for _, name := range slices.Sorted(maps.Keys(schemes)) {
				if some() {
					scopes := []any{}
					if at(schemes, name)["type"] == "oauth2" && some() {
						scopes = append(scopes, "read")
					}
					one[name] = scopes
				}
			}
			if r.IntN(4) == 0 {
				one["undeclared"] = []any{"x"}
			}
			list = append(list, one)
		}
		return list
	}
	if delete(card, "security"); some() {
		card["security"] = requirements()
	}
	if delete(at(card, "skills", 0), "security"); some() && v == V030 {
		at(card, "skills", 0)["security"] = requirements()
	}
	if some() {
		card["x-own"] = map[string]any{"a/b": []any{nil, 1.5, "~"}, "": true}
	}
	return card
}

// meaning tells what a card says in words that are the same for 0.3 and 1.0.
func meaning(card map[string]any, v10 bool) map[string]any {
	told := map[string]any{}
	for _, key := range []string{"name", "description", "version", "provider", "documentationUrl", "iconUrl", "defaultInputModes",
		"defaultOutputModes", "x-own"} {
		told[key] = card[key]
	}
	capabilities := map[string]any{}
	for key, value := range at(card, "capabilities") {
		if key != "stateTransitionHistory" && key != "extendedAgentCard" {
			capabilities[key] = value
		}
	}
	told["capabilities"] = capabilities
	told["extended"] = card["supportsAuthenticatedExtendedCard"]
	if v10 {
		told["extended"] = at(card, "capabilities")["extendedAgentCard"]
	}
	told["interfaces"] = interfacesOf(card, v10)
	known := map[string][]string{} // what a scheme's name stands for: one thing, or one for each flow
	var all []string
	for name, scheme := range at(card, "securitySchemes") {
		known[name] = schemesOf(scheme.(map[string]any), v10)
		all = append(all, known[name]...)
	}
	slices.Sort(all)
	told["schemes"] = slices.Compact(all)
	field := "security"
	if v10 {
		field = "securityRequirements"
	}
	told["security"] = requirementsOf(card[field], known, v10)
	var skills []any
	for _, s := range card["skills"].([]any) {
		skill := map[string]any{}
		for key, value := range s.(map[string]any) {
			if key != "security" && key != "securityRequirements" {
				skill[key] = value
			}
		}
		skill["required"] = requirementsOf(s.(map[string]any)[field], known, v10)
		skills = append(skills, skill)
	}
	told["skills"] = skills
	return told
}

func interfacesOf(card map[string]any, v10 bool) []string {
	var all []string
	tell := func(of map[string]any, transport string) {
		if said := fmt.Sprint(of["url"], " ", transport, " ", of["x-weight"]); !slices.Contains(all, said) {
			all = append(all, said)
		}
	}
	if v10 {
		for _, i := range card["supportedInterfaces"].([]any) {
			tell(i.(map[string]any), i.(map[string]any)["protocolBinding"].(string))
		}
		return all
	}
	transport, _ := card["preferredTransport"].(string)
	if transport == "" {
		transport = "JSONRPC"
	}
	tell(map[string]any{"url": card["url"]}, transport)
	more, _ := card["additionalInterfaces"].([]any)
	for _, i := range more {
		tell(i.(map[string]any), i.(map[string]any)["transport"].(string))
	}
	return all
}

// schemesOf writes a scheme as text, one for each of its flows.
func schemesOf(scheme map[string]any, v10 bool) []string {
	kind, inside := fmt.Sprint(scheme["type"]), scheme
	if v10 {
		for key, value := range map[string]string{
			"apiKeySecurityScheme": "apiKey", "httpAuthSecurityScheme": "http", "oauth2SecurityScheme": "oauth2",
			"openIdConnectSecurityScheme": "openIdConnect",
			"mtlsSecurityScheme":          "mutualTLS",
		} {
			if of, ok := scheme[key].(map[string]any); ok {
				kind, inside = value, of
			}
		}
	}
	said := map[string]any{}
	for key, value := range inside {
		switch {
		case key == "type" || strings.HasSuffix(key, "SecurityScheme") || key == "flows":
		case key == "location":
			said["in"] = value
		default:
			said[key] = value
		}
	}
	flows, _ := inside["flows"].(map[string]any)
	if flows == nil {
		text, _ := json.Marshal(said)
		return []string{kind + string(text)}
	}
	var all []string
	for name, flow := range flows {
		said["flow"] = flow
		text, _ := json.Marshal(said)
		all = append(all, kind+name+string(text))
	}
	return all
}

// requirementsOf writes requirements as texts, one for each way to meet one.
func requirementsOf(list any, known map[string][]string, v10 bool) []string {
	if list == nil {
		return nil
	}
	all := []string{}
	for _, item := range list.([]any) {
		one := item.(map[string]any)
		if v10 {
			one = at(one, "schemes")
		}
		ways := [][]string{nil}
		for name, scopes := range one {
			if v10 {
				scopes = scopes.(map[string]any)["list"]
			}
			stands := known[name]
			var fit []string
			for _, s := range stands {
				offered := !strings.HasPrefix(s, "oauth2")
				for _, scope := range scopes.([]any) {
					offered = offered || strings.Contains(s, `"`+scope.(string)+`":`)
				}
				if offered || len(scopes.([]any)) == 0 {
					fit = append(fit, s)
				}
			}
			switch {
			case len(stands) == 0:
				fit = []string{"unknown " + name}
			case len(fit) == 0:
				fit = stands
			}
			var next [][]string
			for _, way := range ways {
				for _, f := range fit {
					next = append(next, append(slices.Clone(way), fmt.Sprint(f, scopes)))
				}
			}
			ways = next
		}
		for _, way := range ways {
			slices.Sort(way)
			all = append(all, strings.Join(way, " and "))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Cards with errors of all kinds are migrated as far as they can be read, and never make it panic.
func TestMigrateMutants(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	var cards []any
	for _, s := range samples(t) {
		var card any
		if json.Unmarshal(s.text, &card) == nil {
			cards = append(cards, card)
		}
		for _, way := range migrations {
			checkMigration(t, way, s.text)
		}
	}
	mutate := mutator{random, cards}
	for range 2 * *migrated {
		text, err := json.Marshal(mutate.mutant(cards[random.IntN(len(cards))]))
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range migrations {
			checkMigration(t, way, text)
			if t.Failed() {
				t.Fatalf("%s", text)
			}
		}
	}
}

// Requirements that could be met in very many ways do not blow up.
func TestMigrateManyFlows(t *testing.T) {
	card := full(V030)
	requirement := map[string]any{}
	flow := map[string]any{"authorizationUrl": "https://l.example.org/a", "tokenUrl": "https://l.example.org/t", "scopes": map[string]any{}}
	for i := range 40 {
		name := fmt.Sprint("scheme", i)
		at(card, "securitySchemes")[name] = map[string]any{"type": "oauth2", "flows": map[string]any{"implicit": flow, "password": flow}}
		requirement[name] = []any{}
	}
	card["security"] = []any{requirement}
	got, _ := checkMigration(t, migrations[1], marshal(t, card))
	if n := len(decoded(t, got.Card)["securityRequirements"].([]any)); n != 1 {
		t.Errorf("there are %d requirements", n)
	}
	if !slices.ContainsFunc(got.Manual, func(d Decision) bool { return d.Path == "securityRequirements" && !d.Blocking }) {
		t.Errorf("%v", got.Manual)
	}
}

func FuzzMigrate(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, way := range migrations {
			m, err := way.do(text)
			if err != nil {
				continue
			}
			if again, err := way.do(m.Card); err != nil || string(again.Patch) != "[]" {
				t.Errorf("%s: there is something to do again: %v %s", way.name, err, again.Patch)
			}
		}
	})
}
