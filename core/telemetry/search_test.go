package telemetry

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	e := Event{
		Type: "Task_Completed", Source: "scheduler", TraceID: "Trace-7",
		Payload: json.RawMessage(`{"job": "Daily\nReport", "user": {"id": 42, "name.first": "Ünal", "ok": true, "none": null}, ` +
			`"gen_ai.usage": {"input_tokens": 1.50}, "tags": ["a\u0062c", {"deep": -3e2}], "empty": "", "say": "he said \"hi\""}`),
	}
	for search, want := range map[string]bool{
		"": true, " ": true, "completed": true, "TASK": true, "sched": true, "trace-7": true, "report": true, "daily": true,
		"daily report": true, "report completed scheduler trace-7": true, "ünal": true, "ÜNAL": true, "abc": true, "42": true,
		"-3e2": true, "deep": true, "true": true, "input_tokens": true, `"hi"`: true, "1.50": true,
		"nowhere": false, "completed nowhere": false, "null": false, `"job"`: false, "schedulertrace": false, "},": false, "n:": false,
		`a\u0062c`: false, "dailyreport": false,
	} {
		m := Filter{Search: search}.Match()
		if got := m == nil || m(e); got != want {
			t.Errorf("search %q: %t", search, got)
		}
	}
	for _, c := range []struct {
		path, value string
		want        bool
	}{
		{"user.id", "42", true}, {"user.name.first", "Ünal", true}, {"gen_ai.usage.input_tokens", "1.50", true}, {"user.ok", "true", true},
		{"user.none", "null", true}, {"job", "Daily\nReport", true}, {"empty", "", true}, {"say", `he said "hi"`, true},
		{"user.id", "4", false}, {"user", "42", false}, {"id", "42", false}, {"user.id.x", "42", false}, {"user.", "42", false},
		{".user.id", "42", false}, {"user.name", "Ünal", false}, {"job", "daily\nreport", false}, {"tags", "abc", false},
		{"gen_ai.usage.input_tokens", "1.5", false}, {"", "", false}, {"tags.deep", "-3e2", false}, {"user.missing", "", false},
	} {
		if got := (Filter{Fields: map[string]string{c.path: c.value}}).Match()(e); got != c.want {
			t.Errorf("field %q = %q: %t", c.path, c.value, got)
		}
	}
	both := Filter{Search: "daily", Fields: map[string]string{"user.id": "42", "user.ok": "true"}}
	if !both.Match()(e) {
		t.Error("all of it does not match")
	}
	both.Fields["user.ok"] = "false"
	if both.Match()(e) {
		t.Error("one wrong field of two matches")
	}
	if (Filter{Search: "x"}).Match()(Event{}) || (Filter{Fields: map[string]string{"a": "null"}}).Match()(Event{}) {
		t.Error("an event without anything matches")
	}
	if (Filter{Type: "x"}).Match() != nil {
		t.Error("a filter without a search has something to match")
	}
}

func TestCheckSearch(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxField+1)
	for name, c := range map[string]struct {
		f  Filter
		ok bool
	}{
		"nothing":    {Filter{}, true},
		"whole":      {Filter{Search: strings.Repeat("ü", MaxSearch), Fields: map[string]string{"a": ""}}, true},
		"long":       {Filter{Search: strings.Repeat("ü", MaxSearch+1)}, false},
		"no path":    {Filter{Fields: map[string]string{"": "x"}}, false},
		"long path":  {Filter{Fields: map[string]string{long: "x"}}, false},
		"long value": {Filter{Fields: map[string]string{"x": long}}, false},
		"too many": {Filter{Fields: map[string]string{
			"a": "", "b": "", "c": "", "d": "", "e": "", "f": "", "g": "", "h": "", "i": "", "j": "", "k": "",
		}}, false},
	} {
		if err := c.f.CheckSearch(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzMatch compares the matcher with one that parses every payload as a whole, and hands it what is no JSON.
func FuzzMatch(f *testing.F) {
	f.Add(`{"a":{"b":"X y"},"c":[1,"\u00fc",true,null]}`, "x ü", "a.b", "X y")
	f.Add(`{"a\"b":1}`, `a"b`, "a", "1")
	f.Add(`{"a`, "a", "a", "")
	f.Fuzz(func(t *testing.T, payload, search, path, value string) {
		e := Event{Type: "type", Payload: json.RawMessage(payload)}
		got := true
		if m := (Filter{Search: search}).Match(); m != nil {
			got = m(e)
		}
		field := Filter{Fields: map[string]string{path: value}}.Match()(e)
		var doc map[string]any
		dec := json.NewDecoder(strings.NewReader(payload))
		dec.UseNumber()
		if !json.Valid([]byte(payload)) || dec.Decode(&doc) != nil || doc == nil || hasTwins(payload) {
			return
		}
		texts := append([]string{"type"}, allTexts(doc)...)
		want := true
		for w := range strings.FieldsSeq(strings.ToLower(search)) {
			want = want && slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), w) })
		}
		if got != want {
			t.Errorf("%s: search %q: %t", payload, search, got)
		}
		if want := slices.Contains(paths(doc), path+"="+value); field != want {
			t.Errorf("%s: field %q = %q: %t", payload, path, value, field)
		}
	})
}

// hasTwins reports whether parsing loses something of the document: of two members of one name, and of what is no UTF-8.
func hasTwins(doc string) bool {
	var v any
	dec := json.NewDecoder(strings.NewReader(doc))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return true
	}
	n := 0
	eachText([]byte(doc), func(string) bool { n++; return true })
	return n != len(allTexts(v)) || strings.ContainsRune(doc, '\ufffd') || strings.Contains(doc, `\u`)
}

func allTexts(v any) []string {
	switch v := v.(type) {
	case map[string]any:
		var out []string
		for k, sub := range v {
			out = append(append(out, k), allTexts(sub)...)
		}
		return out
	case []any:
		var out []string
		for _, sub := range v {
			out = append(out, allTexts(sub)...)
		}
		return out
	case string:
		return []string{v}
	case json.Number:
		return []string{v.String()}
	case bool:
		return []string{map[bool]string{true: "true", false: "false"}[v]}
	}
	return nil
}

// paths lists every member that is no object and no array as path=value.
func paths(v map[string]any) []string {
	var out []string
	for k, sub := range v {
		switch sub := sub.(type) {
		case map[string]any:
			for _, p := range paths(sub) {
				out = append(out, k+"."+p)
			}
		case []any:
		case nil:
			out = append(out, k+"=null")
		default:
			out = append(out, k+"="+allTexts(sub)[0])
		}
	}
	return out
}

func BenchmarkMatch(b *testing.B) {
	e := Event{Type: "task_completed", Source: "agent_core", Payload: json.RawMessage(`{"task":"summarize_meeting","text":"` +
		strings.Repeat("Lorem ipsum dolor sit amet. ", 30) + `","n":17}`)}
	for name, f := range map[string]Filter{
		"miss": {Search: "nowhere"}, "hit": {Search: "summarize LOREM"}, "field": {Fields: map[string]string{"n": "17"}},
	} {
		m := f.Match()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m(e)
			}
		})
	}
}
