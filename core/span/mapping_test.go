package span

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
)

var (
	noon   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	tenant = id.Of[id.TenantKind](id.UUID{1})
	shop   = &Origin{Resource: Attributes{"service.name": "shop"}, Scope: "otel.openai", ScopeVersion: "2.1"}
)

const trace = "0af7651916cd43dd8448eb211c80319c"

// chat is a span as an instrumentation of today writes it.
func chat(spanID, parent string, more Attributes) Span {
	a := Attributes{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5",
		"gen_ai.usage.input_tokens": int64(1000), "gen_ai.usage.output_tokens": int64(50),
	}
	for k, v := range more {
		if v == nil {
			delete(a, k)
			continue
		}
		a[k] = v
	}
	return Span{
		Origin: shop, TraceID: trace, SpanID: spanID, ParentID: parent, Name: "chat claude-sonnet-4-5", Kind: "client",
		Start: noon.Add(-2 * time.Second), End: noon.Add(-500 * time.Millisecond), Attributes: a, Status: StatusUnset,
	}
}

func TestEventOfASpan(t *testing.T) {
	t.Parallel()
	s := chat("00f067aa0ba902b7", "b7ad6b7169203331", nil)
	s.Status, s.StatusMessage = StatusError, "overloaded"
	s.Moments = []Moment{{Name: "exception", At: noon, Attributes: Attributes{"exception.type": "Timeout"}}}
	s.Links = []Link{{TraceID: strings.Repeat("a", 32), SpanID: strings.Repeat("b", 16)}}
	e, err := s.event(tenant, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := telemetry.NewEvent{
		ID: EventOf(tenant, trace, "00f067aa0ba902b7"), Type: "chat", Source: "shop/otel.openai", Level: telemetry.LevelError, TraceID: trace,
		Parent: EventOf(tenant, trace, "b7ad6b7169203331"), At: noon.Add(-2 * time.Second), Payload: e.Payload,
	}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("got %+v, want %+v", e, want)
	}
	var payload map[string]any
	if err := json.Unmarshal(e.Payload, &payload); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"name": "chat claude-sonnet-4-5", "kind": "client", "span_id": "00f067aa0ba902b7", "parent_span_id": "b7ad6b7169203331",
		"duration_ms": 1500.0, "status": map[string]any{"code": "error", "message": "overloaded"},
		"scope": map[string]any{"name": "otel.openai", "version": "2.1"}, "resource": map[string]any{"service.name": "shop"},
		"events": []any{map[string]any{
			"name": "exception", "time": "2026-11-22T12:00:00Z", "attributes": map[string]any{"exception.type": "Timeout"},
		}},
		"links": []any{map[string]any{"trace_id": strings.Repeat("a", 32), "span_id": strings.Repeat("b", 16)}},
	} {
		if !reflect.DeepEqual(payload[name], want) {
			t.Errorf("payload.%s is %v, want %v", name, payload[name], want)
		}
	}
	if a, _ := payload["attributes"].(map[string]any); a["gen_ai.usage.input_tokens"] != 1000.0 {
		t.Errorf("attributes are %v", payload["attributes"])
	}
}

func TestTypeOfASpan(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Span{
		"execute_tool":                 {Name: "whatever", Attributes: Attributes{"gen_ai.operation.name": "execute_tool"}},
		"GET /orders":                  {Name: "GET /orders"},
		"span":                         {Name: " "},
		strings.Repeat("é", 199) + "…": {Name: strings.Repeat("é", 300)},
	} {
		if got := s.what(); got != want {
			t.Errorf("%q: the type is %q", want, got)
		}
	}
}

