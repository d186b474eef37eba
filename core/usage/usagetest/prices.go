package usagetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/account/accounttest"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// PriceStores is what prices are kept in.
type PriceStores struct {
	Usage  usage.Repository
	Prices usage.PriceRepository
	Rerate usage.RerateRepository
	TX     tx.Runner
}

// RunSeed runs the test of the server's prices. Nobody else may use the stores, and the server must not have any prices yet.
func RunSeed(t *testing.T, stores PriceStores) {
	t.Helper()
	testSeed(t, newShop(t, stores))
}

// RunPrices runs the suite of prices, whose tests share the stores.
func RunPrices(t *testing.T, stores PriceStores) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *shop){
		"Own":         testOwn,
		"Intervals":   testIntervals,
		"SetRefuses":  testSetRefuses,
		"Delete":      testDeletePrice,
		"Foreign":     testForeignPrice,
		"List":        testListPrices,
		"Stale":       testStale,
		"TwoAtOnce":   testTwoAtOnce,
		"ByTheirTime": testByTheirTime,
		"Rerate":      testRerate,
		"RerateApply": testRerateApply,
		"RerateOnce":  testRerateOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newShop(t, stores))
		})
	}
}

// shop is a server with its prices and a tenant.
type shop struct {
	*usage.PriceBook

	meter  *usage.Service
	stores PriceStores
	bus    *accounttest.Bus
	sc     account.Scope
	ids    id.Generator
	clock  clock.Clock
	now    *time.Time
	notes  *notes
	agent  id.Agent
}

// notes are what the audit trail was told.
type notes struct {
	mu      sync.Mutex
	actions []string
}

// Note implements usage.Trail.
func (n *notes) Note(_ context.Context, _ account.Scope, action string, _ id.Agent, metadata map[string]any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.actions = append(n.actions, fmt.Sprint(action, " ", metadata["model"]))
	return nil
}

