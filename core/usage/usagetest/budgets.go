package usagetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// BudgetStores are what budgets are tested on.
type BudgetStores struct {
	Usage      usage.Repository
	Repository usage.BudgetRepository
	Counts     usage.BudgetCounts
	TX         tx.Runner
}

// RunBudgets runs the suite of budgets.
func RunBudgets(t *testing.T, open func(t *testing.T) BudgetStores) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *till){
		"RoundTrip":     testBudgetRoundTrip,
		"Invalid":       testBudgetInvalid,
		"Missing":       testBudgetMissing,
		"ForeignTenant": testBudgetForeign,
		"Limit":         testBudgetLimit,
		"Paging":        testBudgetPaging,
		"Change":        testBudgetChange,
		"Archive":       testBudgetArchive,
		"Forget":        testBudgetForget,
		"Levels":        testBudgetLevels,
		"Scopes":        testBudgetScopes,
		"Periods":       testBudgetPeriods,
		"Claimed":       testBudgetClaimed,
		"Together":      testBudgetTogether,
		"Recount":       testBudgetRecount,
		"Rollback":      testBudgetRollback,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newTill(t, open(t)))
		})
	}
}

// till is a bench with budgets.
type till struct {
	*bench

	budgets *usage.Budgets
	stores  BudgetStores
	mu      sync.Mutex
	told    []string
	noted   []string
	failing error
}

func newTill(t *testing.T, s BudgetStores) *till {
	t.Helper()
	b := &till{bench: newBench(t, s.Usage, s.TX), stores: s}
	b.open(t)
	return b
}