func TestIdsAreDerived(t *testing.T) {
	t.Parallel()
	one := EventOf(tenant, trace, "00f067aa0ba902b7")
	if one != EventOf(tenant, trace, "00f067aa0ba902b7") {
		t.Error("the same span has two ids")
	}
	seen := map[id.Report]string{one: "itself"}
	for name, other := range map[string]id.Report{
		"another tenant": EventOf(id.Of[id.TenantKind](id.UUID{2}), trace, "00f067aa0ba902b7"),
		"another trace":  EventOf(tenant, strings.Repeat("a", 32), "00f067aa0ba902b7"),
		"another span":   EventOf(tenant, trace, "00f067aa0ba902b8"),
		"moved border":   EventOf(tenant, trace+"0", "0f067aa0ba902b7"),
	} {
		if of := seen[other]; of != "" {
			t.Errorf("%s has the id of %s", name, of)
		}
		seen[other] = name
		if u := other.UUID(); u[6]>>4 != 8 || u[8]>>6 != 2 || u[0] != 0 || u[1] != 0 {
			t.Errorf("%s is no UUIDv8 before all times: %v", name, u)
		}
	}
}

func TestLevelOfARecord(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		number int
		text   string
		want   telemetry.Level
	}{
		{0, "", telemetry.LevelInfo}, {1, "", telemetry.LevelInfo}, {9, "FATAL", telemetry.LevelInfo}, {12, "", telemetry.LevelInfo},
		{13, "", telemetry.LevelWarning}, {16, "", telemetry.LevelWarning}, {17, "", telemetry.LevelError}, {20, "", telemetry.LevelError},
		{21, "", telemetry.LevelCritical}, {24, "", telemetry.LevelCritical},
		{0, "warn", telemetry.LevelWarning}, {0, " Error2 ", telemetry.LevelError}, {0, "CRITICAL", telemetry.LevelCritical}, {0, "notice", telemetry.LevelInfo},
	} {
		r := Record{Severity: tc.number, SeverityText: tc.text}
		if got := r.level(); got != tc.want {
			t.Errorf("%d %q: %s, want %s", tc.number, tc.text, got, tc.want)
		}
	}
}

func TestEventOfARecord(t *testing.T) {
	t.Parallel()
	r := Record{
		Origin: shop, At: noon.Add(-time.Second), Severity: 13, SeverityText: "WARN", Name: "gen_ai.evaluation.result", Body: "slow\x00",
		Attributes: Attributes{"n": int64(math.MaxInt64)}, TraceID: trace, SpanID: "00f067aa0ba902b7",
	}
	e, err := r.event(tenant, noon, 0)
	if err != nil {
		t.Fatal(err)
	}
	const payload = `{"attributes":{"n":9223372036854775807},"body":"slow�","resource":{"service.name":"shop"},` +
		`"scope":{"name":"otel.openai","version":"2.1"},"severity":{"number":13,"text":"WARN"},"span_id":"00f067aa0ba902b7"}`
	if string(e.Payload) != payload {
		t.Errorf("the payload is %s", e.Payload)
	}
	if e.Type != "gen_ai.evaluation.result" || e.Level != telemetry.LevelWarning || e.TraceID != trace || !e.At.Equal(r.At) ||
		e.Parent != EventOf(tenant, trace, "00f067aa0ba902b7") || e.ID.IsZero() {
		t.Errorf("the event is %+v", e)
	}
	if again, _ := r.event(tenant, noon.Add(time.Minute), 0); again.ID != e.ID {
		t.Error("the same record has another id when it comes again")
	}
	if second, _ := r.event(tenant, noon, 1); second.ID == e.ID {
		t.Error("two equal records of one export have one id")
	}
	other := r
	other.Body = "slower"
	if o, _ := other.event(tenant, noon, 0); o.ID == e.ID {
		t.Error("another record has the same id")
	}
	timeless := Record{Origin: shop, Body: "x", Attributes: Attributes{"event.name": "named"}}
	if e, _ := timeless.event(tenant, noon, 0); !e.ID.IsZero() || !e.At.IsZero() || e.Type != "named" {
		t.Errorf("a record without a time became %+v", e)
	}
	if e, _ := (&Record{Origin: &Origin{}}).event(tenant, noon, 0); e.Type != "log" || e.Source != "" || string(e.Payload) != "{}" {
		t.Errorf("an empty record became %+v", e)
	}
}

