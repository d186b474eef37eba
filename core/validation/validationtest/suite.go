// Package validationtest is the conformance suite of the repositories of package validation.
package validationtest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Stores are what the suite runs against.
type Stores struct {
	Allowances validation.Allowances
	Reports    validation.Reports
	Cards      validation.Cards
	TX         tx.Runner
}

// Config of the suite.
type Config struct {
	// New returns stores; they may be shared by several subtests, each of which has tenants of its own.
	New func(t *testing.T) Stores
}

var ids = id.NewGenerator(time.Now)

type env struct {
	Stores
	ctx context.Context
	sc  account.Scope
	now time.Time
}

// room is more than a test needs.
var room = validation.Room{Reports: 1000, PerCard: 1000, Bytes: 1 << 30}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"take":              take,
		"take race":         takeRace,
		"take rollback":     takeRollback,
		"days prune":        daysPrune,
		"round trip":        roundTrip,
		"odd texts":         oddTexts,
		"missing":           missing,
		"foreign tenant":    foreign,
		"anonymous":         anonymous,
		"one card":          oneCard,
		"same card race":    sameCardRace,
		"filters":           filters,
		"report pages":      reportPages,
		"card pages":        cardPages,
		"trend":             trend,
		"delete":            remove,
		"room of a card":    roomOfCard,
		"room in reports":   roomInReports,
		"room in bytes":     roomInBytes,
		"rollback":          rollback,
		"prune":             prune,
		"cancelled context": cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, &env{cfg.New(t), t.Context(), tenant(), clock.Stored(time.Now())})
		})
	}
}

func tenant() account.Scope { return account.System(id.New[id.TenantKind](ids)) }

// subject names what nobody else counts.
func subject() string { return "test " + ids.NewUUID().String() }

// entry makes a report of the card that an identity stands for.
func (e *env) entry(identity string, at time.Time) validation.Entry {
	v := validation.Entry{Identity: identity, Report: validation.Report{
		ID: id.New[id.CardReportKind](ids), Tenant: e.sc.Tenant, Batch: id.New[id.CardBatchKind](ids), Label: "label",
		ErrorCount: 300, WarningCount: 1, Text: `{"name":"é"}`, Size: 12, Digest: "ab", Masked: 2, CreatedAt: at,
		Result: card.Result{
			Valid: false, Version: card.V030, Basis: card.BasisDeclared, Score: 40, Name: identity, URL: "https://example.com/" + identity,
			Errors:      []card.Finding{{Code: "required", Path: "a[0]", Pointer: "/a/0", Message: "m", Source: "A2A", Offset: 1, Line: 2, Column: 3}},
			Warnings:    []card.Finding{{Code: "w", Message: "n"}},
			Suggestions: []card.Suggestion{{Type: "improvement", Field: "f", Pointer: "/f", Text: "do", Worth: 3}},
			Marks:       []card.Mark{{Criterion: "c", Points: 1, Weight: 2, Reason: "r"}},
			Signatures:  []card.SignatureVerdict{{Index: 1, State: card.SignatureWrong, KeyID: "k", Algorithm: "ES256", Reason: "s", Form: card.FormSDK, Uncovered: []string{"x"}}},
		},
	}}
	if !e.sc.Tenant.IsZero() {
		v.Card = id.New[id.AgentCardKind](ids)
	}
	return v
}

// stored stores a report that is as old as says, and returns it as it is read.
func (e *env) stored(t *testing.T, identity string, at time.Time) validation.Report {
	t.Helper()
	v := e.entry(identity, at)
	cards, err := e.Reports.Insert(e.ctx, e.sc, []validation.Entry{v}, room)
	noError(t, err)
	v.Card = cards[0]
	return v.Report
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(id.CardReport{}, id.AgentCard{}, id.CardBatch{}, id.Tenant{}), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v; want %v", err, want)
	}
}

var (
	noReport = id.NotFound[id.CardReportKind]("")
	noCard   = id.NotFound[id.AgentCardKind]("")
)

