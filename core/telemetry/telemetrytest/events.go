package telemetrytest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// EventsConfig says how to test a store of events.
type EventsConfig struct {
	New func(t *testing.T) (telemetry.EventRepository, tx.Runner)
}

// RunEvents runs the suite of telemetry.EventRepository, through telemetry.Service.
func RunEvents(t *testing.T, cfg EventsConfig) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *desk){
		"RoundTrip":     testEventRoundTrip,
		"Invalid":       testEventInvalid,
		"UnknownAgent":  testEventUnknownAgent,
		"Missing":       testEventMissing,
		"ForeignTenant": testEventForeign,
		"Repetition":    testEventRepetition,
		"Filters":       testEventFilters,
		"Paging":        testEventPaging,
		"Counts":        testEventCounts,
		"After":         testEventAfter,
		"Rollback":      testEventRollback,
		"Cancelled":     testEventCancelled,
		"Together":      testEventsTogether,
		"Listener":      testEventListener,
		"Cleanup":       testCleanup,
		"CleanupByName": testCleanupByName,
		"CleanupChunks": testCleanupChunks,
		"Forget":        testEventForget,
		"Roster":        testEventRoster,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo, runner := cfg.New(t)
			test(t, newDesk(t, repo, runner))
		})
	}
}

// desk is a tenant with a Service and a clock that goes on by a millisecond with each look at it.
type desk struct {
	*telemetry.Service

	repo  telemetry.EventRepository
	tx    tx.Runner
	sc    account.Scope
	ids   id.Generator
	agent id.Agent

	mu      sync.Mutex
	now     time.Time
	unknown map[id.Agent]bool
	asked   int // of the roster

	questioned func() // unless nil, called before the roster answers

	named map[string][]id.Agent
	notes []string
	heard []telemetry.Event
}

const deskChunk = 3

func newDesk(t *testing.T, repo telemetry.EventRepository, runner tx.Runner) *desk {
	t.Helper()
	d := &desk{
		repo: repo, tx: runner, now: time.Date(2026, 11, 21, 23, 30, 0, 0, time.UTC), unknown: map[id.Agent]bool{}, named: map[string][]id.Agent{},
	}
	d.ids = id.NewGenerator(d.tick)
	real := id.NewGenerator(time.Now) // tests share a database and must not share ids
	d.sc, d.agent = account.System(id.New[id.TenantKind](real)), id.New[id.AgentKind](real)
	s, err := telemetry.NewService(telemetry.Deps{
		TX: runner, Clock: clock.Func(d.tick), IDs: d.ids, Logger: slog.New(slog.DiscardHandler), Events: repo, Roster: d, Trail: d, Listener: d,
	}, telemetry.Config{Chunk: deskChunk})
	if err != nil {
		t.Fatal(err)
	}
	d.Service = s
	return d
}

func (d *desk) tick() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(time.Millisecond)
	return d.now
}

