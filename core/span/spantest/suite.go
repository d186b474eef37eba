// Package spantest has the suite that every ledger of spans passes.
package spantest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/span"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Config says how to test a ledger.
type Config struct {
	New func(t *testing.T) (span.Ledger, tx.Runner)
}

// Run runs the suite of span.Ledger.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *desk){
		"Once": testOnce, "ForeignTenant": testForeign, "Rollback": testRollback, "Together": testTogether, "Kin": testKin, "Forget": testForget,
		"Many": testMany,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledger, runner := cfg.New(t)
			test(t, &desk{ledger, runner, account.System(id.New[id.TenantKind](ids))})
		})
	}
}

type desk struct {
	span.Ledger

	tx tx.Runner
	sc account.Scope
}

// ids of tests that share a database.
var ids = id.NewGenerator(time.Now)

func arrival(parent id.Report) span.Arrival {
	return span.Arrival{Event: id.New[id.ReportKind](ids), Parent: parent, Number: id.New[id.ReportKind](ids)}
}

func (d *desk) take(t *testing.T, arrivals ...span.Arrival) []id.Report {
	t.Helper()
	fresh, err := d.Take(t.Context(), d.sc, arrivals)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(maps.Keys(fresh))
}

func testOnce(t *testing.T, d *desk) {
	a, b := arrival(id.Report{}), arrival(id.Report{})
	if got := d.take(t, a); !slices.Equal(got, []id.Report{a.Event}) {
		t.Errorf("took %v", got)
	}
	again := a
	again.Number = id.New[id.ReportKind](ids)
	if got := d.take(t, b, again); !slices.Equal(got, []id.Report{b.Event}) {
		t.Errorf("took %v the second time", got)
	}
	if got := d.take(t); len(got) != 0 {
		t.Errorf("took %v of nothing", got)
	}
}

func testForeign(t *testing.T, d *desk) {
	a := arrival(id.Report{})
	d.take(t, a)
	other := account.System(id.New[id.TenantKind](ids))
	if err := d.SetBilled(t.Context(), other, []id.Report{a.Event}); err != nil {
		t.Fatal(err)
	}
	if billed, _, err := d.Kin(t.Context(), d.sc, []id.Report{a.Event}); err != nil || len(billed) != 0 {
		t.Errorf("another tenant has billed it: %v %v", billed, err)
	}
	theirs := a
	theirs.Number = id.New[id.ReportKind](ids)
	if fresh, err := d.Take(t.Context(), other, []span.Arrival{theirs}); err != nil || !fresh[a.Event] {
		t.Errorf("another tenant: %v %v", fresh, err)
	}
	if err := d.Forget(t.Context(), other, id.New[id.ReportKind](ids), 10); err != nil {
		t.Fatal(err)
	}
	if got := d.take(t, a); len(got) != 0 {
		t.Error("another tenant has forgotten it")
	}
}

func testRollback(t *testing.T, d *desk) {
	a := arrival(id.Report{})
	undo := errors.New("undo")
	err := d.tx.Do(t.Context(), func(ctx context.Context) error {
		if _, err := d.Take(ctx, d.sc, []span.Arrival{a}); err != nil {
			return err
		}
		return undo
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	if got := d.take(t, a); len(got) != 1 {
		t.Error("it is noted although that was undone")
	}
}

// Of several who take the same at once, each event goes to one, in whatever order they name them.
func testTogether(t *testing.T, d *desk) {
	arrivals := []span.Arrival{arrival(id.Report{}), arrival(id.Report{}), arrival(id.Report{})}
	var mu sync.Mutex
	got := map[id.Report]int{}
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			mine := slices.Clone(arrivals)
			if i%2 == 1 {
				slices.Reverse(mine)
			}
			for j := range mine {
				mine[j].Number = id.New[id.ReportKind](ids)
			}
			var fresh map[id.Report]bool
			err := d.tx.Do(t.Context(), func(ctx context.Context) (err error) {
				fresh, err = d.Take(ctx, d.sc, mine)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			for event := range fresh {
				got[event]++
			}
		})
	}
	all.Wait()
	for _, a := range arrivals {
		if got[a.Event] != 1 {
			t.Errorf("%d have got %v", got[a.Event], a.Event)
		}
	}
}

func testKin(t *testing.T, d *desk) {
	parent := arrival(id.Report{})
	child, other := arrival(parent.Event), arrival(parent.Event)
	d.take(t, parent, child, other)
	all := []id.Report{parent.Event, child.Event, other.Event}
	check := func(wantBilled, wantAbove []id.Report) {
		t.Helper()
		billed, above, err := d.Kin(t.Context(), d.sc, all)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if billed[e] != slices.Contains(wantBilled, e) || above[e] != slices.Contains(wantAbove, e) {
				t.Errorf("billed %v, above %v", billed, above)
			}
		}
	}
	check(nil, nil)
	if err := d.SetBilled(t.Context(), d.sc, []id.Report{child.Event}); err != nil {
		t.Fatal(err)
	}
	check([]id.Report{child.Event}, []id.Report{parent.Event})
	if err := d.SetBilled(t.Context(), d.sc, nil); err != nil {
		t.Fatal(err)
	}
}

func testForget(t *testing.T, d *desk) {
	old := []span.Arrival{arrival(id.Report{}), arrival(id.Report{}), arrival(id.Report{})}
	border := id.New[id.ReportKind](ids)
	young := arrival(id.Report{})
	d.take(t, append(old, young)...)
	if err := d.Forget(t.Context(), d.sc, border, 2); err != nil {
		t.Fatal(err)
	}
	if got := d.take(t, old[2], young); len(got) != 0 {
		t.Errorf("more than the two oldest are forgotten: %v", got)
	}
	if err := d.Forget(t.Context(), d.sc, border, 2); err != nil {
		t.Fatal(err)
	}
	if got := d.take(t, append(old, young)...); len(got) != 3 || slices.Contains(got, young.Event) {
		t.Errorf("forgotten are %v", got)
	}
}

func testMany(t *testing.T, d *desk) {
	many := make([]span.Arrival, 1201)
	events := make([]id.Report, len(many))
	for i := range many {
		many[i] = arrival(id.Report{})
		events[i] = many[i].Event
	}
	if got := d.take(t, many...); len(got) != len(many) {
		t.Errorf("took %d", len(got))
	}
	if err := d.SetBilled(t.Context(), d.sc, events); err != nil {
		t.Fatal(err)
	}
	if billed, _, err := d.Kin(t.Context(), d.sc, events); err != nil || len(billed) != len(many) {
		t.Errorf("%d are billed, %v", len(billed), err)
	}
}
