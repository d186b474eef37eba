package bunstore

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/bus/memory"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/span"
	"github.com/bureau-agents/bureau/core/span/spantest"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestSpans(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		spantest.Run(t, spantest.Config{New: func(*testing.T) (span.Ledger, tx.Runner) { return s.Spans(), s }})
	})
}

// tailDesk is a tenant whose events come by themselves.
type tailDesk struct {
	t    *testing.T
	s    *Store
	sc   account.Scope
	ids  id.Generator
	tail *telemetry.Tail
}

func newTailDesk(t *testing.T, s *Store) *tailDesk {
	t.Helper()
	ids := id.NewGenerator(time.Now)
	tail, err := telemetry.NewTail(telemetry.TailDeps{
		Clock: clock.Func(time.Now), IDs: ids, Logger: slog.New(slog.DiscardHandler), Bus: memory.New(), Repository: s.Events(),
	}, telemetry.TailConfig{Hold: 5 * time.Millisecond, Poll: 20 * time.Millisecond, MaxStreams: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tail.Stop(context.Background()) })
	return &tailDesk{t, s, account.System(id.New[id.TenantKind](ids)), ids, tail}
}

// store keeps an event of this kind that the server took so long ago.
func (d *tailDesk) store(kind string, ago time.Duration) telemetry.Event {
	d.t.Helper()
	at := time.Now().Add(-ago).Truncate(time.Millisecond).UTC()
	ids := d.ids // in order, also within a millisecond
	if ago > 0 {
		ids = id.NewGenerator(func() time.Time { return at })
	}
	own := id.New[id.ReportKind](ids)
	if ms, _ := madeAt(own.UUID()); ago == 0 {
		at = time.UnixMilli(ms).UTC()
	}
	e := telemetry.Event{
		ID: own, Agent: id.New[id.AgentKind](d.ids), Type: kind,
		Level: telemetry.LevelInfo, At: at, Payload: []byte(`{"kind":"` + kind + `"}`),
	}
	d.insert(e)
	return e
}

// export keeps an event that came by OTLP now and happened an hour ago.
func (d *tailDesk) export(kind string) telemetry.Event {
	d.t.Helper()
	u := d.ids.NewUUID()
	u[0], u[1], u[6] = 0, 0, 0x80|u[6]&0x0f
	e := telemetry.Event{
		ID: id.Of[id.ReportKind](u), Agent: id.New[id.AgentKind](d.ids), Type: kind, Level: telemetry.LevelInfo,
		At: time.Now().Add(-time.Hour).Truncate(time.Millisecond).UTC(),
	}
	if _, err := d.s.Spans().Take(d.t.Context(), d.sc, []span.Arrival{{Event: e.ID, Number: id.New[id.ReportKind](d.ids)}}); err != nil {
		d.t.Fatal(err)
	}
	d.insert(e)
	return e
}

func (d *tailDesk) insert(e telemetry.Event) {
	d.t.Helper()
	if _, err := d.s.Events().InsertEvents(d.t.Context(), d.sc, []telemetry.Event{e}); err != nil {
		d.t.Fatal(err)
	}
	d.tail.Reported(d.t.Context(), d.sc, nil)
}

func (d *tailDesk) open(f telemetry.Filter, after id.Report) (next func(n int) []string) {
	d.t.Helper()
	st, err := d.tail.Open(d.t.Context(), d.sc, f, after)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second)
	shown := make(chan string, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e, err := range st.Events(ctx) {
			switch {
			case err != nil:
				shown <- err.Error()
			case e.Late:
				shown <- e.Event.Type + " late"
			default:
				shown <- e.Event.Type
			}
		}
	}()
	d.t.Cleanup(func() {
		cancel()
		<-done
		st.Close()
	})
	return func(n int) (types []string) {
		d.t.Helper()
		for range n {
			select {
			case kind := <-shown:
				types = append(types, kind)
			case <-ctx.Done():
				d.t.Fatalf("no more came after %v", types)
			}
		}
		return types
	}
}

// came returns what came, in time or late: a busy machine takes longer to store an event than these streams hold them.
func came(types []string) []string {
	out := make([]string, len(types))
	for i, kind := range types {
		out[i] = strings.TrimSuffix(kind, " late")
	}
	slices.Sort(out)
	return out
}