// open makes services on the stores, as another process would.
func (b *till) open(t *testing.T) *usage.Service {
	t.Helper()
	now := clock.Func(func() time.Time { return b.now })
	budgets, err := usage.NewBudgets(usage.BudgetDeps{
		TX: b.tx, Clock: now, IDs: b.ids, Repository: b.stores.Repository, Counts: b.stores.Counts, Agents: agents{b.bench}, Trail: b, Notices: b,
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := usage.NewService(usage.Deps{
		TX: b.tx, Clock: now, IDs: b.ids, Logger: slog.New(slog.DiscardHandler), Repository: b.repo, Agents: agents{b.bench}, Budgets: budgets,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.budgets, b.Service = budgets, s
	return s
}

// Note implements usage.Trail.
func (b *till) Note(ctx context.Context, _ account.Scope, action string, _ id.Agent, m map[string]any) error {
	b.tx.AfterCommit(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.noted = append(b.noted, fmt.Sprint(action, " ", m["name"]))
	})
	return nil
}

// Publish implements usage.Notices.
func (b *till) Publish(ctx context.Context, _ account.Scope, kind string, agent id.Agent, m map[string]any) error {
	if b.failing != nil {
		return b.failing
	}
	b.tx.AfterCommit(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		whose := "all"
		if !agent.IsZero() {
			whose = "one"
		}
		b.told = append(b.told, fmt.Sprint(kind, " ", m["name"], " ", whose, " ", m["percent"], "% ", m["spent"], "/", m["max"]))
	})
	return nil
}

// hears compares what people were told since the last call.
func (b *till) hears(t *testing.T, want ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if diff := cmp.Diff(want, b.told); diff != "" {
		t.Error(diff)
	}
	b.told = nil
}

func cents(n int64) *money.Pico { return picos(n * money.MicrosPerUnit / 100 * money.PicosPerMicro) }

// spend records a row that costs cents.
func (b *till) spend(t *testing.T, agent id.Agent, n int64) {
	t.Helper()
	b.record(t, usage.Row{Agent: agent, Model: "m", Provider: "p", Cost: cents(n), Price: "by hand"})
}

func (b *till) create(t *testing.T, n usage.NewBudget) usage.BudgetStatus {
	t.Helper()
	if n.Amount.Currency == "" {
		n.Amount = money.Of(money.MicrosPerUnit, money.USD)
	}
	if n.Period == "" {
		n.Period = usage.BudgetMonth
	}
	s, err := b.budgets.Create(bg, b.sc, n)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var sameBudget = cmp.Options{
	same, cmp.Comparer(func(a, b id.Budget) bool { return a == b }), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
}

func testBudgetRoundTrip(t *testing.T, b *till) {
	a := b.agent()
	b.spend(t, a, 3)
	made := b.create(t, usage.NewBudget{Name: "x", Agent: a, Model: "m", Provider: "p", Alerts: []int{90, 10}})
	want := usage.BudgetStatus{
		Budget: usage.Budget{
			ID: made.ID, Tenant: b.sc.Tenant, Name: "x", Agent: a, Model: "m", Provider: "p", Amount: money.Of(1_000_000, money.USD),
			Period: usage.BudgetMonth, Alerts: []int{10, 90}, CreatedAt: b.now, UpdatedAt: b.now,
		},
		Start: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), ResetsAt: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
		Spent: usage.Total{Micros: 30_000}, Remaining: usage.Total{Micros: 970_000}, Percent: 3,
	}
	if diff := cmp.Diff(want, made, sameBudget); diff != "" {
		t.Error(diff)
	}
	got, err := b.budgets.Get(bg, b.sc, made.ID)
	if diff := cmp.Diff(want, got, sameBudget); err != nil || diff != "" {
		t.Error(err, diff)
	}
	p, err := b.budgets.List(bg, b.sc, usage.BudgetFilter{}, page.Request{})
	if diff := cmp.Diff([]usage.BudgetStatus{want}, p.Items, sameBudget); err != nil || diff != "" {
		t.Error(err, diff)
	}
	quiet := b.create(t, usage.NewBudget{Name: "quiet", Alerts: []int{}})
	if quiet, err = b.budgets.Get(bg, b.sc, quiet.ID); err != nil || len(quiet.Alerts) != 0 {
		t.Errorf("no alerts: %v, %v", quiet.Alerts, err)
	}
	if diff := cmp.Diff([]string{"budget_created x", "budget_created quiet"}, b.noted); diff != "" {
		t.Error(diff)
	}
}

func testBudgetInvalid(t *testing.T, b *till) {
	good := usage.NewBudget{Name: "x", Amount: money.Of(1, money.USD), Period: usage.BudgetDay}
	for path, spoil := range map[string]func(*usage.NewBudget){
		"name":     func(n *usage.NewBudget) { n.Name = " " },
		"amount":   func(n *usage.NewBudget) { n.Amount.Micros = 0 },
		"model":    func(n *usage.NewBudget) { n.Model = "a\x00" },
		"provider": func(n *usage.NewBudget) { n.Provider = "\xff" },
		"period":   func(n *usage.NewBudget) { n.Period = "year" },
		"alerts":   func(n *usage.NewBudget) { n.Alerts = []int{50, 50} },
	} {
		n := good
		spoil(&n)
		_, err := b.budgets.Create(bg, b.sc, n)
		if known, ok := fault.As(err); !ok || !errors.Is(err, usage.ErrBudget) || known.Fields[0].Path != path {
			t.Errorf("%+v: %v; want a fault at %s", n, err, path)
		}
	}
	for _, n := range []usage.NewBudget{
		{Name: "x", Amount: money.Of(1, money.USDC), Period: usage.BudgetDay}, {Name: "x", Amount: money.Of(1<<60, money.USD), Period: usage.BudgetDay},
		{Name: "x", Amount: money.Of(1, money.USD), Period: usage.BudgetDay, Alerts: []int{0}},
		{Name: "x", Amount: money.Of(1, money.USD), Period: usage.BudgetDay, Alerts: []int{usage.MaxAlert + 1}},
		{Name: "x", Amount: money.Of(1, money.USD), Period: usage.BudgetDay, Alerts: make([]int, usage.MaxAlerts+1)},
	} {
		if _, err := b.budgets.Create(bg, b.sc, n); !errors.Is(err, usage.ErrBudget) {
			t.Errorf("%+v: %v; want ErrBudget", n, err)
		}
	}
	good.Agent = b.unknown
	if _, err := b.budgets.Create(bg, b.sc, good); !errors.Is(err, id.NotFound[id.AgentKind]("")) {
		t.Errorf("an unknown agent: %v", err)
	}
	made := b.create(t, usage.NewBudget{Name: "x"})
	if _, err := b.budgets.Update(bg, b.sc, made.ID, usage.BudgetPatch{Alerts: &[]int{0}}); !errors.Is(err, usage.ErrBudget) {
		t.Errorf("a bad change: %v", err)
	}
	if got, err := b.budgets.Get(bg, b.sc, made.ID); err != nil || !slices.Equal(got.Alerts, usage.DefaultAlerts()) {
		t.Errorf("a bad change was kept: %+v, %v", got, err)
	}
}

// everyCall makes each call that names a budget.
func (b *till) everyCall(of id.Budget) map[string]error {
	_, get := b.budgets.Get(bg, b.sc, of)
	_, update := b.budgets.Update(bg, b.sc, of, usage.BudgetPatch{})
	return map[string]error{"Get": get, "Update": update, "Archive": b.budgets.Archive(bg, b.sc, of)}
}

func testBudgetMissing(t *testing.T, b *till) {
	for call, err := range b.everyCall(id.New[id.BudgetKind](b.ids)) {
		if !errors.Is(err, id.NotFound[id.BudgetKind]("")) {
			t.Errorf("%s: %v; want budget_not_found", call, err)
		}
	}
}

func testBudgetForeign(t *testing.T, b *till) {
	other := newTill(t, b.stores)
	theirs := other.create(t, usage.NewBudget{Name: "theirs"})
	for call, err := range b.everyCall(theirs.ID) {
		if !errors.Is(err, id.NotFound[id.BudgetKind]("")) {
			t.Errorf("%s: %v; want budget_not_found", call, err)
		}
	}
	if p, err := b.budgets.List(bg, b.sc, usage.BudgetFilter{Archived: true}, page.Request{}); err != nil || len(p.Items) != 0 {
		t.Errorf("%+v, %v", p.Items, err)
	}
	b.spend(t, b.agent(), 100)
	other.hears(t)
	if got, err := other.budgets.Get(bg, other.sc, theirs.ID); err != nil || got.Percent != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func testBudgetLimit(t *testing.T, b *till) {
	const most = 3
	add := func() error {
		now := b.now
		return b.stores.Repository.InsertBudget(bg, b.sc, usage.CountedBudget{Budget: usage.Budget{
			ID: id.New[id.BudgetKind](b.ids), Name: "x", Period: usage.BudgetDay, CreatedAt: now, UpdatedAt: now,
		}}, most)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	for range 2 * most {
		wg.Go(func() {
			if err := add(); errors.Is(err, usage.ErrTooManyBudgets) {
				mu.Lock()
				refused++
				mu.Unlock()
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p, err := b.budgets.List(bg, b.sc, usage.BudgetFilter{}, page.Request{})
	if err != nil || len(p.Items) != most || refused != most {
		t.Fatalf("%d budgets, %d refused, %v", len(p.Items), refused, err)
	}
	if err := b.budgets.Archive(bg, b.sc, p.Items[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := add(); err != nil {
		t.Errorf("in the place of an archived one: %v", err)
	}
}

func testBudgetPaging(t *testing.T, b *till) {
	var want []id.Budget
	for range 5 {
		want = append([]id.Budget{b.create(t, usage.NewBudget{Name: "x"}).ID}, want...)
	}
	key := func(s usage.BudgetStatus) id.Budget { return s.ID }
	got := pagetest.Walk(t, 2, key, func(req page.Request) (page.Page[usage.BudgetStatus], error) {
		return b.budgets.List(bg, b.sc, usage.BudgetFilter{}, req)
	})
	if diff := cmp.Diff(want, got, sameBudget); diff != "" {
		t.Error(diff)
	}
}

func testBudgetChange(t *testing.T, b *till) {
	a := b.agent()
	made := b.create(t, usage.NewBudget{Name: "x"})
	b.spend(t, a, 85)
	b.hears(t, "budget.alert x all 50% 0.85/1.00", "budget.alert x all 80% 0.85/1.00")
	name, twice := "y", money.Of(2*money.MicrosPerUnit, money.USD)
	got, err := b.budgets.Update(bg, b.sc, made.ID, usage.BudgetPatch{Name: &name, Amount: &twice})
	if err != nil || got.Name != "y" || got.Percent != 42 || got.Period != usage.BudgetMonth {
		t.Fatalf("%+v, %v", got, err)
	}
	b.spend(t, a, 15)
	b.hears(t, "budget.alert y all 50% 1/2.00")
	once := money.Of(money.MicrosPerUnit, money.USD)
	if got, err = b.budgets.Update(bg, b.sc, made.ID, usage.BudgetPatch{Amount: &once, Alerts: &[]int{150, 100}}); err != nil || got.Percent != 100 {
		t.Fatalf("%+v, %v", got, err)
	}
	b.spend(t, a, 1)
	b.hears(t)
	b.spend(t, a, 49)
	b.hears(t, "budget.alert y all 150% 1.5/1.00")
	if got, err = b.budgets.Get(bg, b.sc, made.ID); err != nil || got.Remaining != (usage.Total{}) || got.Percent != 150 {
		t.Errorf("%+v, %v", got, err)
	}
}

func testBudgetArchive(t *testing.T, b *till) {
	made := b.create(t, usage.NewBudget{Name: "x"})
	for range 2 {
		if err := b.budgets.Archive(bg, b.sc, made.ID); err != nil {
			t.Fatal(err)
		}
	}
	b.spend(t, b.agent(), 100)
	b.hears(t)
	if _, err := b.budgets.Update(bg, b.sc, made.ID, usage.BudgetPatch{}); !errors.Is(err, usage.ErrBudgetArchived) {
		t.Errorf("%v; want ErrBudgetArchived", err)
	}
	if got, err := b.budgets.Get(bg, b.sc, made.ID); err != nil || got.ArchivedAt.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	for archived, want := range map[bool]int{false: 0, true: 1} {
		if p, err := b.budgets.List(bg, b.sc, usage.BudgetFilter{Archived: archived}, page.Request{}); err != nil || len(p.Items) != want {
			t.Errorf("archived %t: %+v, %v", archived, p.Items, err)
		}
	}
	if diff := cmp.Diff([]string{"budget_created x", "budget_archived x"}, b.noted); diff != "" {
		t.Error(diff)
	}
}

func testBudgetForget(t *testing.T, b *till) {
	a := b.agent()
	made := b.create(t, usage.NewBudget{Name: "x", Agent: a})
	other := b.create(t, usage.NewBudget{Name: "other", Agent: b.agent()})
	for range 2 {
		if err := b.budgets.ForgetAgent(bg, b.sc, a); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.budgets.Get(bg, b.sc, made.ID); !errors.Is(err, id.NotFound[id.BudgetKind]("")) {
		t.Errorf("%v; want budget_not_found", err)
	}
	if _, err := b.budgets.Get(bg, b.sc, other.ID); err != nil {
		t.Error(err)
	}
}

func testBudgetLevels(t *testing.T, b *till) {
	a := b.agent()
	b.spend(t, a, 60) // before there is a budget: it counts, and nobody is told
	b.create(t, usage.NewBudget{Name: "x", Agent: a})
	b.spend(t, a, 19)
	b.hears(t)
	b.record(t, usage.Row{Agent: a, Model: "m", Cost: picos(int64(*cents(1)) - 1), Price: "by hand"})
	b.hears(t) // a picodollar short
	b.record(t, usage.Row{Agent: a, Model: "m", Cost: picos(1), Price: "by hand"})
	b.hears(t, "budget.alert x one 80% 0.8/1.00")
	b.spend(t, a, 0)
	b.spend(t, a, 500)
	b.hears(t, "budget.alert x one 100% 5.8/1.00")
	b.spend(t, a, 500)
	b.hears(t)
	if diff := cmp.Diff([]string{"budget_created x", "budget_alert x", "budget_alert x"}, b.noted); diff != "" {
		t.Error(diff)
	}
}

func testBudgetScopes(t *testing.T, b *till) {
	a := b.agent()
	b.create(t, usage.NewBudget{Name: "all", Alerts: []int{100}})
	b.create(t, usage.NewBudget{Name: "agent", Agent: a, Alerts: []int{100}})
	b.create(t, usage.NewBudget{Name: "model", Model: "m2", Alerts: []int{100}})
	b.create(t, usage.NewBudget{Name: "provider", Agent: a, Provider: "p2", Alerts: []int{100}})
	if _, err := b.RecordAll(bg, b.sc,
		usage.Row{Agent: b.agent(), Model: "m", Provider: "p2", Cost: cents(60)},
		usage.Row{Agent: a, Model: "m", Provider: "p1", Cost: cents(99)},
		usage.Row{Agent: b.agent(), Model: "m2", Cost: cents(100)},
	); err != nil {
		t.Fatal(err)
	}
	b.hears(t, "budget.alert all all 100% 2.59/1.00", "budget.alert model all 100% 1/1.00")
	b.record(t, usage.Row{Agent: a, Model: "m", Provider: "p2", Cost: cents(100)})
	b.hears(t, "budget.alert agent one 100% 1.99/1.00", "budget.alert provider one 100% 1/1.00")
}

func testBudgetPeriods(t *testing.T, b *till) {
	a := b.agent()
	for _, p := range usage.BudgetPeriods() {
		b.create(t, usage.NewBudget{Name: string(p), Period: p, Alerts: []int{50}})
	}
	spend := func(cost int64, at time.Time) []string {
		t.Helper()
		b.told, b.now = nil, at
		b.spend(t, a, cost)
		names := map[string]bool{}
		for _, told := range b.told {
			var kind, name string
			if _, err := fmt.Sscan(told, &kind, &name); err != nil {
				t.Fatal(err)
			}
			names[name] = true
		}
		return slices.Sorted(maps.Keys(names))
	}
	day := func(m time.Month, d, hour int) time.Time { return time.Date(2026, m, d, hour, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		at   time.Time
		cost int64
		want []string
	}{
		{day(11, 21, 23), 50, []string{"day", "month", "total", "week"}}, // a Saturday
		{day(11, 22, 0), 50, []string{"day"}},
		{day(11, 23, 0), 40, nil}, // Monday
		{day(11, 24, 12), 10, []string{"week"}},
		{day(12, 1, 0), 60, []string{"day", "month", "week"}},
	} {
		if diff := cmp.Diff(c.want, spend(c.cost, c.at)); diff != "" {
			t.Errorf("%s: %s", c.at, diff)
		}
	}
	// What comes late counts where its time is: the week began in November.
	b.told = nil
	b.record(t, usage.Row{Agent: a, Model: "m", Cost: cents(1000), CreatedAt: day(11, 30, 0)})
	b.hears(t)
	p, err := b.budgets.List(bg, b.sc, usage.BudgetFilter{}, page.Request{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range p.Items {
		got[s.Name] = s.Spent.Dollars()
	}
	if diff := cmp.Diff(map[string]string{"day": "0.6", "week": "10.6", "month": "0.6", "total": "12.1"}, got); diff != "" {
		t.Error(diff)
	}
}

// testBudgetClaimed: where no price is known, what was reported counts.
func testBudgetClaimed(t *testing.T, b *till) {
	a := b.agent()
	made := b.create(t, usage.NewBudget{Name: "x"})
	b.record(t, usage.Row{Agent: a, Model: "unheard-of", Reported: cents(50)})
	b.hears(t, "budget.alert x all 50% 0.5/1.00")
	b.record(t, usage.Row{Agent: a, Model: "m", Cost: cents(29), Reported: cents(1000), Price: "by hand"})
	b.hears(t)
	got, err := b.budgets.Get(bg, b.sc, made.ID)
	if err != nil || got.Percent != 79 {
		t.Errorf("%+v, %v", got, err)
	}
}

// testBudgetTogether: of rows that take a budget over its alerts at the same time, each alert is told of once, by one of several processes.
func testBudgetTogether(t *testing.T, b *till) {
	b.create(t, usage.NewBudget{Name: "x"})
	services := []*usage.Service{b.open(t), b.open(t)}
	agents := []id.Agent{b.agent(), b.agent(), b.agent()}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := services[i%2].Record(bg, b.sc, usage.Row{Agent: agents[i%3], Model: "m", Cost: cents(5), Price: "by hand"})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(b.told)
	b.hears(t, "budget.alert x all 100% 1/1.00", "budget.alert x all 50% 0.5/1.00", "budget.alert x all 80% 0.8/1.00")
}

// testBudgetRecount: a count follows what rows cost by other prices, and finds what it has missed.
func testBudgetRecount(t *testing.T, b *till) {
	a := b.agent()
	b.create(t, usage.NewBudget{Name: "x"})
	row := b.record(t, usage.Row{Agent: a, Model: "m", Cost: cents(40), Price: "by hand"})
	if _, err := b.repo.Reprice(bg, b.sc, usage.Repriced{ID: row.ID, Cost: cents(49), Price: "other"}); err != nil {
		t.Fatal(err)
	}
	b.spend(t, a, 1)
	b.hears(t, "budget.alert x all 50% 0.5/1.00")
	// A row of somebody who does not know of budgets.
	if _, err := newBench(t, b.repo, b.tx).repo.Insert(bg, b.sc, usage.Row{
		ID: id.New[id.UsageKind](b.ids), Agent: a, Model: "m", Calls: 1, Cost: cents(30), Price: "by hand", CreatedAt: b.now,
	}); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(10 * time.Minute)
	b.spend(t, a, 1)
	b.hears(t, "budget.alert x all 80% 0.81/1.00")
}

// testBudgetRollback: an alert is there if and only if the row is.
func testBudgetRollback(t *testing.T, b *till) {
	b.create(t, usage.NewBudget{Name: "x"})
	b.failing = errors.New("boom")
	if _, err := b.Record(bg, b.sc, usage.Row{Agent: b.agent(), Model: "m", Cost: cents(60)}); !errors.Is(err, b.failing) {
		t.Fatalf("%v; want %v", err, b.failing)
	}
	if rows := b.list(t, usage.Filter{}); len(rows) != 0 {
		t.Errorf("stored %+v", rows)
	}
	b.failing = nil
	b.spend(t, b.agent(), 50)
	b.hears(t, "budget.alert x all 50% 0.5/1.00")
}