func TestTimesOfOthersClocks(t *testing.T) {
	t.Parallel()
	s := chat("00f067aa0ba902b7", "", nil)
	s.Start, s.End = noon.Add(time.Hour), noon.Add(2*time.Hour)
	if e, _ := s.event(tenant, noon); !e.At.Equal(noon) {
		t.Errorf("a span that begins in an hour is of %v", e.At)
	}
	s.Start = time.Time{}
	if e, _ := s.event(tenant, noon); !e.At.Equal(noon) || strings.Contains(string(e.Payload), "duration") {
		t.Errorf("a span without a beginning: %v %s", e.At, e.Payload)
	}
	for want, at := range map[string]time.Time{
		"":                                  noon.Add(23 * time.Hour),
		"it happened more than 30 days ago": noon.Add(-30*24*time.Hour - 1),
		"it has not happened yet: its time is more than a day ahead": noon.Add(24*time.Hour + 1),
	} {
		if got := untimely(noon, time.Time{}, at); got != want {
			t.Errorf("%v: %q, want %q", at, got, want)
		}
	}
}

func TestLargePayloads(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("wörter ", 60_000)
	s := chat("00f067aa0ba902b7", "", Attributes{"gen_ai.input.messages": long, "list": []any{long, map[string]any{"deep": long}}})
	e, err := s.event(tenant, noon)
	if err != nil || len(e.Payload) > telemetry.MaxPayload || !utf8.Valid(e.Payload) {
		t.Fatalf("%d bytes, %v", len(e.Payload), err)
	}
	var payload struct {
		Truncated  bool
		Attributes map[string]any
	}
	if err := json.Unmarshal(e.Payload, &payload); err != nil || !payload.Truncated || payload.Attributes["gen_ai.usage.input_tokens"] != 1000.0 {
		t.Errorf("%v, %+v", err, payload)
	}
	if text, _ := payload.Attributes["gen_ai.input.messages"].(string); len(text) < 16<<10 || len(text) > 17<<10 {
		t.Errorf("the text has %d bytes", len(text))
	}
	many := Attributes{}
	for i := range 5000 {
		many[strconv.Itoa(i)] = long[:200]
	}
	s.Attributes = many
	e, err = s.event(tenant, noon)
	if err != nil || len(e.Payload) > telemetry.MaxPayload || !strings.Contains(string(e.Payload), `"truncated":true`) ||
		strings.Contains(string(e.Payload), `"attributes"`) {
		t.Errorf("what does not fit even when cut: %d bytes, %v", len(e.Payload), err)
	}
	deep := any("bottom")
	for range 100 {
		deep = []any{deep}
	}
	s.Attributes = Attributes{"deep": deep}
	if e, err := s.event(tenant, noon); err != nil || strings.Contains(string(e.Payload), "bottom") {
		t.Errorf("deep: %v %s", err, e.Payload)
	}
}

