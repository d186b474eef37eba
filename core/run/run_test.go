package run

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
)

// logOf makes the events of a log.
type logOf struct {
	t      *testing.T
	ids    id.Generator
	events []session.Event
}

func newLog(t *testing.T) *logOf { return &logOf{t: t, ids: id.NewGenerator(time.Now)} }

func (l *logOf) add(typ session.EventType, ref id.Event, body any) id.Event {
	l.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		l.t.Fatal(err)
	}
	e := session.Event{Seq: int64(len(l.events) + 1), ID: id.New[id.EventKind](l.ids), Type: typ, Ref: ref, Data: data}
	l.events = append(l.events, e)
	return e.ID
}

func (l *logOf) text(typ session.EventType, text string) {
	l.t.Helper()
	l.add(typ, id.Event{}, session.MessageBody{Content: session.Text(text)})
}

func (l *logOf) use(typ session.EventType, name string) id.Event {
	l.t.Helper()
	return l.add(typ, id.Event{}, session.ToolUseBody{Name: name, Input: json.RawMessage(`{}`)})
}

func (l *logOf) read() *conversation {
	l.t.Helper()
	c := &conversation{}
	for _, e := range l.events {
		if err := c.add(e); err != nil {
			l.t.Fatal(err)
		}
	}
	return c
}

func TestConversation(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	l.text(session.UserMessage, "one")
	l.add(session.AgentThinking, id.Event{}, session.ThinkingBody{Text: "hm", Blocks: []session.ThinkingBlock{{Text: "hm", Signature: "s"}}})
	l.text(session.AgentMessage, "let me see")
	a, b := l.use(session.AgentToolUse, "a"), l.use(session.AgentCustomToolUse, "b")
	l.add(session.AgentToolResult, a, session.ErrorResult("no"))
	l.text(session.SystemMessage, "be quick") // between two results: it must wait
	l.add(session.UserCustomToolResult, b, session.ToolResultBody{Content: []session.Block{
		{Type: session.BlockText, Text: "yes"},
		{Type: session.BlockImage, Source: &session.Source{Type: session.SourceURL, URL: "https://example.com/x.png"}},
	}})
	l.text(session.UserMessage, "two") // the turn was interrupted: no answer in between
	got := l.read().messages()
	want := []llm.Message{
		{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "one"}}},
		{Role: llm.RoleAssistant, Blocks: []llm.Block{
			{Thinking: &llm.Thinking{Text: "hm", Signature: "s"}}, {Text: "let me see"},
			{ToolUse: &llm.ToolUse{ID: a.String(), Name: "a", Input: json.RawMessage(`{}`)}},
			{ToolUse: &llm.ToolUse{ID: b.String(), Name: "b", Input: json.RawMessage(`{}`)}},
		}},
		{Role: llm.RoleUser, Blocks: []llm.Block{
			{ToolResult: &llm.ToolResult{ID: a.String(), Text: "no", IsError: true}},
			{ToolResult: &llm.ToolResult{ID: b.String(), Text: "yes\n[image]"}},
			{Text: "[system] be quick"},
			{Media: &llm.Media{MediaType: "image/*", URL: "https://example.com/x.png"}},
			{Text: "two"},
		}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := l.read().newest(); n != 1 {
		t.Errorf("%d blocks were said last", n)
	}
	if n := newLog(t).read().newest(); n != 0 {
		t.Errorf("%d blocks of nothing were said last", n)
	}
}

// TestConversationGrows has a request in flight keep what it was given while the conversation goes on.
func TestConversationGrows(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	l.text(session.UserMessage, "one")
	use := l.use(session.AgentToolUse, "a")
	other := l.use(session.AgentToolUse, "b")
	l.add(session.AgentToolResult, use, session.ErrorResult("x"))
	c := l.read()
	before := c.messages()
	was := len(before[2].Blocks)
	l.add(session.AgentToolResult, other, session.ErrorResult("y"))
	if err := c.add(l.events[len(l.events)-1]); err != nil {
		t.Fatal(err)
	}
	if len(before[2].Blocks) != was || len(c.messages()[2].Blocks) != was+1 {
		t.Error("a request has changed")
	}
}

func TestConversationTrims(t *testing.T) {
	t.Parallel()
	l := newLog(t)
	for range 20 {
		l.text(session.UserMessage, strings.Repeat("u", 60))
		l.text(session.AgentMessage, strings.Repeat("a", 60))
	}
	c := l.read()
	whole := c.bytes
	c.trim(whole)
	if len(c.exchanges) != 20 {
		t.Error("trimmed within the budget")
	}
	c.trim(whole / 2)
	if n := len(c.exchanges); n < 6 || n > 8 || c.bytes > whole/2 || c.messages()[0].Role != llm.RoleUser {
		t.Errorf("%d exchanges of %d bytes", n, c.bytes)
	}
	c.trim(1)
	if len(c.exchanges) != 1 {
		t.Error("the newest exchange is gone")
	}
}

