package bunstore

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// boardLab is a tenant with a dashboard, at noon of 2026-11-21.
type boardLab struct {
	*usage.Board

	t     *testing.T
	s     *Store
	sc    account.Scope
	ids   id.Generator
	now   time.Time
	agent [2]id.Agent
}

func newBoardLab(t *testing.T, s *Store) *boardLab {
	t.Helper()
	l := &boardLab{t: t, s: s, ids: id.NewGenerator(time.Now), now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	l.sc = account.System(id.New[id.TenantKind](l.ids))
	for i := range l.agent {
		l.agent[i] = id.New[id.AgentKind](l.ids)
	}
	var err error
	l.Board, err = usage.NewBoard(usage.BoardDeps{
		Clock: clock.Func(func() time.Time { return l.now }), Repository: s.Usage(), Errors: s.ErrorEvents(), Opinions: s.Feedback(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// used stores a row, some days ago.
func (l *boardLab) used(agent int, model string, days int, cents, calls, failed int64) {
	l.t.Helper()
	cost := money.Pico(cents * money.MicrosPerUnit / 100 * money.PicosPerMicro)
	_, err := l.s.Usage().Insert(l.t.Context(), l.sc, usage.Row{
		ID: id.New[id.UsageKind](l.ids), Agent: l.agent[agent], Model: model, Provider: "p-" + model, Calls: calls, Errors: failed, Cost: &cost,
		Latency: time.Duration(cents) * time.Second, CreatedAt: l.now.AddDate(0, 0, -days),
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// reported stores an event, some days ago.
func (l *boardLab) reported(agent int, level telemetry.Level, days int) {
	l.t.Helper()
	at := l.now.AddDate(0, 0, -days)
	_, err := l.s.Events().InsertEvents(l.t.Context(), l.sc, []telemetry.Event{{
		ID: id.New[id.ReportKind](id.NewGenerator(func() time.Time { return at })), Tenant: l.sc.Tenant, Agent: l.agent[agent], Type: "t",
		Level: level, At: at,
	}})
	if err != nil {
		l.t.Fatal(err)
	}
}

// thought stores feedback, some days ago.
func (l *boardLab) thought(agent int, kind string, days int) {
	l.t.Helper()
	err := l.s.Feedback().InsertFeedback(l.t.Context(), l.sc, telemetry.Feedback{
		ID: id.New[id.FeedbackKind](l.ids), Tenant: l.sc.Tenant, Target: telemetry.TargetAgent, TargetID: l.agent[agent].UUID(),
		Agent: l.agent[agent], Type: kind, At: l.now.AddDate(0, 0, -days),
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// figures writes figures in one line: calls, failed calls, cost, average latency, events of errors, satisfaction.
func figures(f usage.Figures) string {
	share := "-"
	if s := f.Opinion.Share(); s != nil {
		share = fmt.Sprint(*s)
	}
	return fmt.Sprintf("%d/%d $%s %s e%d s%s", f.Calls, f.Errors, f.Cost.Dollars(), f.Latency(), f.ErrorEvents, share)
}

func (l *boardLab) show(r usage.DashboardRequest) []string {
	l.t.Helper()
	d, err := l.Dashboard(l.t.Context(), l.sc, r)
	if err != nil {
		l.t.Fatal(err)
	}
	out := []string{
		fmt.Sprint(d.PreviousSince.Format(time.DateOnly), " ", d.Since.Format(time.DateOnly), " ", d.Until.Format(time.DateOnly)),
		figures(d.Total), figures(d.Previous),
	}
	for _, g := range d.Groups {
		key := g.Key
		for i, a := range l.agent {
			if key == a.UUID().String() {
				key = fmt.Sprint("agent", i)
			}
		}
		out = append(out, key+": "+figures(g.Figures)+" before "+figures(g.Previous))
	}
	if d.LeftOut > 0 {
		out = append(out, fmt.Sprint("and ", d.LeftOut))
	}
	return out
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newBoardLab(t, s)
		l.used(0, "m1", 0, 10, 2, 1)
		l.used(0, "m2", 29, 20, 1, 0)
		l.used(1, "m1", 1, 40, 1, 0)
		l.used(1, "m1", 30, 5, 1, 1) // the period before
		l.used(1, "m1", 60, 999, 1, 1)
		l.reported(0, telemetry.LevelError, 0)
		l.reported(0, telemetry.LevelCritical, 1)
		l.reported(0, telemetry.LevelWarning, 1)
		l.reported(1, telemetry.LevelError, 31)
		l.thought(0, telemetry.ThumbsUp, 0)
		l.thought(0, telemetry.ThumbsDown, 2)
		l.thought(1, telemetry.ThumbsUp, 1)
		l.thought(1, telemetry.ThumbsDown, 40)
		other := newBoardLab(t, s)
		other.used(0, "m1", 0, 1000, 1, 1)
		other.reported(0, telemetry.LevelError, 0)
		other.thought(0, telemetry.ThumbsDown, 0)

		const days, none = "2026-09-23 2026-10-23 2026-11-22", "0/0 $0 0s e0 s-"
		total, before := "4/1 $0.7 20s e2 s0.6666666666666666", "1/1 $0.05 5s e1 s0"
		for name, c := range map[string]struct {
			r    usage.DashboardRequest
			want []string
		}{
			"total": {usage.DashboardRequest{}, []string{days, total, before}},
			"by agent": {usage.DashboardRequest{By: usage.GroupAgent}, []string{
				days, total, before, "agent1: 1/0 $0.4 40s e0 s1 before " + before, "agent0: 3/1 $0.3 13.333333s e2 s0.5 before " + none,
			}},
			"by model": {usage.DashboardRequest{By: usage.GroupModel}, []string{
				days, total, before, "m1: 3/1 $0.5 20s e0 s- before 1/1 $0.05 5s e0 s-", "m2: 1/0 $0.2 20s e0 s- before " + none,
			}},
			"the first provider": {usage.DashboardRequest{By: usage.GroupProvider, Limit: 1}, []string{
				days, total, before, "p-m1: 3/1 $0.5 20s e0 s- before 1/1 $0.05 5s e0 s-", "and 1",
			}},
			"by day, of one agent": {usage.DashboardRequest{By: usage.GroupDay, Agent: l.agent[0]}, []string{
				days, "3/1 $0.3 13.333333s e2 s0.5", none, "2026-10-23: 1/0 $0.2 20s e0 s- before " + none,
				"2026-11-19: 0/0 $0 0s e0 s0 before " + none, "2026-11-20: 0/0 $0 0s e1 s- before " + none,
				"2026-11-21: 2/1 $0.1 10s e1 s1 before " + none,
			}},
			"the last day": {usage.DashboardRequest{By: usage.GroupDay, Limit: 1, Agent: l.agent[0]}, []string{
				days, "3/1 $0.3 13.333333s e2 s0.5", none, "2026-11-21: 2/1 $0.1 10s e1 s1 before " + none, "and 3",
			}},
			"whole days": {usage.DashboardRequest{Since: l.now, Until: l.now.Add(time.Minute), By: usage.GroupAgent}, []string{
				"2026-11-20 2026-11-21 2026-11-22", "2/1 $0.1 10s e1 s1", "1/0 $0.4 40s e1 s1", "agent0: 2/1 $0.1 10s e1 s1 before 0/0 $0 0s e1 s-",
				"agent1: " + none + " before 1/0 $0.4 40s e0 s1",
			}},
		} {
			if diff := cmp.Diff(c.want, l.show(c.r)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		for name, r := range map[string]usage.DashboardRequest{
			"backwards": {Since: l.now, Until: l.now.Add(-time.Hour)}, "empty": {Since: l.now, Until: l.now}, "long": {Since: l.now.AddDate(-2, 0, 0)},
			"from the beginning": {Since: time.Unix(0, 0), Until: l.now}, "the future": {Since: l.now.AddDate(1, 0, 0)},
		} {
			if _, err := l.Dashboard(t.Context(), l.sc, r); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: %v; want fault.Invalid", name, err)
			}
		}
	})
}

// TestDashboardPlans: no query of a dashboard or a budget looks at usage rows, or at events that are no errors.
func TestDashboardPlans(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newBoardLab(t, s)
		since, until := l.now.Truncate(24*time.Hour), l.now.Truncate(24*time.Hour).AddDate(0, 0, 30)
		queries := map[string]func() (string, []any){
			"telemetry_events_errors": func() (string, []any) {
				return s.ErrorEvents().query(l.sc, id.Agent{}, since, until, usage.GroupAgent)
			},
		}
		for _, by := range []usage.Grouping{usage.GroupNone, usage.GroupAgent, usage.GroupModel, usage.GroupProvider, usage.GroupDay} {
			f := usage.Filter{Since: since, Until: until}
			parts := usageParts(f)
			if len(parts) != 1 || !parts[0].days {
				t.Fatalf("%+v is read as %+v; want days alone", f, parts)
			}
			queries["usage_days "+string(by)] = func() (string, []any) { return s.Usage().usagePartSQL(l.sc, f, by, parts[0]) }
		}
		for name, query := range queries {
			q, args := query()
			plan := explain(t, s, q, args...)
			table, _, _ := strings.Cut(name, " ")
			if s.postgres() { // which takes any index of an empty table
				table = strings.TrimSuffix(table, "_errors")
			}
			if !strings.Contains(plan, table) || strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "SCAN ") {
				t.Errorf("%s: %s", name, plan)
			}
		}
	})
}

// explain returns a query's plan. Postgres does not scan tables here, which it otherwise prefers while they are empty.
func explain(t *testing.T, s *Store, q string, args ...any) string {
	t.Helper()
	var plan strings.Builder
	err := s.Do(t.Context(), func(ctx context.Context) error {
		db, prefix := s.read(ctx), "EXPLAIN QUERY PLAN "
		if s.postgres() {
			prefix = "EXPLAIN "
			if _, err := db.ExecContext(ctx, "SET LOCAL enable_seqscan = off"); err != nil {
				return err
			}
		}
		rows, err := db.QueryContext(ctx, prefix+q, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			line := ""
			dest := []any{&line}
			if !s.postgres() {
				var n int
				dest = []any{&n, &n, &n, &line}
			}
			if err := rows.Scan(dest...); err != nil {
				return err
			}
			plan.WriteString(line + "\n")
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