func (d *desk) Missing(_ context.Context, _ account.Scope, agents []id.Agent) (missing []id.Agent, err error) {
	if d.questioned != nil {
		d.questioned()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	for _, a := range agents {
		if d.unknown[a] {
			missing = append(missing, a)
		}
	}
	return missing, nil
}

func (d *desk) Named(_ context.Context, _ account.Scope, name string) ([]id.Agent, error) {
	return slices.Clone(d.named[name]), nil
}

func (d *desk) Note(_ context.Context, _ account.Scope, action string, _ id.Agent, metadata map[string]any) error {
	n, err := json.Marshal(metadata["deleted"])
	d.notes = append(d.notes, action+" "+string(n))
	return err
}

func (d *desk) Reported(_ context.Context, _ account.Scope, events []telemetry.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = append(d.heard, events...)
}

// otherAgent returns an agent that is there, too.
func (d *desk) otherAgent() id.Agent {
	return id.New[id.AgentKind](id.NewGenerator(time.Now))
}

// given returns an ID as a report brings it.
func (d *desk) given() id.Report {
	u := d.ids.NewUUID()
	u[6] = 0x80 | u[6]&0x0f
	return id.Of[id.ReportKind](u)
}

// report stores one event after the other.
func (d *desk) report(t *testing.T, events ...telemetry.NewEvent) (out []telemetry.Event) {
	t.Helper()
	for _, n := range events {
		if n.Agent.IsZero() {
			n.Agent = d.agent
		}
		if n.Type == "" {
			n.Type = "tick"
		}
		e, err := d.ReportOne(context.Background(), d.sc, n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// finds checks what a filter chooses, how many it counts, and how they are tailed.
func (d *desk) finds(t *testing.T, f telemetry.Filter, want ...telemetry.Event) {
	t.Helper()
	newest := slices.Clone(want)
	slices.Reverse(newest)
	p, err := d.List(context.Background(), d.sc, f, page.Request{Limit: 100, Count: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names(newest), names(p.Items)); diff != "" || p.Total != len(want) {
		t.Errorf("%+v: %d of %d (-want +got):\n%s", f, p.Total, len(want), diff)
	}
	tail, err := d.After(context.Background(), d.sc, f, telemetry.Place{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names(want), names(tail)); diff != "" {
		t.Errorf("%+v: After (-want +got):\n%s", f, diff)
	}
}

// names returns the ids of events.
func names(events []telemetry.Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.ID.String())
	}
	return out
}

var sameEvents = cmp.Options{
	cmp.Comparer(func(a, b id.Report) bool { return a == b }), cmp.Comparer(func(a, b id.Tenant) bool { return a == b }),
	cmp.Comparer(func(a, b id.Agent) bool { return a == b }),
}

func testEventRoundTrip(t *testing.T, d *desk) {
	parent := d.given()
	at := time.Date(1999, 12, 31, 23, 59, 59, 7_900_000, time.UTC)
	news := []telemetry.NewEvent{
		{Agent: d.agent, Type: "task_completed"},
		{
			Agent: d.agent, Type: "typ\u00e9 'quoted' ?", Source: "sched\"uler", Level: telemetry.LevelCritical, TraceID: "trace \u2028 1", Parent: parent,
			Payload: json.RawMessage(" {\"b\": [1, {\"\u00e9\": \"\\ud83d\\ude00 ?\"}],\n \"a\": 1.0}\n"),
		},
		{Agent: d.agent, Type: "null", Payload: json.RawMessage(" null ")},
		{ID: parent, Agent: d.agent, Type: "given", At: at, Level: telemetry.LevelError},
	}
	got, err := d.Report(context.Background(), d.sc, news)
	if err != nil {
		t.Fatal(err)
	}
	want := []telemetry.Event{
		{Type: "task_completed", Level: telemetry.LevelInfo},
		{
			Type: news[1].Type, Source: news[1].Source, Level: telemetry.LevelCritical, TraceID: news[1].TraceID, Parent: parent,
			Payload: json.RawMessage("{\"b\": [1, {\"\u00e9\": \"\\ud83d\\ude00 ?\"}], \"a\": 1.0}"),
		},
		{Type: "null", Level: telemetry.LevelInfo},
		{Type: "given", Level: telemetry.LevelError, ID: parent, At: at.Truncate(time.Millisecond)},
	}
	for i := range want {
		w := &want[i]
		w.Agent, w.Tenant = d.agent, d.sc.Tenant
		if w.ID.IsZero() {
			w.ID, w.At = got[i].ID, d.now.Add(time.Duration(i-2)*time.Millisecond)
		}
	}
	if diff := cmp.Diff(want, got, sameEvents); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	for _, w := range want {
		e, err := d.Get(context.Background(), d.sc, w.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, e, sameEvents); diff != "" {
			t.Errorf("read (-want +got):\n%s", diff)
		}
	}
	p, err := d.List(context.Background(), d.sc, telemetry.Filter{}, page.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]telemetry.Event{want[2], want[1], want[0], want[3]}, p.Items, sameEvents); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func testEventInvalid(t *testing.T, d *desk) {
	good := telemetry.NewEvent{Agent: d.agent, Type: "x"}
	with := func(change func(*telemetry.NewEvent)) telemetry.NewEvent {
		e := good
		change(&e)
		return e
	}
	for path, bad := range map[string]telemetry.NewEvent{
		"agent_id":   with(func(e *telemetry.NewEvent) { e.Agent = id.Agent{} }),
		"event_type": with(func(e *telemetry.NewEvent) { e.Type = "" }),
		"source":     with(func(e *telemetry.NewEvent) { e.Source = strings.Repeat("\u00e9", telemetry.MaxSource+1) }),
		"level":      with(func(e *telemetry.NewEvent) { e.Level = "fatal" }),
		"trace_id":   with(func(e *telemetry.NewEvent) { e.TraceID = "a\x00" }),
		"payload":    with(func(e *telemetry.NewEvent) { e.Payload = json.RawMessage("[1]") }),
		"id":         with(func(e *telemetry.NewEvent) { e.ID = id.New[id.ReportKind](d.ids) }),
		"at":         with(func(e *telemetry.NewEvent) { e.At = time.Unix(0, 0) }),
	} {
		_, err := d.ReportOne(context.Background(), d.sc, bad)
		faultsAt(t, err, path)
		_, err = d.Report(context.Background(), d.sc, []telemetry.NewEvent{good, bad, with(func(e *telemetry.NewEvent) { e.Type = " " }), good})
		faultsAt(t, err, "events[1]."+path, "events[2].event_type")
	}
	big := with(func(e *telemetry.NewEvent) {
		e.Payload = json.RawMessage(`{"a":"` + strings.Repeat("x", telemetry.MaxPayload-8) + `"}`)
	})
	if _, err := d.ReportOne(context.Background(), d.sc, big); err != nil {
		t.Errorf("the longest payload: %v", err)
	}
	big.Payload = append(big.Payload, ' ', '}')
	_, err := d.ReportOne(context.Background(), d.sc, big)
	faultsAt(t, err, "payload")
	_, err = d.Report(context.Background(), d.sc, nil)
	faultsAt(t, err, "events")
	_, err = d.Report(context.Background(), d.sc, slices.Repeat([]telemetry.NewEvent{good}, telemetry.MaxBatch+1))
	faultsAt(t, err, "events")
	old := with(func(e *telemetry.NewEvent) { e.ID, e.At = d.given(), time.UnixMilli(-1) })
	_, err = d.ReportOne(context.Background(), d.sc, old)
	faultsAt(t, err, "at")
	if p, err := d.List(context.Background(), d.sc, telemetry.Filter{}, page.Request{Count: true}); err != nil || p.Total != 1 {
		t.Errorf("%d events after the refusals, want the one that was right; %v", p.Total, err)
	}
}

// faultsAt checks the places at which an error finds fault.
func faultsAt(t *testing.T, err error, paths ...string) {
	t.Helper()
	known, ok := fault.As(err)
	if !ok || !errors.Is(err, telemetry.ErrInvalid) {
		t.Errorf("%v, want ErrInvalid at %v", err, paths)
		return
	}
	var got []string
	for _, f := range known.Fields {
		got = append(got, f.Path)
	}
	if diff := cmp.Diff(paths, got); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
}

func testEventUnknownAgent(t *testing.T, d *desk) {
	stranger := d.otherAgent()
	d.unknown[stranger] = true
	_, err := d.Report(context.Background(), d.sc, []telemetry.NewEvent{
		{Agent: d.agent, Type: "x"}, {Agent: d.otherAgent(), Type: "x"}, {Agent: stranger, Type: "x"}, {Agent: d.agent, Type: "x"},
	})
	if !errors.Is(err, id.NotFound[id.AgentKind]("")) || !strings.Contains(err.Error(), stranger.String()) {
		t.Errorf("%v", err)
	}
	if d.asked != 1 {
		t.Errorf("the roster was asked %d times for one batch", d.asked)
	}
	d.finds(t, telemetry.Filter{})
}

func testEventMissing(t *testing.T, d *desk) {
	for _, missing := range []id.Report{id.New[id.ReportKind](d.ids), d.given()} {
		if _, err := d.Get(context.Background(), d.sc, missing); !errors.Is(err, id.NotFound[id.ReportKind]("")) {
			t.Errorf("%s: %v", missing, err)
		}
	}
	if _, err := d.List(context.Background(), d.sc, telemetry.Filter{}, page.Request{Cursor: "x"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad cursor: %v", err)
	}
	d.finds(t, telemetry.Filter{Agent: d.agent, Type: "none"})
}

func testEventForeign(t *testing.T, d *desk) {
	e := d.report(t, telemetry.NewEvent{TraceID: "t"}, telemetry.NewEvent{ID: d.given()})
	other := account.System(id.New[id.TenantKind](id.NewGenerator(time.Now)))
	for _, mine := range e {
		if _, err := d.Get(context.Background(), other, mine.ID); !errors.Is(err, id.NotFound[id.ReportKind]("")) {
			t.Errorf("Get: %v", err)
		}
	}
	for _, f := range []telemetry.Filter{{}, {Agent: d.agent}, {TraceID: "t"}, {Level: telemetry.LevelInfo}} {
		p, err := d.List(context.Background(), other, f, page.Request{Count: true})
		if err != nil || len(p.Items) != 0 || p.Total != 0 {
			t.Errorf("%+v: %d of %d, %v", f, len(p.Items), p.Total, err)
		}
	}
	if n, err := d.Cleanup(context.Background(), other, telemetry.CleanupRequest{Agent: d.agent}); n != 0 || err != nil {
		t.Errorf("Cleanup: %d, %v", n, err)
	}
	// The same ID in two tenants is two events.
	if fresh, err := d.ReportNew(context.Background(), other, []telemetry.NewEvent{{ID: e[1].ID, Agent: d.agent, Type: "x"}}); err != nil || len(fresh) != 1 {
		t.Errorf("an ID of another tenant: %d new, %v", len(fresh), err)
	}
	d.finds(t, telemetry.Filter{}, e...)
}

func testEventRepetition(t *testing.T, d *desk) {
	a, b := telemetry.NewEvent{ID: d.given(), Agent: d.agent, Type: "a"}, telemetry.NewEvent{ID: d.given(), Agent: d.agent, Type: "b"}
	first := d.report(t, a)[0]
	again := a
	again.Type, again.At = "another", first.At
	fresh, err := d.ReportNew(context.Background(), d.sc, []telemetry.NewEvent{again, b, b, {Agent: d.agent, Type: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(fresh) != 2 || fresh[0].ID != b.ID || fresh[1].Type != "c" {
		t.Fatalf("new: %+v", fresh)
	}
	d.finds(t, telemetry.Filter{Agent: d.agent}, first, fresh[0], fresh[1])
	d.finds(t, telemetry.Filter{Type: "another"})
	if got, err := d.Get(context.Background(), d.sc, a.ID); err != nil || got.Type != "a" {
		t.Errorf("%+v, %v", got, err)
	}
}

func testEventFilters(t *testing.T, d *desk) {
	other := d.otherAgent()
	parent := d.given()
	e := d.report(t,
		telemetry.NewEvent{Type: "a", Source: "s", TraceID: "t"},
		telemetry.NewEvent{Type: "b", Level: telemetry.LevelWarning, TraceID: "t", Parent: parent},
		telemetry.NewEvent{Type: "a", Level: telemetry.LevelError, Agent: other, Parent: parent},
		telemetry.NewEvent{Type: "b", Source: "s", Level: telemetry.LevelCritical, TraceID: "u"},
	)
	for _, tc := range []struct {
		f    telemetry.Filter
		want []telemetry.Event
	}{
		{telemetry.Filter{}, e},
		{telemetry.Filter{Agent: d.agent}, []telemetry.Event{e[0], e[1], e[3]}},
		{telemetry.Filter{Agent: other}, e[2:3]},
		{telemetry.Filter{Type: "a"}, []telemetry.Event{e[0], e[2]}},
		{telemetry.Filter{Source: "s"}, []telemetry.Event{e[0], e[3]}},
		{telemetry.Filter{Source: "s", Agent: other}, nil},
		{telemetry.Filter{Level: telemetry.LevelInfo}, e[:1]},
		{telemetry.Filter{Level: telemetry.LevelWarning}, e[1:2]},
		{telemetry.Filter{Level: telemetry.LevelCritical}, e[3:]},
		{telemetry.Filter{MinLevel: telemetry.LevelWarning}, e[1:]},
		{telemetry.Filter{MinLevel: telemetry.LevelError}, e[2:]},
		{telemetry.Filter{MinLevel: telemetry.LevelError, Level: telemetry.LevelInfo}, nil},
		{telemetry.Filter{TraceID: "t"}, e[:2]},
		{telemetry.Filter{TraceID: "t", Parent: parent}, e[1:2]},
		{telemetry.Filter{TraceID: "u", Agent: d.agent, Type: "b", Source: "s", Level: telemetry.LevelCritical}, e[3:]},
		{telemetry.Filter{Parent: parent}, e[1:3]},
		{telemetry.Filter{Since: e[1].At}, e[1:]},
		{telemetry.Filter{Since: e[1].At.Add(time.Microsecond)}, e[2:]},
		{telemetry.Filter{Until: e[1].At}, e[:1]},
		{telemetry.Filter{Until: e[1].At.Add(time.Microsecond)}, e[:2]},
		{telemetry.Filter{Agent: d.agent, Since: e[1].At, Until: e[3].At}, e[1:2]},
	} {
		d.finds(t, tc.f, tc.want...)
	}
}

func testEventPaging(t *testing.T, d *desk) {
	// Several at one time: those with IDs of their own, whose order is that of the IDs.
	at := d.tick()
	var news []telemetry.NewEvent
	for range 7 {
		news = append(news, telemetry.NewEvent{ID: d.given(), At: at})
	}
	news = append(news, make([]telemetry.NewEvent, 4)...)
	want := d.report(t, news...)
	slices.SortFunc(want[:7], func(a, b telemetry.Event) int { return strings.Compare(a.ID.UUID().String(), b.ID.UUID().String()) })
	slices.Reverse(want)
	for _, f := range []telemetry.Filter{{}, {Agent: d.agent}, {Type: "tick", Since: at.Add(-time.Second)}} {
		for limit := 1; limit <= 12; limit += 3 {
			got := pagetest.Walk(t, limit, pagetest.Whole, func(req page.Request) (page.Page[telemetry.Event], error) {
				return d.List(context.Background(), d.sc, f, req)
			})
			if diff := cmp.Diff(names(want), names(got)); diff != "" {
				t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
			}
			var numbered []telemetry.Event
			for offset := 0; offset <= len(want); offset += limit {
				p, err := d.List(context.Background(), d.sc, f, page.Request{Limit: limit, Offset: offset, Count: true})
				if err != nil || p.Total != len(want) {
					t.Fatalf("offset %d: total %d, %v", offset, p.Total, err)
				}
				numbered = append(numbered, p.Items...)
			}
			if diff := cmp.Diff(names(want), names(numbered)); diff != "" {
				t.Errorf("numbered pages of %d (-want +got):\n%s", limit, diff)
			}
		}
	}
}

// testEventCounts compares the totals of lists with the lists after changes of every sort.
func testEventCounts(t *testing.T, d *desk) {
	other := d.otherAgent()
	check := func() {
		t.Helper()
		for _, f := range []telemetry.Filter{
			{}, {Agent: other}, {Type: "a"}, {Agent: d.agent, Source: "s"}, {Level: telemetry.LevelError}, {Since: time.Unix(0, 0)},
		} {
			p, err := d.List(context.Background(), d.sc, f, page.Request{Limit: 500})
			if err != nil {
				t.Fatal(err)
			}
			counted, err := d.List(context.Background(), d.sc, f, page.Request{Limit: 1, Count: true})
			if err != nil || counted.Total != len(p.Items) {
				t.Errorf("%+v: counted %d of %d, %v", f, counted.Total, len(p.Items), err)
			}
		}
	}
	var batch []telemetry.NewEvent
	for i := range 240 {
		e := telemetry.NewEvent{Agent: d.agent, Type: "a"}
		if i%3 == 0 {
			e.Agent, e.Source = other, "s"
		}
		if i%5 == 0 {
			e.Type, e.Level = "b", telemetry.LevelError
		}
		batch = append(batch, e)
	}
	got, err := d.Report(context.Background(), d.sc, batch)
	if err != nil {
		t.Fatal(err)
	}
	check()
	d.report(t, telemetry.NewEvent{Type: "a"}, telemetry.NewEvent{ID: d.given(), Type: "a"})
	check()
	for _, r := range []struct {
		agent  id.Agent
		before time.Time
		limit  int
		want   int
	}{{other, got[50].At, 1000, 17}, {id.Agent{}, time.Time{}, 30, 30}, {d.agent, time.Time{}, 1000, 0}, {id.Agent{}, time.Time{}, 1000, 0}} {
		n, err := d.repo.DeleteEvents(context.Background(), d.sc, r.agent, r.before, r.limit)
		if err != nil || r.want > 0 && n != r.want || n == 0 {
			t.Fatalf("%+v: %d, %v", r, n, err)
		}
		check()
	}
	d.finds(t, telemetry.Filter{})
}

func testEventAfter(t *testing.T, d *desk) {
	e := d.report(t, make([]telemetry.NewEvent, 5)...)
	for i := range e {
		got, err := d.After(context.Background(), d.sc, telemetry.Filter{Agent: d.agent}, e[i].Place(), 2)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(names(e[i+1:min(i+3, len(e))]), names(got)); diff != "" {
			t.Errorf("after %d (-want +got):\n%s", i, diff)
		}
	}
	got, err := d.After(context.Background(), d.sc, telemetry.Filter{}, telemetry.Place{At: e[2].At}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names(e[2:]), names(got)); diff != "" {
		t.Errorf("from a time on (-want +got):\n%s", diff)
	}
}

var errUndo = errors.New("undo")

func testEventRollback(t *testing.T, d *desk) {
	kept := d.report(t, telemetry.NewEvent{})
	err := d.tx.Do(context.Background(), func(ctx context.Context) error {
		if _, err := d.Report(ctx, d.sc, []telemetry.NewEvent{{Agent: d.agent, Type: "tick"}, {Agent: d.agent, Type: "tick"}}); err != nil {
			return err
		}
		if _, err := d.Report(ctx, d.sc, []telemetry.NewEvent{{ID: d.given(), Agent: d.agent, Type: "tick"}}); err != nil {
			return err
		}
		p, err := d.List(ctx, d.sc, telemetry.Filter{}, page.Request{Count: true})
		if err != nil || p.Total != 4 || len(p.Items) != 4 {
			t.Errorf("within: %d of %d, %v", len(p.Items), p.Total, err)
		}
		if n, err := d.repo.DeleteEvents(ctx, d.sc, d.agent, time.Time{}, 10); err != nil || n != 4 {
			t.Errorf("deleted %d, %v", n, err)
		}
		return errUndo
	})
	if !errors.Is(err, errUndo) {
		t.Fatal(err)
	}
	d.finds(t, telemetry.Filter{}, kept...)
	if len(d.heard) != 1 {
		t.Errorf("the listener heard of %d events", len(d.heard))
	}
}

func testEventCancelled(t *testing.T, d *desk) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.ReportOne(ctx, d.sc, telemetry.NewEvent{Agent: d.agent, Type: "x"}); err == nil {
		p, err := d.List(context.Background(), d.sc, telemetry.Filter{}, page.Request{})
		if err != nil || len(p.Items) != 1 {
			t.Errorf("accepted, and %d are there, %v", len(p.Items), err)
		}
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	} else {
		d.finds(t, telemetry.Filter{})
	}
}

// testEventsTogether has callers come at once, of whom one is refused by the store: the others' events are all there.
func testEventsTogether(t *testing.T, d *desk) {
	const callers, each = 8, 6
	taken := d.report(t, telemetry.NewEvent{})[0]
	var wg sync.WaitGroup
	var mu sync.Mutex
	var accepted []string
	for c := range callers {
		wg.Go(func() {
			for n := range each {
				if c == 0 {
					// Nothing but a fault of the program makes an ID twice; the store refuses it, whoever shares the transaction.
					if _, err := d.repo.InsertEvents(context.Background(), d.sc, []telemetry.Event{taken}); err == nil {
						t.Error("an ID of the server was stored twice")
					}
					continue
				}
				events := make([]telemetry.NewEvent, 1+n%3)
				for i := range events {
					events[i] = telemetry.NewEvent{Agent: d.agent, Type: "together"}
				}
				got, err := d.Report(context.Background(), d.sc, events)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				accepted = append(accepted, names(got)...)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	p, err := d.List(context.Background(), d.sc, telemetry.Filter{Type: "together"}, page.Request{Limit: 500, Count: true})
	if err != nil {
		t.Fatal(err)
	}
	there := names(p.Items)
	slices.Sort(there)
	slices.Sort(accepted)
	if diff := cmp.Diff(accepted, there); diff != "" || p.Total != len(there) || len(there) != (callers-1)*each*2 {
		t.Errorf("%d accepted, %d there, %d counted (-want +got):\n%s", len(accepted), len(there), p.Total, diff)
	}
}

func testEventListener(t *testing.T, d *desk) {
	e := d.report(t, telemetry.NewEvent{ID: d.given(), Type: "x"})
	repeated := telemetry.NewEvent{ID: e[0].ID, Agent: d.agent, Type: "x"}
	got, err := d.Report(context.Background(), d.sc, []telemetry.NewEvent{{Agent: d.agent, Type: "y"}, repeated, {Agent: d.agent, Type: "z"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names([]telemetry.Event{e[0], got[0], got[2]}), names(d.heard)); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}

// notes checks what the trail has.
func (d *desk) noted(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, d.notes); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
	d.notes = nil
}

// clean checks how many events a request deletes.
func (d *desk) clean(t *testing.T, r telemetry.CleanupRequest, want int) {
	t.Helper()
	if n, err := d.Cleanup(context.Background(), d.sc, r); err != nil || n != want {
		t.Errorf("%+v: %d, %v, want %d", r, n, err, want)
	}
}

func testCleanup(t *testing.T, d *desk) {
	other := d.otherAgent()
	e := d.report(t, telemetry.NewEvent{}, telemetry.NewEvent{Agent: other}, telemetry.NewEvent{})
	d.mu.Lock()
	d.now = d.now.Add(48 * time.Hour)
	d.mu.Unlock()
	e = append(e, d.report(t, telemetry.NewEvent{}, telemetry.NewEvent{Agent: other})...)
	d.clean(t, telemetry.CleanupRequest{OlderThan: 72 * time.Hour}, 0)
	d.noted(t)
	d.clean(t, telemetry.CleanupRequest{OlderThan: 24 * time.Hour, Agent: d.agent}, 2)
	d.noted(t, "events_deleted 2")
	d.finds(t, telemetry.Filter{}, e[1], e[3], e[4])
	if _, err := d.Cleanup(context.Background(), d.sc, telemetry.CleanupRequest{OlderThan: -1}); !errors.Is(err, telemetry.ErrInvalid) {
		t.Errorf("a negative age: %v", err)
	}
	// Whatever is there now goes, also what came in this very millisecond.
	last := d.report(t, telemetry.NewEvent{ID: d.given(), At: d.now.Add(time.Millisecond)})
	d.clean(t, telemetry.CleanupRequest{Agent: d.agent}, 2)
	d.finds(t, telemetry.Filter{}, e[1], e[4])
	if _, err := d.Get(context.Background(), d.sc, last[0].ID); !errors.Is(err, id.NotFound[id.ReportKind]("")) {
		t.Errorf("a deleted event: %v", err)
	}
}

func testCleanupByName(t *testing.T, d *desk) {
	a, b, c := d.otherAgent(), d.otherAgent(), d.otherAgent()
	d.named["twin"], d.named["single"] = []id.Agent{a, b}, []id.Agent{c}
	e := d.report(t, telemetry.NewEvent{Agent: a}, telemetry.NewEvent{Agent: b}, telemetry.NewEvent{Agent: c}, telemetry.NewEvent{})
	stranger := d.otherAgent()
	d.unknown[stranger] = true
	for _, r := range []telemetry.CleanupRequest{
		{AgentName: "nobody"}, {AgentName: "single", Agent: a}, {Agent: stranger}, {AgentName: "single", Agent: stranger},
	} {
		if n, err := d.Cleanup(context.Background(), d.sc, r); n != 0 || !errors.Is(err, id.NotFound[id.AgentKind]("")) {
			t.Errorf("%+v: %d, %v", r, n, err)
		}
	}
	d.finds(t, telemetry.Filter{}, e...)
	d.clean(t, telemetry.CleanupRequest{AgentName: "twin", Agent: b}, 1)
	d.finds(t, telemetry.Filter{}, e[0], e[2], e[3])
	d.clean(t, telemetry.CleanupRequest{AgentName: "twin"}, 1)
	d.clean(t, telemetry.CleanupRequest{AgentName: "single"}, 1)
	d.finds(t, telemetry.Filter{}, e[3])
}

func testCleanupChunks(t *testing.T, d *desk) {
	d.report(t, make([]telemetry.NewEvent, 2*deskChunk)...)
	d.clean(t, telemetry.CleanupRequest{}, 2*deskChunk)
	d.noted(t, "events_deletion_begun 3", "events_deleted 6")
	d.finds(t, telemetry.Filter{})

	d.report(t, make([]telemetry.NewEvent, 3*deskChunk)...)
	ctx, cancel := context.WithCancel(context.Background())
	s, err := telemetry.NewService(telemetry.Deps{
		TX: d.tx, Clock: clock.Func(d.tick), IDs: d.ids, Logger: slog.New(slog.DiscardHandler), Events: &leaving{EventRepository: d.repo, leave: cancel}, Roster: d, Trail: d,
	}, telemetry.Config{Chunk: deskChunk})
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Cleanup(ctx, d.sc, telemetry.CleanupRequest{})
	if n != 2*deskChunk || !errors.Is(err, context.Canceled) {
		t.Errorf("%d, %v", n, err)
	}
	d.noted(t, "events_deletion_begun 3", "events_deleted 6")
	if p, err := d.List(context.Background(), d.sc, telemetry.Filter{}, page.Request{Count: true}); err != nil || p.Total != deskChunk {
		t.Errorf("%d are left, %v", p.Total, err)
	}
}

// leaving is a store whose caller goes away during the second deletion.
type leaving struct {
	telemetry.EventRepository

	leave func()
	calls int
}

func (l *leaving) DeleteEvents(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time, limit int) (int, error) {
	n, err := l.EventRepository.DeleteEvents(context.WithoutCancel(ctx), sc, agent, before, limit)
	if l.calls++; l.calls == 2 {
		l.leave()
	}
	return n, err
}

func testEventForget(t *testing.T, d *desk) {
	other := d.otherAgent()
	d.report(t, make([]telemetry.NewEvent, 3*deskChunk-1)...)
	kept := d.report(t, telemetry.NewEvent{Agent: other})
	unfinished := func(want bool) {
		t.Helper()
		if got, err := d.Unfinished(context.Background(), d.sc, d.agent); err != nil || got != want {
			t.Errorf("unfinished: %v, %v", got, err)
		}
	}
	// Nothing runs in the background: each call takes one chunk, as the sweep does after a crash.
	forget := func() {
		t.Helper()
		if err := d.tx.Do(context.Background(), func(ctx context.Context) error { return d.Forget(ctx, d.sc, d.agent) }); err != nil {
			t.Fatal(err)
		}
	}
	forget()
	unfinished(true)
	forget()
	unfinished(true)
	forget()
	unfinished(false)
	forget()
	d.finds(t, telemetry.Filter{}, kept...)

	d.report(t, make([]telemetry.NewEvent, 3*deskChunk)...)
	forget()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { d.Run(ctx) })
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for left, deadline := true, time.Now().Add(10*time.Second); left; <-tick.C {
		var err error
		if left, err = d.Unfinished(context.Background(), d.sc, d.agent); err != nil || time.Now().After(deadline) {
			t.Fatalf("the events are still there, %v", err)
		}
	}
	d.finds(t, telemetry.Filter{}, kept...)
}