func newShop(t *testing.T, stores PriceStores) *shop {
	t.Helper()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := &shop{stores: stores, bus: &accounttest.Bus{}, ids: id.NewGenerator(time.Now), now: &now, notes: &notes{}}
	s.clock = clock.Func(func() time.Time { return *s.now })
	s.sc = account.System(id.New[id.TenantKind](s.ids))
	s.agent = id.New[id.AgentKind](s.ids)
	s.PriceBook = s.book(t)
	var err error
	s.meter, err = usage.NewService(usage.Deps{
		TX: stores.TX, Clock: s.clock, IDs: s.ids, Logger: slog.New(slog.DiscardHandler), Repository: stores.Usage,
		Agents: agents{&bench{}}, Lists: s.PriceBook,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// book returns the book of another process.
func (s *shop) book(t *testing.T) *usage.PriceBook {
	t.Helper()
	b, err := usage.NewPriceBook(usage.PriceDeps{
		TX: s.stores.TX, Clock: s.clock, IDs: s.ids, Logger: slog.New(slog.DiscardHandler), Repository: s.stores.Prices, Trail: s.notes, Bus: s.bus,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cheap is a price of somebody's own.
func cheap(model string, input int64, from, until string) usage.Price {
	return usage.Price{Provider: "openai", Model: model, Rates: usage.Rates{Input: input}, From: date(from), Until: date(until)}
}

// date is a day; "" is no time.
func date(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return d
}

func (s *shop) set(t *testing.T, prices ...usage.Price) []usage.Price {
	t.Helper()
	out, err := s.Set(bg, s.sc, prices)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// asks returns what a token of input costs, in picodollars, and the price behind it; -1 when nobody knows.
func (s *shop) asks(t *testing.T, b *usage.PriceBook, model, on string) (int64, id.Price) {
	t.Helper()
	at := date(on)
	if on == "" {
		at = *s.now
	}
	l, err := b.List(bg, s.sc)
	if err != nil {
		t.Fatal(err)
	}
	q, err := l.Quote(usage.Query{Provider: "openai", Model: model, Usage: llm.Usage{Input: 1}, At: at})
	if err != nil {
		t.Fatal(err)
	}
	if q.Cost == nil {
		return -1, q.PriceID
	}
	return int64(*q.Cost), q.PriceID
}

func (s *shop) wantAsks(t *testing.T, model, on string, want int64) {
	t.Helper()
	if got, _ := s.asks(t, s.PriceBook, model, on); got != want {
		t.Errorf("%s on %s costs %d; want %d", model, on, got, want)
	}
}

// testSeed fills the table once, from whichever process, and leaves it as it is afterwards.
func testSeed(t *testing.T, s *shop) {
	s.wantAsks(t, "gpt-4o", "", 2_500_000) // before there are any
	added, err := s.Seed(bg)
	if err != nil || added < 90 {
		t.Fatalf("%d added, %v", added, err)
	}
	for range 2 {
		if again, err := s.book(t).Seed(bg); err != nil || again != 0 {
			t.Errorf("seeding again: %d added, %v", again, err)
		}
	}
	cost, price := s.asks(t, s.PriceBook, "gpt-4o", "")
	if cost != 2_500_000 || price.IsZero() {
		t.Fatalf("%d by %v", cost, price)
	}
	p, err := s.Get(bg, s.sc, price)
	if err != nil || p.Own || p.Model != "gpt-4o" || p.Source.Text == "" || p.SetAt.IsZero() || !p.Superseded.IsZero() {
		t.Errorf("%+v, %v", p, err)
	}

	// Another program's list stands there: what it does not share with ours goes, but can still be read.
	foreign := usage.Price{ID: id.New[id.PriceKind](s.ids), Provider: "acme", Model: "m-1", SetAt: *s.now}
	err = s.stores.TX.Do(bg, func(ctx context.Context) error {
		if _, _, err := s.stores.Prices.Lock(ctx, account.Scope{}); err != nil {
			return err
		}
		return s.stores.Prices.Replace(ctx, account.Scope{}, usage.PriceChange{
			Gone: []id.Price{price}, Made: []usage.Price{foreign}, Content: "another", At: *s.now,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if added, err := s.book(t).Seed(bg); err != nil || added != 1 {
		t.Errorf("%d added, %v; want the one that was gone", added, err)
	}
	*s.now = s.now.Add(usage.PriceStale)
	if cost, again := s.asks(t, s.PriceBook, "gpt-4o", ""); cost != 2_500_000 || again == price {
		t.Errorf("%d by %v", cost, again)
	}
	s.wantAsks(t, "m-1", "", -1)
	for _, old := range []id.Price{price, foreign.ID} {
		if p, err := s.Get(bg, s.sc, old); err != nil || p.Superseded.IsZero() {
			t.Errorf("a superseded price: %+v, %v", p, err)
		}
	}
}

// testOwn: a price of the tenant's own counts instead of the server's, for rows too, and is noted.
func testOwn(t *testing.T, s *shop) {
	if _, err := s.Seed(bg); err != nil {
		t.Fatal(err)
	}
	five := int64(5)
	p := usage.Price{
		Provider: "OpenAI", Model: "openai/GPT-4o", Rates: usage.Rates{
			Input: 7, Output: 9, CacheRead: &five, Services: map[string]usage.ServiceRates{"flex": {Output: &five}},
		},
		Tiers: []usage.Tier{{Above: 100, Rates: usage.Rates{Input: 8}}}, Multipliers: map[string]int64{"eu": 1500},
		Source: usage.Source{Text: "our contract", URL: "https://example.com/contract"}, Deprecated: date("2027-01-01"),
	}
	set := s.set(t, p)
	row, err := s.meter.Report(bg, s.sc, usage.Report{Agent: s.agent, Model: "gpt-4o", Provider: "openai", Counts: usage.Counts{Input: 10, Output: 10}})
	if err != nil || row.Cost == nil || *row.Cost != 160 || row.PriceID != set[0].ID {
		t.Errorf("%+v, %v", row, err)
	}
	got, err := s.Get(bg, s.sc, set[0].ID)
	want := p
	want.ID, want.Own, want.Provider, want.Model, want.SetAt = set[0].ID, true, "openai", "GPT-4o", *s.now
	if diff := cmp.Diff(want, got, same, cmp.Comparer(func(a, b id.APIKey) bool { return a == b })); diff != "" || err != nil {
		t.Error(diff, err)
	}
	again := s.set(t, p)
	if again[0].ID != set[0].ID {
		t.Error("the same price was set anew")
	}
	p.Rates.Input = 8
	if changed := s.set(t, p); changed[0].ID == set[0].ID {
		t.Error("another price has the same id")
	}
	s.wantAsks(t, "gpt-4o", "", 8)
	if diff := cmp.Diff([]string{"price_set GPT-4o", "price_set GPT-4o"}, s.notes.actions); diff != "" {
		t.Error(diff)
	}
	if p, err := s.Get(bg, s.sc, set[0].ID); err != nil || p.Superseded.IsZero() {
		t.Errorf("what it was before: %+v, %v", p, err)
	}
}

// testIntervals: at any time one price counts.
func testIntervals(t *testing.T, s *shop) {
	check := func(want map[string]int64) {
		t.Helper()
		for on, cost := range want {
			s.wantAsks(t, "x", on, cost)
		}
	}
	s.set(t, cheap("x", 1, "2026-01-01", ""))
	s.set(t, cheap("X", 2, "2026-06-01", "")) // ends the one before
	check(map[string]int64{"2025-12-31": -1, "2026-01-01": 1, "2026-05-31": 1, "2026-06-01": 2})
	s.set(t, cheap("x", 3, "2026-03-01", "")) // ends where the next begins
	check(map[string]int64{"2026-02-28": 1, "2026-03-01": 3, "2026-05-31": 3, "2026-06-01": 2})
	s.set(t, cheap("x", 4, "2026-03-01", "2026-04-01")) // takes its place
	check(map[string]int64{"2026-02-28": 1, "2026-03-31": 4, "2026-04-01": -1, "2026-06-01": 2})
	s.set(t, cheap("x", 5, "", "2025-01-01"))
	check(map[string]int64{"2024-12-31": 5, "2025-01-01": -1})
	set := s.set(t, cheap("y", 2, "2026-02-01", ""), cheap("y", 1, "", ""))
	if !set[1].Until.Equal(date("2026-02-01")) || !set[0].Until.IsZero() {
		t.Errorf("two at once: %v", set)
	}
	_, err := s.Set(bg, s.sc, []usage.Price{cheap("z", 1, "", ""), cheap("x", 9, "2026-04-01", "2026-06-02")})
	if f, ok := fault.As(err); !errors.Is(err, usage.ErrPriceOverlap) || !ok || f.Fields[0].Path != "prices[1].valid_until" {
		t.Errorf("an overlap: %v", err)
	}
	s.wantAsks(t, "z", "", -1) // all or nothing
	s.wantAsks(t, "x", "2026-04-01", -1)
}

func testSetRefuses(t *testing.T, s *shop) {
	minus, much := int64(-1), int64(usage.MaxRate+1)
	for path, p := range map[string]usage.Price{
		"prices[0].provider":                    {Model: "m"},
		"prices[0].model":                       {Provider: "p"},
		"prices[0].rates.output":                {Provider: "p", Model: "m", Rates: usage.Rates{Output: -1}},
		"prices[0].rates.cache_read":            {Provider: "p", Model: "m", Rates: usage.Rates{CacheRead: &much}},
		"prices[0].rates.services.default":      {Provider: "p", Model: "m", Rates: usage.Rates{Services: map[string]usage.ServiceRates{"default": {}}}},
		"prices[0].rates.services.batch.input":  {Provider: "p", Model: "m", Rates: usage.Rates{Services: map[string]usage.ServiceRates{"batch": {Input: &minus}}}},
		"prices[0].tiers[0].above_input_tokens": {Provider: "p", Model: "m", Tiers: []usage.Tier{{}}},
		"prices[0].tiers[1].above_input_tokens": {Provider: "p", Model: "m", Tiers: []usage.Tier{{Above: 5}, {Above: 5}}},
		"prices[0].tiers[0].rates.cache_write":  {Provider: "p", Model: "m", Tiers: []usage.Tier{{Above: 5, Rates: usage.Rates{CacheWrite5m: &minus}}}},
		"prices[0].multipliers.x":               {Provider: "p", Model: "m", Multipliers: map[string]int64{"x": 0}},
		"prices[0].multipliers.A b":             {Provider: "p", Model: "m", Multipliers: map[string]int64{"A b": 1}},
		"prices[0].valid_until":                 {Provider: "p", Model: "m", From: date("2026-01-02"), Until: date("2026-01-01")},
	} {
		_, err := s.Set(bg, s.sc, []usage.Price{p})
		if f, ok := fault.As(err); !ok || f.Kind != fault.Invalid || len(f.Fields) != 1 || f.Fields[0].Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, bad := range [][]usage.Price{nil, make([]usage.Price, usage.MaxPricesAtOnce+1), {cheap("m", 1, "", ""), cheap("M", 2, "", "")}} {
		if _, err := s.Set(bg, s.sc, bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d prices: %v", len(bad), err)
		}
	}
}

func testDeletePrice(t *testing.T, s *shop) {
	if _, err := s.Seed(bg); err != nil {
		t.Fatal(err)
	}
	own := s.set(t, cheap("gpt-4o", 1, "", ""))[0].ID
	if err := s.Delete(bg, s.sc, own); err != nil {
		t.Fatal(err)
	}
	cost, servers := s.asks(t, s.PriceBook, "gpt-4o", "")
	if cost != 2_500_000 {
		t.Errorf("it still costs %d", cost)
	}
	for _, p := range []id.Price{own, servers, id.New[id.PriceKind](s.ids)} {
		if err := s.Delete(bg, s.sc, p); !errors.Is(err, id.NotFound[id.PriceKind]("")) {
			t.Errorf("%v; want price_not_found", err)
		}
	}
}

func testForeignPrice(t *testing.T, s *shop) {
	own := s.set(t, cheap("x", 1, "", ""))[0].ID
	stranger := account.System(id.New[id.TenantKind](s.ids))
	if _, err := s.Get(bg, stranger, own); !errors.Is(err, id.NotFound[id.PriceKind]("")) {
		t.Errorf("reading: %v", err)
	}
	if err := s.Delete(bg, stranger, own); !errors.Is(err, id.NotFound[id.PriceKind]("")) {
		t.Errorf("deleting: %v", err)
	}
	l, err := s.List(bg, stranger)
	if err != nil {
		t.Fatal(err)
	}
	if q, err := l.Quote(usage.Query{Provider: "openai", Model: "x", At: *s.now}); err != nil || q.Cost != nil {
		t.Errorf("it counts for somebody else: %+v, %v", q, err)
	}
}

func testListPrices(t *testing.T, s *shop) {
	if _, err := s.Seed(bg); err != nil {
		t.Fatal(err)
	}
	s.set(t, cheap("gpt-4o", 1, "2026-01-01", ""), cheap("zzz", 2, "2027-01-01", ""))
	names := func(f usage.PriceFilter) (out []string) {
		t.Helper()
		for req := (page.Request{Limit: 40}); ; {
			p, err := s.Prices(bg, s.sc, f, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range p.Items {
				out = append(out, i.Provider+"/"+i.Model)
			}
			if req.Cursor = p.Next; p.Next == "" {
				return out
			}
		}
	}
	if all := names(usage.PriceFilter{}); len(all) < 90 || all[0] != "openai/gpt-4o" || all[1] != "anthropic/claude-3-7-sonnet-20250219" {
		t.Errorf("all: %q", all)
	}
	yes, no := true, false
	for what, c := range map[string]struct {
		f    usage.PriceFilter
		want []string
	}{
		"own":            {usage.PriceFilter{Own: &yes}, []string{"openai/gpt-4o"}},
		"own later":      {usage.PriceFilter{Own: &yes, At: date("2027-02-01")}, []string{"openai/gpt-4o", "openai/zzz"}},
		"before":         {usage.PriceFilter{Own: &yes, At: date("2025-02-01")}, nil},
		"a model":        {usage.PriceFilter{Model: "GPT-4o"}, []string{"openai/gpt-4o", "openai/gpt-4o", "openai/gpt-4o-2024-08-06", "openai/gpt-4o-2024-05-13"}},
		"the server's":   {usage.PriceFilter{Model: "gpt-4o-mini", Own: &no}, []string{"openai/gpt-4o-mini"}},
		"a snapshot":     {usage.PriceFilter{Model: "claude-sonnet-4-5-20250929", Provider: "Anthropic"}, []string{"anthropic/claude-sonnet-4-5"}},
		"nobody":         {usage.PriceFilter{Model: "unheard-of"}, nil},
		"provider alias": {usage.PriceFilter{Model: "gemini-2.5-pro", Provider: "google"}, []string{"gemini/gemini-2.5-pro"}},
	} {
		if diff := cmp.Diff(c.want, names(c.f)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

// testStale: a process that does not hear of a change counts with the old prices for a second at most.
func testStale(t *testing.T, s *shop) {
	other := s.book(t)
	if cost, _ := s.asks(t, other, "x", ""); cost != -1 {
		t.Fatalf("it costs %d", cost)
	}
	s.set(t, cheap("x", 1, "", ""))
	*s.now = s.now.Add(usage.PriceStale)
	if cost, _ := s.asks(t, other, "x", ""); cost != 1 {
		t.Errorf("after a second it costs %d", cost)
	}
	ctx, cancel := context.WithCancel(bg)
	done := make(chan error, 1)
	go func() { done <- other.Run(ctx) }()
	for s.bus.Subscribers() == 0 {
		runtime.Gosched()
	}
	s.set(t, cheap("x", 2, "", ""))
	if cost, _ := s.asks(t, other, "x", ""); cost != 2 {
		t.Errorf("after it has heard of it, it costs %d", cost)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// testTwoAtOnce: changes of one tenant's prices come one after the other.
func testTwoAtOnce(t *testing.T, s *shop) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, err := s.Set(bg, s.sc, []usage.Price{cheap("x", int64(i), "", "")}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	v, err := s.stores.Prices.Versions(bg, s.sc)
	if err != nil || v.Own != 8 {
		t.Errorf("%+v, %v", v, err)
	}
	if prices, err := s.stores.Prices.Load(bg, s.sc, v.Own); err != nil || len(prices) != 1 {
		t.Errorf("%d prices count, %v", len(prices), err)
	}
	if prices, err := s.stores.Prices.Load(bg, s.sc, 3); err != nil || len(prices) != 1 {
		t.Errorf("%d prices counted before, %v", len(prices), err)
	}
}

// testByTheirTime: a row has the price of the time of its use.
func testByTheirTime(t *testing.T, s *shop) {
	s.set(t, cheap("x", 1, "2026-01-01", ""), cheap("x", 2, "2026-06-01", ""))
	for on, want := range map[string]int64{"2026-05-31": 1, "2026-06-01": 2, "2025-12-31": -1} {
		row, err := s.meter.Report(bg, s.sc, usage.Report{Agent: s.agent, Model: "x", Provider: "openai", At: date(on), Counts: usage.Counts{Input: 1}})
		switch {
		case err != nil:
			t.Fatal(err)
		case want < 0 && row.Cost != nil, want >= 0 && (row.Cost == nil || int64(*row.Cost) != want):
			t.Errorf("on %s: %+v", on, row)
		}
	}
}