func take(t *testing.T, e *env) {
	who, day := subject(), time.Date(2030, 5, 17, 0, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		n, limit, used int
		ok             bool
	}{
		{6, 5, 0, false}, {3, 5, 3, true}, {3, 5, 3, false}, {2, 5, 5, true}, {1, 5, 5, false}, {100, -1, 105, true}, {1, 5, 105, false},
	} {
		used, ok, err := e.Allowances.Take(e.ctx, who, day, step.n, step.limit)
		noError(t, err)
		if used != step.used || ok != step.ok {
			t.Errorf("%d of %d: used %d, %t; want %d, %t", step.n, step.limit, used, ok, step.used, step.ok)
		}
	}
	for when, want := range map[time.Time]int{day: 105, day.AddDate(0, 0, 1): 0} {
		used, err := e.Allowances.Used(e.ctx, who, when)
		noError(t, err)
		equal(t, want, used)
	}
	used, ok, err := e.Allowances.Take(e.ctx, who, day.AddDate(0, 0, 1), 1, 5)
	noError(t, err)
	equal(t, 1, used)
	equal(t, true, ok)
}

func takeRace(t *testing.T, e *env) {
	who, day := subject(), e.now
	var let atomic.Int32
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			_, ok, err := e.Allowances.Take(e.ctx, who, day, 2, 9)
			if err != nil {
				t.Error(err)
			}
			if ok {
				let.Add(1)
			}
		})
	}
	wg.Wait()
	equal(t, int32(4), let.Load())
	used, err := e.Allowances.Used(e.ctx, who, day)
	noError(t, err)
	equal(t, 8, used)
}

func takeRollback(t *testing.T, e *env) {
	who, boom := subject(), errors.New("boom")
	is(t, e.TX.Do(e.ctx, func(ctx context.Context) error {
		_, _, err := e.Allowances.Take(ctx, who, e.now, 2, 9)
		return errors.Join(err, boom)
	}), boom)
	used, err := e.Allowances.Used(e.ctx, who, e.now)
	noError(t, err)
	equal(t, 0, used)
}

func daysPrune(t *testing.T, e *env) {
	day := time.Date(1990, 1, 2, 0, 0, 0, 0, time.UTC)
	who := subject()
	for i := range 3 {
		_, _, err := e.Allowances.Take(e.ctx, who, day.AddDate(0, 0, i), 1, -1)
		noError(t, err)
	}
	for _, want := range []int{1, 1, 0} {
		n, err := e.Allowances.Prune(e.ctx, day.AddDate(0, 0, 2), 1)
		noError(t, err)
		equal(t, want, n)
	}
	used, err := e.Allowances.Used(e.ctx, who, day.AddDate(0, 0, 2))
	noError(t, err)
	equal(t, 1, used)
}

func roundTrip(t *testing.T, e *env) {
	want := e.stored(t, "a", e.now)
	for name, read := range map[string]func() (validation.Report, error){
		"get":  func() (validation.Report, error) { return e.Reports.Get(e.ctx, e.sc, want.ID) },
		"find": func() (validation.Report, error) { return e.Reports.Find(e.ctx, want.ID) },
	} {
		got, err := read()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		equal(t, want, got)
	}
	bare := e.entry("b", e.now)
	bare.Batch, bare.Label, bare.Text, bare.Result = id.CardBatch{}, "", "", card.Result{Valid: true, Version: card.V10, Basis: card.BasisOption}
	cards, err := e.Reports.Insert(e.ctx, e.sc, []validation.Entry{bare}, room)
	noError(t, err)
	bare.Card = cards[0]
	got, err := e.Reports.Get(e.ctx, e.sc, bare.ID)
	noError(t, err)
	equal(t, bare.Report, got)
}

func oddTexts(t *testing.T, e *env) {
	v := e.entry("odd", e.now)
	v.Text, v.Result.Name = "'; -- ? ?? \\ $1 \u2028 👩‍🚀 \"", "it's ? \\u0000 {0}"
	v.Result.Errors[0].Message = "a\x00b?"
	other := e.entry("other", e.now)
	other.Text = "\\'"
	for _, entries := range [][]validation.Entry{{v}, {other, e.entry("more ?", e.now)}} {
		cards, err := e.Reports.Insert(e.ctx, e.sc, entries, room)
		noError(t, err)
		want := entries[0]
		want.Card = cards[0]
		got, err := e.Reports.Get(e.ctx, e.sc, want.ID)
		noError(t, err)
		equal(t, want.Report, got)
	}
}