func TestUsageOfASpan(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		more Attributes
		want llm.Usage
	}{
		"plain": {nil, llm.Usage{Input: 1000, Output: 50}},
		"cached, as the conventions have it": {
			Attributes{"gen_ai.usage.cache_read.input_tokens": int64(600), "gen_ai.usage.cache_creation.input_tokens": int64(100)},
			llm.Usage{Input: 300, CacheRead: 600, CacheWrite5m: 100, Output: 50},
		},
		"cached, as they had it": {
			Attributes{"gen_ai.usage.cache_read_input_tokens": int64(600), "gen_ai.usage.cache_creation_input_tokens": int64(100)},
			llm.Usage{Input: 300, CacheRead: 600, CacheWrite5m: 100, Output: 50},
		},
		"reasoning":            {Attributes{"gen_ai.usage.reasoning.output_tokens": int64(20)}, llm.Usage{Input: 1000, Output: 50, Reasoning: 20}},
		"numbers as texts":     {Attributes{"gen_ai.usage.input_tokens": "7", "gen_ai.usage.output_tokens": 2.0}, llm.Usage{Input: 7, Output: 2}},
		"more cached than all": {Attributes{"gen_ai.usage.cache_read.input_tokens": int64(4000)}, llm.Usage{CacheRead: 1000, Output: 50}},
		"of before": {
			Attributes{
				"gen_ai.operation.name": nil, "gen_ai.usage.input_tokens": nil, "gen_ai.usage.output_tokens": nil,
				"gen_ai.usage.prompt_tokens": int64(11), "gen_ai.usage.completion_tokens": int64(3),
			}, llm.Usage{Input: 11, Output: 3},
		},
		"below zero is nothing": {Attributes{"gen_ai.usage.input_tokens": int64(-4)}, llm.Usage{Output: 50}},
	} {
		s := chat("00f067aa0ba902b7", "", tc.more)
		if !s.billed() {
			t.Errorf("%s: it is not billed", name)
		}
		e, err := s.event(tenant, noon)
		if err != nil {
			t.Fatal(err)
		}
		row := s.usage(&e, noon)
		if row.Usage != tc.want {
			t.Errorf("%s: %+v, want %+v", name, row.Usage, tc.want)
		}
		if clamped := row.Flags&usage.FlagClamped != 0; clamped != (name == "more cached than all") {
			t.Errorf("%s: clamped %v", name, clamped)
		}
		if row.ID.UUID() != e.ID.UUID() || row.Latency != 1500*time.Millisecond || row.Calls != 1 || row.Errors != 0 ||
			!row.CreatedAt.Equal(noon.Add(-500*time.Millisecond)) {
			t.Errorf("%s: %+v", name, row)
		}
	}
}

func TestWhoAnswered(t *testing.T) {
	t.Parallel()
	s := chat("00f067aa0ba902b7", "", Attributes{
		"gen_ai.response.model": "claude-sonnet-4-5-20250929", "gen_ai.system": "openai", "server.address": "api.openai.com",
		"openai.response.service_tier": "flex",
	})
	s.Status = StatusError
	row := s.usage(&telemetry.NewEvent{}, noon)
	if row.Model != "claude-sonnet-4-5-20250929" || row.Provider != "anthropic" || row.Errors != 1 || row.Service != "flex" {
		t.Errorf("%+v", row)
	}
	delete(s.Attributes, "gen_ai.provider.name")
	s.Attributes["openai.response.service_tier"] = "no such; tier"
	if row := s.usage(&telemetry.NewEvent{}, noon); row.Provider != "openai" || row.Service != "" {
		t.Errorf("%+v", row)
	}
}

func TestWhatIsBilled(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		more   Attributes
		failed bool
		want   bool
	}{
		"chat":                            {nil, false, true},
		"chat in capitals":                {Attributes{"gen_ai.operation.name": "Chat"}, false, true},
		"embeddings without output":       {Attributes{"gen_ai.operation.name": "embeddings", "gen_ai.usage.output_tokens": nil}, false, true},
		"text_completion":                 {Attributes{"gen_ai.operation.name": "text_completion"}, false, true},
		"generate_content":                {Attributes{"gen_ai.operation.name": "generate_content"}, false, true},
		"an agent":                        {Attributes{"gen_ai.operation.name": "invoke_agent"}, false, false},
		"a workflow":                      {Attributes{"gen_ai.operation.name": "invoke_workflow"}, false, false},
		"a tool":                          {Attributes{"gen_ai.operation.name": "execute_tool"}, false, false},
		"of before, with tokens":          {Attributes{"gen_ai.operation.name": nil}, false, true},
		"no operation and no tokens":      {Attributes{"gen_ai.operation.name": nil, "gen_ai.usage.input_tokens": nil, "gen_ai.usage.output_tokens": nil}, true, false},
		"no model":                        {Attributes{"gen_ai.request.model": nil}, false, false},
		"chat without tokens":             {Attributes{"gen_ai.usage.input_tokens": nil, "gen_ai.usage.output_tokens": nil}, false, false},
		"chat without tokens, failed":     {Attributes{"gen_ai.usage.input_tokens": nil, "gen_ai.usage.output_tokens": nil}, true, true},
		"nothing was used, but it counts": {Attributes{"gen_ai.usage.input_tokens": int64(0), "gen_ai.usage.output_tokens": nil}, false, true},
	} {
		s := chat("00f067aa0ba902b7", "", tc.more)
		if tc.failed {
			s.Status = StatusError
		}
		if got := s.billed(); got != tc.want {
			t.Errorf("%s: billed %v", name, got)
		}
	}
}

