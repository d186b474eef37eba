package usagetest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/jobs"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/page"
)

// queue keeps jobs until a test works on them.
type queue struct{ jobs []jobs.Job }

// Enqueue implements jobs.Queue.
func (q *queue) Enqueue(_ context.Context, j jobs.Job) error {
	q.jobs = append(q.jobs, j)
	return nil
}

func (s *shop) rerater(t *testing.T) (*usage.Rerater, *queue) {
	t.Helper()
	q := &queue{}
	r, err := usage.NewRerater(usage.RerateDeps{
		TX: s.stores.TX, Clock: s.clock, IDs: s.ids, Logger: slog.New(slog.DiscardHandler), Rows: s.stores.Usage, Repository: s.stores.Rerate,
		Prices: s.PriceBook, Agents: agents{&bench{}}, Jobs: q, Trail: s.notes,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, q
}

// used stores what a client reports of a day, and one row of a session.
func (s *shop) used(t *testing.T) {
	t.Helper()
	s.set(t, cheap("x", 10, "2026-01-01", ""))
	for _, r := range []usage.Report{
		{Model: "x", Provider: "openai", At: date("2026-02-01"), Counts: usage.Counts{Input: 3}},
		{Model: "x", Provider: "openai", At: date("2026-07-01"), Counts: usage.Counts{Input: 5}},
		{Model: "y", Provider: "openai", At: date("2026-07-02"), Counts: usage.Counts{Input: 7}},
		{Model: "never", Provider: "acme", At: date("2026-07-03"), Counts: usage.Counts{Input: 11}},
	} {
		r.Agent = s.agent
		if _, err := s.meter.Report(bg, s.sc, r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.meter.Record(bg, s.sc, usage.Row{
		Agent: s.agent, Session: id.New[id.SessionKind](s.ids), Act: id.New[id.ActKind](s.ids), Provider: "openai", Model: "x",
		Usage: llm.Usage{Input: 2}, CreatedAt: date("2026-07-04"),
	}); err != nil {
		t.Fatal(err)
	}
	s.set(t, cheap("x", 4, "2026-06-01", ""), cheap("y", 1, "", "")) // the price fell, and nobody had said so
}

func whole() usage.RerateRequest { return usage.RerateRequest{Since: date("2026-01-01")} }

var (
	wantX     = usage.RerateSums{Rows: 3, Old: usage.Total{Picos: 100}, New: usage.Total{Picos: 58}, Changed: 2, Settled: 1}
	wantY     = usage.RerateSums{Rows: 1, New: usage.Total{Picos: 7}, UnpricedBefore: 1, Changed: 1}
	wantNever = usage.RerateSums{Rows: 1, UnpricedBefore: 1, Unpriced: 1}
	wantTotal = usage.RerateSums{
		Rows: 5, Old: usage.Total{Picos: 100}, New: usage.Total{Picos: 65}, UnpricedBefore: 2, Unpriced: 1, Changed: 3, Settled: 1,
	}
	wantModels = []usage.RerateModel{
		{Provider: "acme", Model: "never", RerateSums: wantNever}, {Provider: "openai", Model: "x", RerateSums: wantX},
		{Provider: "openai", Model: "y", RerateSums: wantY},
	}
)

// testRerate asks, which changes nothing.
func testRerate(t *testing.T, s *shop) {
	s.used(t)
	r, _ := s.rerater(t)
	before := s.rows(t)
	got, err := r.Rerate(bg, s.sc, whole())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantModels, got.Models); diff != "" || got.Total != wantTotal || got.Status != usage.RerateDone || !got.ID.IsZero() {
		t.Errorf("%+v: %s", got, diff)
	}
	if d := got.Total.Difference(); d != "-0.000000000035" {
		t.Errorf("the difference is %s", d)
	}
	for what, c := range map[string]struct {
		change func(*usage.RerateRequest)
		want   usage.RerateSums
	}{
		"a model":    {func(q *usage.RerateRequest) { q.Model = "y" }, wantY},
		"a provider": {func(q *usage.RerateRequest) { q.Provider = "acme" }, wantNever},
		"an agent":   {func(q *usage.RerateRequest) { q.Agent = s.agent }, wantTotal},
		"a period": {func(q *usage.RerateRequest) { q.Until = date("2026-02-02") }, usage.RerateSums{
			Rows: 1, Old: usage.Total{Picos: 30}, New: usage.Total{Picos: 30},
		}},
		"at another time": {func(q *usage.RerateRequest) { q.Model, q.At = "x", date("2026-07-01") }, usage.RerateSums{
			Rows: 3, Old: usage.Total{Picos: 100}, New: usage.Total{Picos: 40}, Changed: 3, Settled: 1,
		}},
	} {
		q := whole()
		c.change(&q)
		if got, err := r.Rerate(bg, s.sc, q); err != nil || got.Total != c.want {
			t.Errorf("%s: %+v, %v; want %+v", what, got.Total, err, c.want)
		}
	}
	for path, q := range map[string]usage.RerateRequest{
		"since": {}, "until": {Since: date("2026-02-01"), Until: date("2026-02-01")},
		"at": {Since: date("2026-01-01"), At: date("2026-01-01"), Apply: true},
	} {
		if _, err := r.Rerate(bg, s.sc, q); !hasField(err, path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if diff := cmp.Diff(before, s.rows(t), same); diff != "" {
		t.Error(diff)
	}
}

func hasField(err error, path string) bool {
	f, ok := fault.As(err)
	return ok && slices.ContainsFunc(f.Fields, func(f fault.Field) bool { return f.Path == path })
}

func (s *shop) rows(t *testing.T) []usage.Row {
	t.Helper()
	p, err := s.meter.List(bg, s.sc, usage.Filter{}, page.Request{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return p.Items
}

// testRerateApply changes what clients reported, with what it adds up to, and nothing that is settled.
func testRerateApply(t *testing.T, s *shop) {
	s.used(t)
	r, q := s.rerater(t)
	before := s.rows(t)
	req := whole()
	req.Apply = true
	asked, err := r.Rerate(bg, s.sc, req)
	if err != nil || asked.Status != usage.RerateRunning || len(q.jobs) != 1 || q.jobs[0].Kind != usage.RerateJob {
		t.Fatalf("%+v, %v, %d jobs", asked, err, len(q.jobs))
	}
	s.set(t, cheap("x", 1000, "2026-06-01", "")) // later prices do not count for it
	for range 2 {                                // a job may come twice
		if err := r.Work(bg, q.jobs[0].Args); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Get(bg, s.sc, asked.ID)
	if err != nil || got.Status != usage.RerateDone || got.Total != wantTotal || got.EndedAt.IsZero() || !got.Request.Since.Equal(req.Since) {
		t.Fatalf("%+v, %v", got, err)
	}
	if diff := cmp.Diff(wantModels, got.Models); diff != "" {
		t.Error(diff)
	}
	want := []int64{20, -1, 7, 20, 30} // the session's, never, y, x in July, x in February
	for i, row := range s.rows(t) {
		cost := int64(-1)
		if row.Cost != nil {
			cost = int64(*row.Cost)
		}
		if stamped := row.Rerate == asked.ID; cost != want[i] || stamped != (i == 2 || i == 3) || stamped && row.PriceID == before[i].PriceID {
			t.Errorf("row %d: %+v; want %d", i, row, want[i])
		}
	}
	sum, err := s.meter.Summary(bg, s.sc, usage.Filter{}, usage.GroupNone)
	if err != nil || sum.Total.Cost != (usage.Total{Picos: 77}) || sum.Total.Unpriced != 1 {
		t.Errorf("the days say %+v, %v", sum.Total, err)
	}
	for i, action := range []string{"usage_rerate_started <nil>", "price_set x", "usage_rerated <nil>"} {
		if n := len(s.notes.actions) - 3 + i; s.notes.actions[n] != action {
			t.Errorf("noted %q; want %q", s.notes.actions[n], action)
		}
	}
	stranger := account.System(id.New[id.TenantKind](s.ids))
	if _, err := r.Get(bg, stranger, asked.ID); !errors.Is(err, id.NotFound[id.RerateKind]("")) {
		t.Errorf("somebody else's: %v", err)
	}
}

// testRerateOnce: work that breaks off goes on where it was, and memory does not grow with the rows.
func testRerateOnce(t *testing.T, s *shop) {
	const many = 450 // more than two transactions
	s.set(t, cheap("x", 10, "", ""))
	var reports []usage.Report
	for i := range many {
		reports = append(reports, usage.Report{
			Agent: s.agent, Model: "x", Provider: "openai", At: date("2026-05-01").Add(time.Duration(i%7) * time.Hour), Counts: usage.Counts{Input: 1},
		})
	}
	if _, err := s.meter.Reports(bg, s.sc, reports); err != nil {
		t.Fatal(err)
	}
	s.set(t, cheap("x", 3, "", ""))
	r, q := s.rerater(t)
	req := whole()
	req.Apply = true
	asked, err := r.Rerate(bg, s.sc, req)
	if err != nil {
		t.Fatal(err)
	}
	for breaks := 0; ; breaks++ {
		ctx, cancel := context.WithCancel(bg)
		before, err := r.Get(bg, s.sc, asked.ID)
		if err != nil {
			t.Fatal(err)
		}
		// It is stopped as soon as it has come further.
		go func() {
			defer cancel()
			for now := before; err == nil && now.Total.Rows == before.Total.Rows && now.Status == usage.RerateRunning; {
				now, err = r.Get(ctx, s.sc, asked.ID)
			}
		}()
		if err := r.Work(ctx, q.jobs[0].Args); err == nil {
			cancel()
			break
		}
		if breaks == 10 {
			t.Fatal("it does not come further")
		}
	}
	got, err := r.Get(bg, s.sc, asked.ID)
	want := usage.RerateSums{Rows: many, Old: usage.Total{Picos: 10 * many}, New: usage.Total{Picos: 3 * many}, Changed: many}
	if err != nil || got.Total != want {
		t.Errorf("%+v, %v; want %+v", got.Total, err, want)
	}
	sum, err := s.meter.Summary(bg, s.sc, usage.Filter{}, usage.GroupNone)
	if err != nil || sum.Total.Cost != (usage.Total{Picos: 3 * many}) {
		t.Errorf("the days say %+v, %v", sum.Total, err)
	}
}