func missing(t *testing.T, e *env) {
	_, err := e.Reports.Get(e.ctx, e.sc, id.New[id.CardReportKind](ids))
	is(t, err, noReport)
	_, err = e.Reports.Find(e.ctx, id.New[id.CardReportKind](ids))
	is(t, err, noReport)
	is(t, e.Reports.Delete(e.ctx, e.sc, id.New[id.CardReportKind](ids)), noReport)
	_, err = e.Cards.Get(e.ctx, e.sc, id.New[id.AgentCardKind](ids))
	is(t, err, noCard)
	_, err = e.Cards.Find(e.ctx, id.New[id.AgentCardKind](ids))
	is(t, err, noCard)
}

func foreign(t *testing.T, e *env) {
	v, other := e.stored(t, "a", e.now), tenant()
	_, err := e.Reports.Get(e.ctx, other, v.ID)
	is(t, err, noReport)
	is(t, e.Reports.Delete(e.ctx, other, v.ID), noReport)
	_, err = e.Cards.Get(e.ctx, other, v.Card)
	is(t, err, noCard)
	for _, list := range []validation.ListReports{{}, {Card: v.Card}, {Batch: v.Batch}} {
		p, err := e.Reports.List(e.ctx, other, list)
		noError(t, err)
		equal(t, 0, len(p.Items))
	}
	p, err := e.Cards.List(e.ctx, other, validation.ListCards{})
	noError(t, err)
	equal(t, 0, len(p.Items))
	_, err = e.Reports.Get(e.ctx, e.sc, v.ID)
	noError(t, err)
	// The same card of another tenant is another card.
	theirs := &env{e.Stores, e.ctx, other, e.now}
	if twin := theirs.stored(t, "a", e.now); twin.Card == v.Card {
		t.Error("two tenants share a card")
	}
}

func anonymous(t *testing.T, e *env) {
	nobody := &env{e.Stores, e.ctx, account.Scope{}, e.now}
	v := nobody.stored(t, "a", e.now)
	got, err := e.Reports.Find(e.ctx, v.ID)
	noError(t, err)
	equal(t, v, got)
	equal(t, true, got.Card.IsZero())
	for _, sc := range []account.Scope{nobody.sc, e.sc} {
		_, err = e.Reports.Get(e.ctx, sc, v.ID)
		is(t, err, noReport)
		is(t, e.Reports.Delete(e.ctx, sc, v.ID), noReport)
		p, err := e.Reports.List(e.ctx, sc, validation.ListReports{})
		noError(t, err)
		equal(t, 0, len(p.Items))
	}
}

func oneCard(t *testing.T, e *env) {
	first := e.stored(t, "a", e.now)
	again, other := e.entry("a", e.now.Add(time.Second)), e.entry("b", e.now.Add(2*time.Second))
	last := e.entry("a", e.now.Add(3*time.Second))
	last.Result.Valid, last.Result.Score, last.Result.Name, last.Result.Version = true, 90, "renamed", card.V10
	last.ErrorCount, last.WarningCount = 0, 7
	cards, err := e.Reports.Insert(e.ctx, e.sc, []validation.Entry{again, other, last}, room)
	noError(t, err)
	equal(t, []id.AgentCard{first.Card, other.Card, first.Card}, cards)
	got, err := e.Cards.Get(e.ctx, e.sc, first.Card)
	noError(t, err)
	want := validation.Card{
		ID: first.Card, Tenant: e.sc.Tenant, Name: "renamed", URL: "https://example.com/a", Version: card.V10, Valid: true, Score: 90, WarningCount: 7,
		Newest: last.ID, NewestAt: last.CreatedAt, FirstAt: e.now, Reports: 3,
		Trend: []validation.Point{
			{Valid: false, Score: 40, At: e.now}, {Valid: false, Score: 40, At: again.CreatedAt}, {Valid: true, Score: 90, At: last.CreatedAt},
		},
	}
	equal(t, want, got)
	want.Trend = nil
	found, err := e.Cards.Find(e.ctx, first.Card)
	noError(t, err)
	equal(t, want, found)
}