func TestOutermost(t *testing.T) {
	t.Parallel()
	agent := chat("aaaaaaaaaaaaaaa1", "", Attributes{"gen_ai.operation.name": "invoke_agent"})
	outer := chat("aaaaaaaaaaaaaaa2", "aaaaaaaaaaaaaaa1", nil)
	between := chat("aaaaaaaaaaaaaaa3", "aaaaaaaaaaaaaaa2", Attributes{"gen_ai.operation.name": "execute_tool"})
	inner := chat("aaaaaaaaaaaaaaa4", "aaaaaaaaaaaaaaa3", nil)
	second := chat("aaaaaaaaaaaaaaa5", "aaaaaaaaaaaaaaa1", nil)
	elsewhere := chat("aaaaaaaaaaaaaaa6", "aaaaaaaaaaaaaaa2", nil)
	elsewhere.TraceID = strings.Repeat("b", 32)
	circle := chat("aaaaaaaaaaaaaaa7", "aaaaaaaaaaaaaaa8", Attributes{"gen_ai.operation.name": "x"})
	circle2 := chat("aaaaaaaaaaaaaaa8", "aaaaaaaaaaaaaaa7", nil)
	got := outermost([]Span{inner, between, outer, second, agent, elsewhere, circle, circle2})
	if want := []bool{false, false, true, true, false, true, false, true}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	own := chat("aaaaaaaaaaaaaaa1", "", Attributes{"gen_ai.agent.id": "agent_1", "gen_ai.agent.name": "Max", "gen_ai.agent.description": "helps"})
	child := chat("aaaaaaaaaaaaaaa2", "aaaaaaaaaaaaaaa1", nil)
	alone := chat("aaaaaaaaaaaaaaa3", "ffffffffffffffff", nil)
	named := alone
	named.Origin = &Origin{Resource: Attributes{"service.name": "shop", "gen_ai.agent.name": "Moritz", "telemetry.sdk.language": "python"}}
	got := claims([]Span{child, own, alone, named})
	want := []claim{
		{id: "agent_1", name: "Max", about: "helps"}, {id: "agent_1", name: "Max", about: "helps"}, {name: "shop"}, {name: "Moritz", platform: "python"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestFaultsOfSpans(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Span){
		"": func(*Span) {},
		"trace_id must be 16 bytes that are not all zero":               func(s *Span) { s.TraceID = strings.Repeat("0", 32) },
		"span_id must be 8 bytes that are not all zero":                 func(s *Span) { s.SpanID = "abc" },
		"parent_span_id must be empty or 8 bytes that are not all zero": func(s *Span) { s.ParentID = trace },
		"gen_ai.usage counts more tokens than a call can use":           func(s *Span) { s.Attributes["gen_ai.usage.input_tokens"] = int64(2e9) },
		"it happened more than 30 days ago":                             func(s *Span) { s.End = noon.Add(-31 * 24 * time.Hour) },
	} {
		s := chat("00f067aa0ba902b7", "", nil)
		change(&s)
		if got := s.fault(noon); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
