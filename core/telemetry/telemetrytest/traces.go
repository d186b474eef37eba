package telemetrytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// TraceStores are what traces are read from.
type TraceStores struct {
	Events   telemetry.EventRepository
	Traces   telemetry.TraceRepository
	Messages telemetry.MessageRepository
	Feedback telemetry.FeedbackRepository
}

// TracesConfig says how to test a store of events that knows traces.
type TracesConfig struct {
	New func(t *testing.T) (TraceStores, tx.Runner)
}

// RunTraces runs the suite of telemetry.TraceRepository, through telemetry.Traces, and that of searches in telemetry.EventRepository.
func RunTraces(t *testing.T, cfg TracesConfig) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *scene){
		"Tree":          testTraceTree,
		"List":          testTraceList,
		"ListPaging":    testTracePaging,
		"ListFlat":      testTraceFlat,
		"Missing":       testTraceMissing,
		"ForeignTenant": testTraceForeign,
		"Truncated":     testTraceTruncated,
		"Histogram":     testHistogram,
		"HistogramEnds": testHistogramEnds,
		"Search":        testSearch,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stores, runner := cfg.New(t)
			test(t, newScene(t, stores, runner))
		})
	}
}

// scene is a stage on which agents leave traces.
type scene struct {
	*telemetry.Traces
	*stage
	TraceStores
}

func newScene(t *testing.T, stores TraceStores, runner tx.Runner) *scene {
	t.Helper()
	b := &scene{stage: newStage(runner), TraceStores: stores}
	var err error
	b.Traces, err = telemetry.NewTraces(telemetry.TracesDeps{
		Clock: b.clock(), Repository: stores.Traces, Messages: stores.Messages, Feedback: stores.Feedback,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// happen stores an event of now, and lets a second pass.
func (b *scene) happen(t *testing.T, e telemetry.Event) telemetry.Event {
	t.Helper()
	u := b.ids.NewUUID()
	u[6] = 0x80 | u[6]&0x0f // an id that a report brings: it says nothing of the time
	e.ID, e.Tenant, e.At = id.Of[id.ReportKind](u), b.sc.Tenant, b.now.Truncate(time.Millisecond)
	if e.Agent.IsZero() {
		e.Agent = b.agent()
	}
	if e.Type == "" {
		e.Type = "step"
	}
	if e.Level == "" {
		e.Level = telemetry.LevelInfo
	}
	if _, err := b.Events.InsertEvents(t.Context(), b.sc, []telemetry.Event{e}); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(time.Second)
	return e
}

func (b *scene) say(t *testing.T, trace string) telemetry.Message {
	t.Helper()
	m := telemetry.Message{
		ID: id.New[id.AgentMessageKind](b.ids), Tenant: b.sc.Tenant, Sender: b.agent(), Receiver: b.agent(), Type: "request", TraceID: trace, At: b.now,
	}
	if err := b.Messages.InsertMessage(t.Context(), b.sc, m); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(time.Second)
	return m
}

func (b *scene) judge(t *testing.T, target telemetry.Target, of id.UUID) telemetry.Feedback {
	t.Helper()
	f := telemetry.Feedback{
		ID: id.New[id.FeedbackKind](b.ids), Tenant: b.sc.Tenant, Target: target, TargetID: of, Agent: b.agent(), Type: telemetry.ThumbsUp, At: b.now,
	}
	if err := b.Feedback.InsertFeedback(t.Context(), b.sc, f); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(time.Second)
	return f
}

// drawn writes a tree by the types of its events.
func drawn(nodes []*telemetry.Node) string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		parts[i] = n.Type
		if len(n.Children) > 0 {
			parts[i] += "(" + drawn(n.Children) + ")"
		}
	}
	return strings.Join(parts, " ")
}

func testTraceTree(t *testing.T, b *scene) {
	start := b.now
	me, you := b.agent(), b.agent()
	root := b.happen(t, telemetry.Event{Type: "root", TraceID: "t/1", Agent: me, Payload: json.RawMessage(`{"a":1}`)})
	child := b.happen(t, telemetry.Event{Type: "child", TraceID: "t/1", Agent: you, Parent: root.ID, Level: telemetry.LevelError})
	b.happen(t, telemetry.Event{Type: "grandchild", TraceID: "t/1", Agent: me, Parent: child.ID, Level: telemetry.LevelCritical})
	b.happen(t, telemetry.Event{Type: "second", TraceID: "t/1", Agent: me, Parent: root.ID, Level: telemetry.LevelWarning})
	b.happen(t, telemetry.Event{Type: "elsewhere", TraceID: "t/2", Agent: me, Parent: root.ID})
	b.happen(t, telemetry.Event{Type: "orphan", TraceID: "t/1", Agent: me, Parent: id.New[id.ReportKind](b.ids)})
	end := b.now.Add(-time.Second)
	m1, m2 := b.say(t, "t/1"), b.say(t, "t/1")
	other := b.say(t, "t/2")
	f1, f2 := b.judge(t, telemetry.TargetEvent, child.ID.UUID()), b.judge(t, telemetry.TargetMessage, m2.ID.UUID())
	b.judge(t, telemetry.TargetMessage, other.ID.UUID())
	b.judge(t, telemetry.TargetAgent, me.UUID())

	got, err := b.Get(t.Context(), b.sc, "t/1")
	if err != nil {
		t.Fatal(err)
	}
	if shape := drawn(got.Roots); shape != "root(child(grandchild) second) orphan" {
		t.Errorf("the tree is %s", shape)
	}
	if diff := cmp.Diff(root, got.Roots[0].Event, same); diff != "" {
		t.Error(diff)
	}
	agents := []id.Agent{me, you}
	if got.Events != 5 || got.Errors != 2 || !got.Start.Equal(start) || !got.End.Equal(end) || !slices.Equal(got.Agents, agents) || got.Truncated {
		t.Errorf("sums: %+v", got.TraceSums)
	}
	if diff := cmp.Diff([]telemetry.Message{m1, m2}, got.Messages, same); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]telemetry.Feedback{f1, f2}, got.Feedback, same); diff != "" {
		t.Error(diff)
	}
	b.say(t, "only words")
	if words, err := b.Get(t.Context(), b.sc, "only words"); err != nil || len(words.Messages) != 1 || words.Events != 0 {
		t.Errorf("a trace of messages alone: %+v, %v", words, err)
	}
}