func TestTail(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		t.Run("order", func(t *testing.T) {
			t.Parallel()
			d := newTailDesk(t, s)
			d.store("before", time.Second)
			all := d.open(telemetry.Filter{}, id.Report{})
			some := d.open(telemetry.Filter{Search: "NEEDLE"}, id.Report{})
			d.store("a", 0)
			exported := d.export("by otlp")
			last := d.store("needle", 0)
			if got := came(all(3)); !slices.Equal(got, []string{"a", "by otlp", "needle"}) {
				t.Errorf("got %v", got)
			}
			if got := came(some(1)); !slices.Equal(got, []string{"needle"}) {
				t.Errorf("the search got %v", got)
			}
			// What a transaction has held back is behind what was shown already.
			d.store("held back", 2*time.Second)
			d.store("c", 0)
			if got := all(2); !slices.Contains(got, "held back late") || !slices.Contains(came(got), "c") {
				t.Errorf("got %v", got)
			}
			for _, tc := range []struct {
				after id.Report
				want  []string
			}{{exported.ID, []string{"needle", "c"}}, {last.ID, []string{"c"}}} {
				st, err := d.tail.Open(t.Context(), d.sc, telemetry.Filter{}, tc.after)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for e, err := range st.Events(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					if got = append(got, e.Event.Type); len(got) == len(tc.want) {
						break
					}
				}
				st.Close()
				if !slices.Equal(got, tc.want) { // in order, which what is read afterwards always is
					t.Errorf("behind %v: %v, want %v", tc.after, got, tc.want)
				}
			}
		})
		t.Run("many", func(t *testing.T) {
			t.Parallel()
			d := newTailDesk(t, s)
			first := d.store("first", 2*time.Minute)
			events := make([]telemetry.Event, 1000)
			for i := range events {
				at := time.Now().Add(-time.Minute).Truncate(time.Millisecond).UTC()
				events[i] = telemetry.Event{
					ID: id.New[id.ReportKind](id.NewGenerator(func() time.Time { return at })), Agent: id.New[id.AgentKind](d.ids), Type: "n",
					Level: telemetry.LevelInfo, At: at,
				}
			}
			if _, err := s.Events().InsertEvents(t.Context(), d.sc, events); err != nil {
				t.Fatal(err)
			}
			d.store("last", 0)
			if got := d.open(telemetry.Filter{}, first.ID)(len(events) + 1); got[len(events)] != "last" || slices.Index(got, "last") != len(events) {
				t.Errorf("the last is %s", got[len(events)])
			}
		})
		t.Run("large", func(t *testing.T) {
			t.Parallel()
			d := newTailDesk(t, s)
			var want []id.Report
			base := time.Now().Add(-time.Second).Truncate(time.Millisecond).UTC()
			for i := range 8 { // two of the large ones are more than is read at once; others, which have ids of their own, come between
				at := base.Add(time.Duration(i) * time.Millisecond)
				number := id.New[id.ReportKind](id.NewGenerator(func() time.Time { return at }))
				e := telemetry.Event{ID: number, Agent: id.New[id.AgentKind](d.ids), Type: "n", Level: telemetry.LevelInfo, At: at}
				if i%2 == 0 {
					e.Payload = []byte(`{"x":"` + strings.Repeat("x", telemetry.MaxTakenBytes*2/3) + `"}`)
				} else {
					u := number.UUID()
					u[0], u[1], u[6] = 0, 0, 0x80|u[6]&0x0f
					e.ID = id.Of[id.ReportKind](u)
					if _, err := s.Spans().Take(t.Context(), d.sc, []span.Arrival{{Event: e.ID, Number: number}}); err != nil {
						t.Fatal(err)
					}
				}
				d.insert(e)
				want = append(want, e.ID)
			}
			var got []id.Report
			start := id.New[id.ReportKind](id.NewGenerator(func() time.Time { return base.Add(-time.Millisecond) }))
			for after, more, rounds := start, true, 0; more; rounds++ {
				found, goesOn, err := s.Events().Taken(t.Context(), d.sc, telemetry.Filter{}, after, id.New[id.ReportKind](d.ids), 200)
				if err != nil || rounds > 20 {
					t.Fatalf("round %d: %v", rounds, err)
				}
				size := 0
				for _, e := range found {
					after, size, got = e.Number, size+len(e.Event.Payload), append(got, e.Event.ID)
				}
				if more = goesOn; size > 2*telemetry.MaxTakenBytes || more && len(found) == 0 {
					t.Fatalf("round %d: %d events of %d bytes", rounds, len(found), size)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
		t.Run("limits", func(t *testing.T) {
			t.Parallel()
			d := newTailDesk(t, s)
			var open []*telemetry.TailStream
			for range 3 {
				st, err := d.tail.Open(t.Context(), d.sc, telemetry.Filter{}, id.Report{})
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, st)
			}
			refused := func(want error, after id.Report) {
				t.Helper()
				if _, err := d.tail.Open(t.Context(), d.sc, telemetry.Filter{}, after); err == nil || err.Error() != want.Error() {
					t.Errorf("got %v, want %v", err, want)
				}
			}
			refused(telemetry.ErrTooManyStreams, id.Report{})
			open[0].Close()
			open[0].Close()
			u := d.ids.NewUUID()
			u[6] = 0x80
			unknown := id.Of[id.ReportKind](u)
			refused(id.NotFound[id.ReportKind](unknown.String()), unknown)
			events := d.open(telemetry.Filter{}, id.Report{}) // the one that failed has taken nobody's place
			if err := d.tail.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := events(1); !slices.Equal(got, []string{telemetry.ErrStopping.Error()}) {
				t.Errorf("at the end: %v", got)
			}
			open[1].Close()
			refused(telemetry.ErrStopping, id.Report{})
		})
	})
}

// Two servers over one database, the hints between them lost: each shows what the other took.
func TestTailWithoutHints(t *testing.T) {
	t.Parallel()
	url := postgresURL(t)
	here, there := newTailDesk(t, openStore(t, Config{URL: url, PoolSize: 4})), newTailDesk(t, openStore(t, Config{URL: url, PoolSize: 4}))
	there.sc = here.sc
	events := there.open(telemetry.Filter{}, id.Report{})
	here.store("a", 0)
	there.store("b", 0)
	here.export("c")
	if got := came(events(3)); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %v", got)
	}
}