func sameCardRace(t *testing.T, e *env) {
	var wg sync.WaitGroup
	const callers, each = 4, 3
	for range callers {
		wg.Go(func() {
			// In different orders, which must not make them wait for each other.
			for _, order := range [][]string{{"a", "b"}, {"b", "a"}, {"a", "b"}} {
				_, err := e.Reports.Insert(e.ctx, e.sc, []validation.Entry{e.entry(order[0], e.now), e.entry(order[1], e.now)}, room)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	p, err := e.Cards.List(e.ctx, e.sc, validation.ListCards{})
	noError(t, err)
	equal(t, 2, len(p.Items))
	for _, c := range p.Items {
		equal(t, callers*each, c.Reports)
	}
}

// walked reads a list of reports in pages of two and returns their ids.
func (e *env) walked(t *testing.T, r validation.ListReports) []id.CardReport {
	t.Helper()
	all := pagetest.Walk(t, 2, pagetest.Whole[validation.Report], func(req page.Request) (page.Page[validation.Report], error) {
		r.Request = req
		return e.Reports.List(e.ctx, e.sc, r)
	})
	var out []id.CardReport
	for _, v := range all {
		out = append(out, v.ID)
	}
	return out
}

func filters(t *testing.T, e *env) {
	bad := e.stored(t, "a", e.now)
	v := e.entry("b", e.now.Add(time.Second))
	v.Result.Valid, v.Result.Version = true, card.V10
	_, err := e.Reports.Insert(e.ctx, e.sc, []validation.Entry{v}, room)
	noError(t, err)
	for name, c := range map[string]struct {
		list validation.ListReports
		want []id.CardReport
	}{
		"all":           {validation.ListReports{}, []id.CardReport{v.ID, bad.ID}},
		"card":          {validation.ListReports{Card: bad.Card}, []id.CardReport{bad.ID}},
		"batch":         {validation.ListReports{Batch: v.Batch}, []id.CardReport{v.ID}},
		"valid":         {validation.ListReports{Valid: new(true)}, []id.CardReport{v.ID}},
		"invalid":       {validation.ListReports{Valid: new(false)}, []id.CardReport{bad.ID}},
		"version":       {validation.ListReports{Version: card.V030}, []id.CardReport{bad.ID}},
		"since":         {validation.ListReports{Since: v.CreatedAt}, []id.CardReport{v.ID}},
		"since later":   {validation.ListReports{Since: v.CreatedAt.Add(time.Microsecond)}, nil},
		"valid of card": {validation.ListReports{Card: bad.Card, Valid: new(true)}, nil},
	} {
		t.Run(name, func(t *testing.T) { equal(t, c.want, e.walked(t, c.list)) })
	}
	p, err := e.Reports.List(e.ctx, e.sc, validation.ListReports{Card: bad.Card})
	noError(t, err)
	head := bad // lists have neither the card nor what was found
	head.Text, head.Result.Errors, head.Result.Warnings, head.Result.Suggestions, head.Result.Marks, head.Result.Signatures = "", nil, nil, nil, nil, nil
	equal(t, []validation.Report{head}, p.Items)
	for valid, want := range map[bool]string{true: "b", false: "a"} {
		p, err := e.Cards.List(e.ctx, e.sc, validation.ListCards{Valid: new(valid)})
		noError(t, err)
		equal(t, 1, len(p.Items))
		equal(t, want, p.Items[0].Name)
	}
}

func reportPages(t *testing.T, e *env) {
	var want []id.CardReport
	for i := range 5 { // some at one time
		want = append(want, e.stored(t, "a", e.now.Add(time.Duration(i/2)*time.Second)).ID)
	}
	got := e.walked(t, validation.ListReports{})
	slices.SortFunc(want, func(a, b id.CardReport) int { return -compare(a, b) })
	equal(t, want, got) // ids of this test are in the order of their making
	for _, c := range []string{"x", "WyJ4Il0"} {
		if _, err := e.Reports.List(e.ctx, e.sc, validation.ListReports{Request: page.Request{Cursor: c}}); err == nil {
			t.Errorf("the cursor %q was read", c)
		}
	}
}

func compare(a, b id.CardReport) int { return slices.Compare(bytesOf(a), bytesOf(b)) }

func bytesOf(v id.CardReport) []byte {
	u := v.UUID()
	return u[:]
}

func cardPages(t *testing.T, e *env) {
	var want []id.AgentCard
	for i := range 5 {
		want = append([]id.AgentCard{e.stored(t, strconv.Itoa(i), e.now.Add(time.Duration(i)*time.Second)).Card}, want...)
	}
	e.stored(t, "0", e.now.Add(time.Minute)) // judged again: it comes first
	want = append([]id.AgentCard{want[4]}, want[:4]...)
	all := pagetest.Walk(t, 2, pagetest.Whole[validation.Card], func(req page.Request) (page.Page[validation.Card], error) {
		return e.Cards.List(e.ctx, e.sc, validation.ListCards{Request: req})
	})
	var got []id.AgentCard
	for _, c := range all {
		got = append(got, c.ID)
	}
	equal(t, want, got)
	if _, err := e.Cards.List(e.ctx, e.sc, validation.ListCards{Request: page.Request{Cursor: "x"}}); err == nil {
		t.Error("a bad cursor was read")
	}
}

func trend(t *testing.T, e *env) {
	var entries []validation.Entry
	for i := range validation.MaxTrend + 3 {
		v := e.entry("a", e.now.Add(time.Duration(i)*time.Microsecond))
		v.Result.Score = i
		entries = append(entries, v)
	}
	cards, err := e.Reports.Insert(e.ctx, e.sc, append(entries, e.entry("b", e.now)), room)
	noError(t, err)
	c, err := e.Cards.Get(e.ctx, e.sc, cards[0])
	noError(t, err)
	equal(t, validation.MaxTrend, len(c.Trend))
	for i, p := range c.Trend {
		equal(t, validation.Point{Score: 3 + i, At: entries[3+i].CreatedAt}, p)
	}
}

func remove(t *testing.T, e *env) {
	first, second := e.stored(t, "a", e.now), e.entry("a", e.now.Add(time.Second))
	second.Result.Valid, second.Result.Score = true, 95
	_, err := e.Reports.Insert(e.ctx, e.sc, []validation.Entry{second}, room)
	noError(t, err)
	noError(t, e.Reports.Delete(e.ctx, e.sc, second.ID))
	is(t, e.Reports.Delete(e.ctx, e.sc, second.ID), noReport)
	c, err := e.Cards.Get(e.ctx, e.sc, first.Card) // says again what the first one did
	noError(t, err)
	equal(t, validation.Card{
		ID: first.Card, Tenant: e.sc.Tenant, Name: "a", URL: first.Result.URL, Version: card.V030, Score: 40, ErrorCount: 300, WarningCount: 1,
		Newest: first.ID, NewestAt: e.now, FirstAt: e.now, Reports: 1, Trend: []validation.Point{{Score: 40, At: e.now}},
	}, c)
	noError(t, e.Reports.Delete(e.ctx, e.sc, first.ID))
	_, err = e.Cards.Get(e.ctx, e.sc, first.Card)
	is(t, err, noCard)
}

func roomOfCard(t *testing.T, e *env) {
	small := validation.Room{Reports: 100, PerCard: 2, Bytes: 1 << 30}
	other := e.stored(t, "other", e.now)
	var want []id.CardReport
	for i := range 4 {
		v := e.entry("a", e.now.Add(time.Duration(i)*time.Second))
		cards, err := e.Reports.Insert(e.ctx, e.sc, []validation.Entry{v}, small)
		noError(t, err)
		if want = append([]id.CardReport{v.ID}, want...); len(want) > 2 {
			want = want[:2]
		}
		equal(t, want, e.walked(t, validation.ListReports{Card: cards[0]}))
		c, err := e.Cards.Get(e.ctx, e.sc, cards[0])
		noError(t, err)
		equal(t, len(want), c.Reports)
		equal(t, v.ID, c.Newest)
	}
	_, err := e.Reports.Get(e.ctx, e.sc, other.ID)
	noError(t, err)
}

func roomInReports(t *testing.T, e *env) {
	small := validation.Room{Reports: 3, PerCard: 100, Bytes: 1 << 30}
	oldest := e.stored(t, "old", e.now)
	var entries []validation.Entry
	for i := range 5 {
		entries = append(entries, e.entry("a", e.now.Add(time.Duration(1+i)*time.Second)))
	}
	cards, err := e.Reports.Insert(e.ctx, e.sc, entries, small)
	noError(t, err)
	equal(t, []id.CardReport{entries[4].ID, entries[3].ID, entries[2].ID}, e.walked(t, validation.ListReports{}))
	_, err = e.Cards.Get(e.ctx, e.sc, oldest.Card) // goes with its last report
	is(t, err, noCard)
	c, err := e.Cards.Get(e.ctx, e.sc, cards[0])
	noError(t, err)
	equal(t, 3, c.Reports)
	// What is deleted makes room.
	noError(t, e.Reports.Delete(e.ctx, e.sc, entries[4].ID))
	v := e.entry("b", e.now.Add(time.Minute))
	_, err = e.Reports.Insert(e.ctx, e.sc, []validation.Entry{v}, small)
	noError(t, err)
	equal(t, []id.CardReport{v.ID, entries[3].ID, entries[2].ID}, e.walked(t, validation.ListReports{}))
}

func roomInBytes(t *testing.T, e *env) {
	small := validation.Room{Reports: 100, PerCard: 100, Bytes: 20_000}
	long := func(i, size int) validation.Entry {
		v := e.entry(strconv.Itoa(i), e.now.Add(time.Duration(i)*time.Second))
		v.Text = longText[:size]
		return v
	}
	var last []id.CardReport
	for i := range 4 {
		v := long(i, 6000)
		_, err := e.Reports.Insert(e.ctx, e.sc, []validation.Entry{v}, small)
		noError(t, err)
		last = append([]id.CardReport{v.ID}, last...)
	}
	equal(t, last[:2], e.walked(t, validation.ListReports{})) // each takes more than its text
	huge := long(9, 30_000)
	_, err := e.Reports.Insert(e.ctx, e.sc, []validation.Entry{huge}, small)
	noError(t, err)
	equal(t, []id.CardReport{huge.ID}, e.walked(t, validation.ListReports{})) // the newest stays
}

var longText = func() string {
	b := make([]byte, 30_000)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}()

func rollback(t *testing.T, e *env) {
	kept, boom := e.stored(t, "a", e.now), errors.New("boom")
	v := e.entry("a", e.now.Add(time.Second))
	is(t, e.TX.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.Reports.Insert(ctx, e.sc, []validation.Entry{v}, room)
		return errors.Join(err, boom)
	}), boom)
	_, err := e.Reports.Find(e.ctx, v.ID)
	is(t, err, noReport)
	c, err := e.Cards.Get(e.ctx, e.sc, kept.Card)
	noError(t, err)
	equal(t, 1, c.Reports)
	equal(t, kept.ID, c.Newest)
}

func prune(t *testing.T, e *env) {
	long := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	nobody := &env{e.Stores, e.ctx, account.Scope{}, e.now}
	old, mixed := e.stored(t, "old", long), e.stored(t, "mixed", long.Add(time.Second))
	edge, fresh := e.stored(t, "edge", long.Add(time.Hour)), e.stored(t, "mixed", e.now)
	stranger, recent := nobody.stored(t, "x", long.Add(time.Minute)), nobody.stored(t, "y", e.now)
	gone := 0
	for {
		n, err := e.Reports.Prune(e.ctx, long.Add(time.Hour), long.Add(time.Minute+time.Microsecond), 2)
		noError(t, err)
		if gone += n; n == 0 {
			break
		}
	}
	equal(t, 3, gone)
	for _, v := range []validation.Report{old, mixed, stranger} {
		_, err := e.Reports.Find(e.ctx, v.ID)
		is(t, err, noReport)
	}
	for _, v := range []validation.Report{edge, fresh, recent} {
		_, err := e.Reports.Find(e.ctx, v.ID)
		noError(t, err)
	}
	_, err := e.Cards.Get(e.ctx, e.sc, old.Card)
	is(t, err, noCard)
	c, err := e.Cards.Get(e.ctx, e.sc, mixed.Card)
	noError(t, err)
	equal(t, 1, c.Reports)
}

func cancelled(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	if _, err := e.Reports.Find(ctx, id.New[id.CardReportKind](ids)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want context.Canceled", err)
	}
	if _, err := e.Cards.List(ctx, e.sc, validation.ListCards{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want context.Canceled", err)
	}
}