// traces lists traces as "id:events:errors:agents".
func (b *scene) traces(t *testing.T, f telemetry.TraceFilter, limit int) []string {
	t.Helper()
	var out []string
	req := page.Request{Limit: limit}
	for range 100 {
		p, err := b.List(t.Context(), b.sc, f, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, tr := range p.Items {
			out = append(out, fmt.Sprintf("%s:%d:%d:%d", tr.TraceID, tr.Events, tr.Errors, len(tr.Agents)))
		}
		if req.Cursor = p.Next; p.Next == "" {
			return out
		}
	}
	t.Fatal("the list does not end")
	return nil
}

func testTraceList(t *testing.T, b *scene) {
	me, start := b.agent(), b.now
	first := b.happen(t, telemetry.Event{TraceID: "t1", Agent: me, Payload: json.RawMessage(`{"a":1}`)})
	b.happen(t, telemetry.Event{}) // of no trace
	second := b.happen(t, telemetry.Event{TraceID: "t2"})
	b.happen(t, telemetry.Event{TraceID: "t1", Agent: me, Parent: first.ID, Level: telemetry.LevelError})
	b.happen(t, telemetry.Event{TraceID: "t1", Parent: first.ID, Level: telemetry.LevelWarning})
	b.happen(t, telemetry.Event{TraceID: "no root", Parent: second.ID})
	again := b.happen(t, telemetry.Event{TraceID: "t1", Type: "again"}) // a second root, of another agent
	p, err := b.List(t.Context(), b.sc, telemetry.TraceFilter{}, page.Request{})
	if err != nil || len(p.Items) != 2 || p.Next != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	got := p.Items[0]
	if diff := cmp.Diff(again, got.Root, same); diff != "" {
		t.Error(diff)
	}
	if got.TraceID != "t1" || !got.Start.Equal(start) || !got.End.Equal(again.At) || got.Events != 4 || got.Errors != 1 || len(got.Agents) != 3 {
		t.Errorf("%+v", got)
	}
	for name, c := range map[string]struct {
		f    telemetry.TraceFilter
		want []string
	}{
		"all":   {telemetry.TraceFilter{}, []string{"t1:4:1:3", "t2:1:0:1"}},
		"agent": {telemetry.TraceFilter{Agent: me}, []string{"t1:4:1:3"}},
		"since": {telemetry.TraceFilter{Since: again.At}, []string{"t1:4:1:3"}},
		"until": {telemetry.TraceFilter{Until: again.At}, []string{"t2:1:0:1", "t1:4:1:3"}},
		"none":  {telemetry.TraceFilter{Agent: b.agent()}, nil},
	} {
		if diff := cmp.Diff(c.want, b.traces(t, c.f, 10)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// testTracePaging lists traces whose roots lie among each other, some in one millisecond, by pages of every size.
func testTracePaging(t *testing.T, b *scene) {
	order := []int{0, 1, 2, 1, 3, 3, 0, 4, 2, 5, 4, 1}
	newest := map[int]int{}
	for i, n := range order {
		b.happen(t, telemetry.Event{TraceID: fmt.Sprint("t", n)})
		if i%2 == 0 {
			b.now = b.now.Add(-time.Second)
		}
		newest[n] = i
	}
	counts := map[int]int{}
	var want []string
	for _, n := range order {
		counts[n]++
	}
	for i := len(order) - 1; i >= 0; i-- {
		if n := order[i]; newest[n] == i {
			want = append(want, fmt.Sprintf("t%d:%d:0:%d", n, counts[n], counts[n]))
		}
	}
	for limit := 1; limit <= len(want)+1; limit++ {
		if diff := cmp.Diff(want, b.traces(t, telemetry.TraceFilter{}, limit)); diff != "" {
			t.Errorf("pages of %d: %s", limit, diff)
		}
	}
	if _, err := b.List(t.Context(), b.sc, telemetry.TraceFilter{}, page.Request{Cursor: "x"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad cursor: %v; want fault.Invalid", err)
	}
}

// testTraceFlat lists a trace of more events without a parent than a page looks at.
func testTraceFlat(t *testing.T, b *scene) {
	b.happen(t, telemetry.Event{TraceID: "before"})
	agent := b.agent()
	for range 9 {
		var batch []telemetry.Event
		for range 250 {
			u := b.ids.NewUUID()
			u[6] = 0x80 | u[6]&0x0f
			b.now = b.now.Add(time.Millisecond)
			batch = append(batch, telemetry.Event{
				ID: id.Of[id.ReportKind](u), Tenant: b.sc.Tenant, Agent: agent, Type: "x", Level: telemetry.LevelInfo, TraceID: "flat", At: b.now,
			})
		}
		if _, err := b.Events.InsertEvents(t.Context(), b.sc, batch); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"flat:2250:0:1", "before:1:0:1"}, b.traces(t, telemetry.TraceFilter{}, 10)); diff != "" {
		t.Error(diff)
	}
}

func testTraceMissing(t *testing.T, b *scene) {
	b.happen(t, telemetry.Event{})
	b.say(t, "")
	for _, trace := range []string{"", "nothing"} {
		if _, err := b.Get(t.Context(), b.sc, trace); !errors.Is(err, telemetry.ErrTraceUnknown) {
			t.Errorf("%q: %v; want ErrTraceUnknown", trace, err)
		}
	}
}

func testTraceForeign(t *testing.T, b *scene) {
	other := newScene(t, b.TraceStores, b.tx)
	e := other.happen(t, telemetry.Event{TraceID: "theirs"})
	other.judge(t, telemetry.TargetMessage, other.say(t, "theirs").ID.UUID())
	if _, err := b.Get(t.Context(), b.sc, "theirs"); !errors.Is(err, telemetry.ErrTraceUnknown) {
		t.Errorf("another tenant's trace: %v", err)
	}
	b.happen(t, telemetry.Event{TraceID: "theirs", Type: "mine", Parent: e.ID})
	got, err := b.Get(t.Context(), b.sc, "theirs")
	if err != nil || drawn(got.Roots) != "mine" || len(got.Messages)+len(got.Feedback) != 0 || got.Events != 1 {
		t.Errorf("a trace of the same name: %+v, %v", got, err)
	}
	if got := b.traces(t, telemetry.TraceFilter{}, 10); got != nil {
		t.Errorf("another tenant's traces: %v", got)
	}
	h, err := b.Histogram(t.Context(), b.sc, telemetry.Filter{TraceID: "theirs"}, telemetry.IntervalDay)
	if total := totalOf(h); total != 1 || err != nil {
		t.Errorf("counted %d, %v", total, err)
	}
}

// testTraceTruncated reads a trace whose payloads are larger than a tree may be.
func testTraceTruncated(t *testing.T, b *scene) {
	large := json.RawMessage(`{"x":"` + strings.Repeat("x", telemetry.MaxPayload-8) + `"}`)
	n := telemetry.MaxTraceBytes/len(large) + 2
	for range n {
		b.happen(t, telemetry.Event{TraceID: "t", Payload: large})
	}
	got, err := b.Get(t.Context(), b.sc, "t")
	if err != nil || !got.Truncated || got.Events != int64(telemetry.MaxTraceBytes/len(large)) || got.Events != int64(len(got.Roots)) {
		t.Errorf("of %d events %d are shown, truncated %t, %v", n, got.Events, got.Truncated, err)
	}
}

func totalOf(h []telemetry.Bucket) (n int64) {
	for _, bucket := range h {
		n += bucket.Counts.Total()
	}
	return n
}

func testHistogram(t *testing.T, b *scene) {
	me := b.agent()
	b.now = time.Date(2026, 11, 21, 22, 59, 59, 0, time.UTC)
	b.happen(t, telemetry.Event{Agent: me, Type: "a"})                                  // 22:59:59
	b.happen(t, telemetry.Event{Agent: me, Type: "a", Level: telemetry.LevelError})     // 23:00:00
	b.happen(t, telemetry.Event{Type: "b", Level: telemetry.LevelCritical})             // 23:00:01
	b.now = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)                               // the next day
	b.happen(t, telemetry.Event{Agent: me, Type: "b", Level: telemetry.LevelWarning})   // 00:00:00
	b.happen(t, telemetry.Event{Agent: me, Type: "a", TraceID: "t", Source: "planner"}) // 00:00:01
	day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	hour := func(n int) time.Time { return day.Add(time.Duration(n) * time.Hour) }
	type counts = telemetry.LevelCounts
	in := func(start time.Time, n counts) telemetry.Bucket { return telemetry.Bucket{Start: start, Counts: n} }
	for name, c := range map[string]struct {
		f     telemetry.Filter
		every telemetry.Interval
		want  []telemetry.Bucket
	}{
		"days": {
			telemetry.Filter{Since: day, Until: day.Add(48 * time.Hour)}, telemetry.IntervalDay,
			[]telemetry.Bucket{in(day, counts{1, 0, 1, 1}), in(day.Add(24*time.Hour), counts{1, 1, 0, 0})},
		},
		"hours, with an empty one": {
			telemetry.Filter{Since: hour(21), Until: hour(25)}, telemetry.IntervalHour,
			[]telemetry.Bucket{in(hour(21), counts{}), in(hour(22), counts{1}), in(hour(23), counts{0, 0, 1, 1}), in(hour(24), counts{1, 1})},
		},
		"a part of the first and the last": {
			telemetry.Filter{Since: hour(23).Add(time.Second), Until: hour(24).Add(time.Second)}, telemetry.IntervalHour,
			[]telemetry.Bucket{in(hour(23), counts{0, 0, 0, 1}), in(hour(24), counts{0, 1})},
		},
		"minutes until now": {
			telemetry.Filter{Since: hour(24)}, telemetry.IntervalMinute, []telemetry.Bucket{in(hour(24), counts{1, 1})},
		},
		"agent": {telemetry.Filter{Agent: me, Since: day}, telemetry.IntervalDay, []telemetry.Bucket{in(day, counts{1, 0, 1}), in(hour(24), counts{1, 1})}},
		"type":  {telemetry.Filter{Type: "b", Since: hour(24)}, telemetry.IntervalDay, []telemetry.Bucket{in(hour(24), counts{0, 1})}},
		"worse": {
			telemetry.Filter{MinLevel: telemetry.LevelError, Since: hour(23), Until: hour(24)}, telemetry.IntervalHour,
			[]telemetry.Bucket{in(hour(23), counts{0, 0, 1, 1})},
		},
		"trace": {telemetry.Filter{TraceID: "t", Since: hour(24)}, telemetry.IntervalHour, []telemetry.Bucket{in(hour(24), counts{1})}},
		"source": {
			telemetry.Filter{Source: "planner", Since: hour(24)}, telemetry.IntervalHour, []telemetry.Bucket{in(hour(24), counts{1})},
		},
	} {
		got, err := b.Histogram(t.Context(), b.sc, c.f, c.every)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func testHistogramEnds(t *testing.T, b *scene) {
	b.happen(t, telemetry.Event{})
	for every, buckets := range map[telemetry.Interval]int{telemetry.IntervalMinute: 61, telemetry.IntervalHour: 25, telemetry.IntervalDay: 31} {
		h, err := b.Histogram(t.Context(), b.sc, telemetry.Filter{}, every)
		if err != nil || totalOf(h) != 1 || len(h) != buckets || h[len(h)-1].Counts.Total() != 1 {
			t.Errorf("by %s until now: %d buckets with %d events, %v", every, len(h), totalOf(h), err)
		}
	}
	at := b.now.Truncate(time.Hour)
	for name, c := range map[string]struct {
		f     telemetry.Filter
		every telemetry.Interval
		path  string
	}{
		"an unknown interval": {telemetry.Filter{}, "week", "query.interval"},
		"too many":            {telemetry.Filter{Since: at, Until: at.Add(1001 * time.Minute)}, telemetry.IntervalMinute, "query.since"},
		"one too many":        {telemetry.Filter{Since: at.Add(time.Second), Until: at.Add(1000*time.Minute + time.Second)}, telemetry.IntervalMinute, "query.since"},
		"backwards":           {telemetry.Filter{Since: at, Until: at.Add(-time.Hour)}, telemetry.IntervalDay, "query.since"},
		"nothing":             {telemetry.Filter{Since: at, Until: at}, telemetry.IntervalDay, "query.since"},
		"since the future":    {telemetry.Filter{Since: at.Add(2 * time.Hour)}, telemetry.IntervalDay, "query.since"},
	} {
		_, err := b.Histogram(t.Context(), b.sc, c.f, c.every)
		known, ok := fault.As(err)
		if !ok || !errors.Is(err, telemetry.ErrInvalid) || known.Fields[0].Path != c.path {
			t.Errorf("%s: %v; want ErrInvalid at %s", name, err, c.path)
		}
	}
	if h, err := b.Histogram(t.Context(), b.sc, telemetry.Filter{Since: at, Until: at.Add(1000 * time.Minute)}, telemetry.IntervalMinute); len(h) != 1000 || err != nil {
		t.Errorf("%d buckets, %v; want as many as there may be", len(h), err)
	}
}

func testSearch(t *testing.T, b *scene) {
	me := b.agent()
	payloads := []string{
		`{"job":"daily_report","user":{"id":42},"text":"It's 100% \"done\"?"}`, `{"job":"weekly_report","user":{"id":"42"}}`, `{"job":"daily_report","n":1.0}`,
		`{"gen_ai.usage.input_tokens":1500}`, "",
	}
	for i, p := range payloads {
		e := telemetry.Event{Type: fmt.Sprint("type_", i), Payload: json.RawMessage(p)}
		if p == "" {
			e.Payload = nil
		}
		if i == 2 {
			e.Agent, e.TraceID = me, "Ünïque-Trace"
		}
		b.happen(t, e)
	}
	fields := func(pairs ...string) telemetry.Filter {
		f := telemetry.Filter{Fields: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			f.Fields[pairs[i]] = pairs[i+1]
		}
		return f
	}
	for name, c := range map[string]struct {
		f    telemetry.Filter
		want string
	}{
		"a word":               {telemetry.Filter{Search: "REPORT"}, "210"},
		"two words":            {telemetry.Filter{Search: "report daily"}, "20"},
		"of the type":          {telemetry.Filter{Search: "type_4"}, "4"},
		"of the trace":         {telemetry.Filter{Search: "ünïque"}, "2"},
		"with signs":           {telemetry.Filter{Search: `100% "done"?`}, "0"},
		"nothing":              {telemetry.Filter{Search: "nowhere"}, ""},
		"within another":       {telemetry.Filter{Search: "report", Agent: me}, "2"},
		"a field":              {fields("job", "daily_report"), "20"},
		"a field below":        {fields("user.id", "42"), "10"},
		"two fields":           {fields("job", "daily_report", "user.id", "42"), "0"},
		"a name with dots":     {fields("gen_ai.usage.input_tokens", "1500"), "3"},
		"a number as written":  {fields("n", "1.0"), "2"},
		"a number not as such": {fields("n", "1"), ""},
	} {
		for _, limit := range []int{1, 2, 50} {
			got, req := "", page.Request{Limit: limit}
			for range 20 {
				p, err := b.Events.Events(t.Context(), b.sc, c.f, req)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range p.Items {
					got += strings.TrimPrefix(e.Type, "type_")
				}
				if req.Cursor = p.Next; req.Cursor == "" {
					break
				}
			}
			if got != c.want || req.Cursor != "" {
				t.Errorf("%s: %q by %d; want %q", name, got, limit, c.want)
			}
		}
	}
	if _, err := b.Events.Events(t.Context(), b.sc, telemetry.Filter{Search: "x"}, page.Request{Cursor: "x"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad cursor: %v; want fault.Invalid", err)
	}
	if p, err := b.Events.Events(t.Context(), account.System(id.New[id.TenantKind](b.ids)), telemetry.Filter{Search: "report"}, page.Request{}); len(p.Items) != 0 || err != nil {
		t.Errorf("another tenant's events: %+v, %v", p.Items, err)
	}
}