func TestConversations(t *testing.T) {
	t.Parallel()
	ids := id.NewGenerator(time.Now)
	m := newConversations()
	var all []id.Session
	for i := range maxConversations + 2 {
		all = append(all, id.New[id.SessionKind](ids))
		m.put(all[i], &conversation{last: int64(i + 1)})
	}
	if got := m.take(all[0]).last; got != 0 {
		t.Errorf("the oldest is still there: %d", got)
	}
	if got := m.take(all[5]).last; got != 6 {
		t.Errorf("got %d", got)
	}
	if got := m.take(all[5]).last; got != 0 {
		t.Error("taken twice")
	}
	m.put(all[6], &conversation{bytes: maxConversationBytes})
	if len(m.byID) != 1 || m.take(all[6]).bytes == 0 {
		t.Errorf("%d remembered beside one that fills the memory", len(m.byID))
	}
	if m.bytes != 0 || m.order.Len() != 0 {
		t.Errorf("%d bytes of nothing", m.bytes)
	}
}

func TestPlainAmount(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"20.00"`: "20.00", `20`: "20", `20.50`: "20.50", `"$1,200"`: "1200", `"1,234,567.89"`: "1234567.89",
		`"12,50"`: "12,50", `"1,5"`: "1,5", `"1234,567"`: "1234,567", `"1,2345"`: "1,2345", `"1.234,56"`: "1.234,56", `",100"`: ",100",
		`"1,,000"`: "1,,000", `"1,000,00"`: "1,000,00", `" 7 "`: "7", `1e3`: "1e3", `null`: "", `{}`: "{}",
	} {
		if got := plainAmount(json.RawMessage(in)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	if got := cut("short", 10); got != "short" {
		t.Errorf("%q", got)
	}
	got := cut(strings.Repeat("ä", 10), 5)
	if !strings.HasPrefix(got, "ää\n[cut: 4 of 20 bytes") || !utf8.ValidString(got) {
		t.Errorf("%q", got)
	}
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	s := newSchemas()
	schema := json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer","minimum":1}},"required":["n"]}`)
	for in, bad := range map[string]string{`{"n":1}`: "", `{"n":"x"}`: "n", `{}`: "n", `[]`: "object", `{`: "JSON"} {
		got := s.check(schema, json.RawMessage(in))
		if (got == "") != (bad == "") || !strings.Contains(got, bad) {
			t.Errorf("%s: %q", in, got)
		}
	}
	for _, odd := range []string{``, `{"type":7}`, `{"$ref":"file:///etc/passwd"}`, `{"$ref":"https://example.com/s"}`} {
		if got := s.check(json.RawMessage(odd), json.RawMessage(`{"a":1}`)); got != "" {
			t.Errorf("%s: %q", odd, got)
		}
	}
	if got := s.check(paySpec(nil).InputSchema, json.RawMessage(`{"amount":20,"payee":"x"}`)); got != "" {
		t.Errorf("pay: %q", got)
	}
}

// TestSchemasThatTakeForever: a schema of two kilobytes can ask for 2^60 comparisons.
func TestSchemasThatTakeForever(t *testing.T) {
	t.Parallel()
	var doubling strings.Builder
	doubling.WriteString(`{"$ref":"#/$defs/a60","$defs":{"a0":{"type":"object"}`)
	for i := range 60 {
		fmt.Fprintf(&doubling, `,"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]}`, i+1, i, i)
	}
	doubling.WriteString(`}}`)
	deep := strings.Repeat(`{"a":`, 200) + `{}` + strings.Repeat(`}`, 200)
	s := newSchemas()
	for schema, inputs := range map[string]map[string]bool{ // whether the input is let through
		doubling.String(): {`{}`: true},
		`{"anyOf":[{"properties":{"a":{"$ref":"#"}},"required":["b"]},{"properties":{"a":{"$ref":"#"}},"required":["c"]}]}`: {deep: true, `{}`: false},
		`{"properties":{"a":{"$ref":"#"}},"required":["a"]}`:                                                                {deep: false, `{}`: false},
		`{"properties":{"a":{"items":{"$ref":"#"}}},"additionalProperties":false}`: {
			`{"a":[{"a":[{}]},{}]}`: true, `{"a":[{"a":[{"b":1}]}]}`: false,
		},
		`{"patternProperties":{"^x":{"type":"integer"}},"propertyNames":{"maxLength":2}}`: {`{"xa":1}`: true, `{"xa":"1"}`: false, `{"long":1}`: false},
		`{"$dynamicAnchor":"n","properties":{"a":{"$dynamicRef":"#n"}}}`:                  {`{"a":{"a":{}}}`: true},
	} {
		for input, want := range inputs {
			if got := s.check(json.RawMessage(schema), json.RawMessage(input)); (got == "") != want {
				t.Errorf("%.60s over %.40s: %q", schema, input, got)
			}
		}
	}
}
