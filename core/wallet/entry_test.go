package wallet

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

func TestNewEntry(t *testing.T) {
	t.Parallel()
	ids := id.NewGenerator(time.Now)
	a, b := id.New[id.AgentKind](ids), id.New[id.AgentKind](ids)
	for name, c := range map[string]struct {
		lines []Line
		want  error
	}{
		"balanced":            {[]Line{{Part: Available, Owner: a, Amount: -5}, {Part: Sink, Amount: 5}}, nil},
		"three lines":         {[]Line{{Part: Held, Owner: a, Amount: -5}, {Part: Sink, Amount: 3}, {Part: Available, Owner: a, Amount: 2}}, nil},
		"none":                {nil, ErrUnbalanced},
		"one":                 {[]Line{{Part: Sink, Amount: 5}}, ErrUnbalanced},
		"a zero":              {[]Line{{Part: Source}, {Part: Available, Owner: a}}, ErrUnbalanced},
		"unbalanced":          {[]Line{{Part: Available, Owner: a, Amount: -5}, {Part: Sink, Amount: 4}}, ErrUnbalanced},
		"an owner of outside": {[]Line{{Part: Source, Owner: a, Amount: -5}, {Part: Available, Owner: a, Amount: 5}}, ErrUnbalanced},
		"a kind of outside":   {[]Line{{Part: Source, Kind: Deposit, Amount: -5}, {Part: Available, Owner: a, Amount: 5}}, ErrUnbalanced},
		"overflow":            {[]Line{{Part: Sink, Amount: math.MaxInt64}, {Part: Sink, Amount: 1}}, money.ErrOverflow},
		// Wrapped around, these sum to zero.
		"overflow that balances": {
			[]Line{{Part: Sink, Amount: math.MaxInt64}, {Part: Sink, Amount: math.MaxInt64}, {Part: Available, Owner: b, Amount: 2}}, money.ErrOverflow,
		},
	} {
		if _, err := NewEntry(Entry{}, c.lines...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	ids := id.NewGenerator(time.Now)
	a, b := id.New[id.AgentKind](ids), id.New[id.AgentKind](ids)
	e, err := NewEntry(Entry{},
		Line{Part: Held, Owner: b, Amount: -10}, Line{Part: Available, Owner: b, Amount: 4}, Line{Part: Available, Owner: a, Amount: 5},
		Line{Part: Sink, Amount: 1})
	if err != nil {
		t.Fatal(err)
	}
	got := e.Changes()
	want := []Change{{Owner: a, Available: 5}, {Owner: b, Available: 4, Held: -10}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v; want %+v", got, want)
	}
}

func TestTotalsCheck(t *testing.T) {
	t.Parallel()
	sound := func() OwnerTotals {
		return OwnerTotals{Wallet: Wallet{Balance: 10, Held: 3}, Available: 7, Held: 3, OpenHolds: 3, BalanceAfter: 10}
	}
	for name, c := range map[string]struct {
		spoil func(*OwnerTotals)
		want  string
	}{
		"below zero":     {func(w *OwnerTotals) { w.Wallet.Balance, w.Available, w.BalanceAfter = 2, -1, 2 }, "below zero"},
		"available":      {func(w *OwnerTotals) { w.Available++ }, "available is 7 and its lines say 8"},
		"held":           {func(w *OwnerTotals) { w.Held++ }, "held is 3 and its lines say 4"},
		"open holds":     {func(w *OwnerTotals) { w.OpenHolds-- }, "its open holds say 2"},
		"latest balance": {func(w *OwnerTotals) { w.BalanceAfter = 9 }, "its latest transaction says 9"},
	} {
		w := sound()
		c.spoil(&w)
		err := Totals{Wallets: []OwnerTotals{sound(), w}}.check()
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want ErrCorrupt with %q", name, err, c.want)
		}
	}
	for name, totals := range map[string]Totals{
		"credits and debits": {Currencies: []CurrencyTotals{{Currency: "USDC", Credits: 2, Debits: 1}}},
		"an entry":           {Unbalanced: []id.LedgerEntry{{}}},
	} {
		if err := totals.check(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v; want ErrCorrupt", name, err)
		}
	}
	if err := (Totals{Wallets: []OwnerTotals{sound()}, Currencies: []CurrencyTotals{{Credits: 1, Debits: 1}}}).check(); err != nil {
		t.Error(err)
	}
}

func TestNewServiceNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := NewService(Deps{}, Config{}); err == nil || !strings.Contains(err.Error(), "wallet: Deps.") {
		t.Errorf("%v; want the missing dependency", err)
	}
}
