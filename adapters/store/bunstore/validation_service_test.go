package bunstore

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// validationDesk is a service with a clock that tests turn.
type validationDesk struct {
	*validation.Service

	now atomic.Int64 // Unix microseconds
}

func newValidationDesk(t *testing.T, s *Store, cfg validation.Config) *validationDesk {
	t.Helper()
	d := &validationDesk{}
	d.now.Store(time.Date(2031, 3, 4, 23, 59, 0, 0, time.UTC).UnixMicro())
	var err error
	d.Service, err = validation.NewService(validation.Deps{
		TX: s, Clock: clock.Func(func() time.Time { return time.UnixMicro(d.now.Load()) }), IDs: id.NewGenerator(time.Now),
		Logger: slog.New(slog.DiscardHandler), Judge: judgeByName, Allowances: s.Validations(), Reports: s.CardReports(), Cards: s.AgentCards(),
	}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *validationDesk) wait(by time.Duration) { d.now.Add(by.Microseconds()) }

// judgeByName finds the text itself to be the card's name, and fails on "panic".
func judgeByName(text []byte, _ card.Options) card.Result {
	if string(text) == "panic" {
		panic("the test wants it")
	}
	return card.Result{Valid: true, Version: card.V030, Basis: card.BasisDefault, Name: string(text), Score: 50}
}

func freeTenant() validation.Caller {
	sc := account.System(id.New[id.TenantKind](id.NewGenerator(time.Now)))
	sc.Plan = account.PlanFree
	return validation.Caller{Scope: sc}
}

func item(text string) validation.Item { return validation.Item{Text: []byte(text)} }

// addresses are those of callers without a key, each test's own.
var addresses atomic.Uint32

func someAddress() validation.Caller {
	n := addresses.Add(1)
	return validation.Caller{Addr: netip.AddrFrom4([4]byte{198, byte(n >> 16), byte(n >> 8), byte(n)})}
}

func TestValidationAllowance(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		d := newValidationDesk(t, s, validation.Config{RateScale: 1})
		for name, c := range map[string]struct {
			caller validation.Caller
			most   int
		}{"tenant": {freeTenant(), 10}, "address": {someAddress(), 5}} {
			var let, refused atomic.Int32
			var wg sync.WaitGroup
			for i := range c.most + 4 {
				wg.Go(func() {
					_, err := d.Validate(t.Context(), c.caller, validation.Standard, item("card "+strconv.Itoa(i)))
					switch {
					case err == nil:
						let.Add(1)
					case errors.Is(err, validation.ErrExhausted):
						refused.Add(1)
					default:
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			wg.Wait()
			if let.Load() != int32(c.most) || refused.Load() != 4 {
				t.Errorf("%s: %d passed and %d were refused", name, let.Load(), refused.Load())
			}
			out, err := d.Validate(t.Context(), c.caller, validation.CLI, item("one more"))
			known, _ := fault.As(err)
			want := validation.Allowance{
				Used: c.most, Limit: c.most, Remaining: 0, Plan: out.Allowance.Plan, Resets: time.Date(2031, 3, 5, 0, 0, 0, 0, time.UTC),
			}
			if known == nil || known.RetryAfter != time.Minute || out.Allowance != want {
				t.Errorf("%s: %v with %+v", name, err, out.Allowance)
			}
			if a, err := d.Allowance(t.Context(), c.caller); err != nil || a != want {
				t.Errorf("%s: %+v, %v", name, a, err)
			}
		}
	})
}

// TestValidationDay: a new day begins at midnight UTC, and what comes to nothing is not counted.
func TestValidationDay(t *testing.T) {
	t.Parallel()
	d := newValidationDesk(t, openSQLiteStore(t), validation.Config{RateScale: 1})
	who := someAddress()
	used := func() int {
		t.Helper()
		a, err := d.Allowance(t.Context(), who)
		if err != nil {
			t.Fatal(err)
		}
		return a.Used
	}
	if _, err := d.Validate(t.Context(), who, "loose", item("a")); !errors.Is(err, validation.ErrInvalid) {
		t.Errorf("a mode that there is not: %v", err)
	}
	if _, err := d.Validate(t.Context(), who, validation.Standard, item("panic")); !errors.Is(err, validation.ErrValidator) {
		t.Errorf("a validator that fails: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Validate(gone, who, validation.Standard, item("a")); err == nil {
		t.Error("a caller who went away was answered")
	}
	if n := used(); n != 0 {
		t.Errorf("%d are counted", n)
	}
	for _, mode := range []validation.Mode{validation.Standard, validation.CLI} {
		if _, err := d.Validate(t.Context(), who, mode, item("a")); err != nil {
			t.Fatal(err)
		}
	}
	if n := used(); n != 2 {
		t.Errorf("%d are counted; want 2", n)
	}
	d.wait(time.Minute)
	if n := used(); n != 0 {
		t.Errorf("%d are counted on a new day", n)
	}
}

func TestValidationBatch(t *testing.T) {
	t.Parallel()
	d := newValidationDesk(t, openSQLiteStore(t), validation.Config{RateScale: 1})
	team := freeTenant()
	team.Scope.Plan = account.PlanTeam
	ctx := t.Context()
	label := func(l, text string) validation.Item { return validation.Item{Label: l, Text: []byte(text)} }
	for name, c := range map[string]struct {
		items []validation.Item
		want  error
	}{
		"none":        {nil, validation.ErrInvalid},
		"too many":    {make([]validation.Item, validation.MaxBatch+1), validation.ErrInvalid},
		"no label":    {[]validation.Item{label("", "a")}, validation.ErrInvalid},
		"one label":   {[]validation.Item{label("x", "a"), label("x", "b")}, validation.ErrInvalid},
		"one panics":  {[]validation.Item{label("x", "a"), label("y", "panic")}, validation.ErrValidator},
		"all is well": {[]validation.Item{label("x", "a"), label("y", "b"), label("z", "a")}, nil},
	} {
		if _, err := d.ValidateBatch(ctx, team.Scope, validation.Standard, c.items); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if a, err := d.Allowance(ctx, team); err != nil || a.Used != 3 || a.Limit != -1 || a.Remaining != -1 || a.Plan != "team" {
		t.Errorf("%+v, %v", a, err)
	}
	p, err := d.Cards(ctx, team.Scope, validation.ListCards{})
	if err != nil || len(p.Items) != 2 || p.Items[0].Name != "a" || p.Items[0].Reports != 2 || len(p.Items[0].Trend) != 2 {
		t.Errorf("cards %+v, %v", p.Items, err)
	}
	if _, err := d.ValidateBatch(ctx, freeTenant().Scope, validation.Standard, nil); !errors.Is(err, validation.ErrBatchNotAllowed) {
		t.Errorf("the plan free: %v", err)
	}
}

// TestValidationRetention: reports go in time, sooner those of callers without a key, and these share one room.
func TestValidationRetention(t *testing.T) {
	t.Parallel()
	s := openSQLiteStore(t)
	d := newValidationDesk(t, s, validation.Config{RoomAnonymous: validation.Room{Reports: 3}})
	ctx, team := t.Context(), freeTenant()
	report := func(c validation.Caller, text string) id.CardReport {
		t.Helper()
		out, err := d.Validate(ctx, c, validation.Standard, item(text))
		if err != nil {
			t.Fatal(err)
		}
		d.wait(time.Second)
		return out.Judged[0].Report
	}
	there := func(r id.CardReport) bool {
		t.Helper()
		_, _, err := d.Shared(ctx, r)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			t.Fatal(err)
		}
		return err == nil
	}
	mine := report(team, "a")
	var theirs []id.CardReport
	for i := range 5 {
		theirs = append(theirs, report(someAddress(), "card "+strconv.Itoa(i)))
	}
	for i, r := range theirs {
		if there(r) != (i >= 2) {
			t.Errorf("report %d of callers without a key: %t", i, there(r))
		}
	}
	for _, c := range []struct {
		days         int
		gone         int
		mine, theirs bool
	}{{29, 0, true, true}, {2, 3, true, false}, {333, 0, true, false}, {2, 1, false, false}} {
		d.wait(time.Duration(c.days) * 24 * time.Hour)
		n, err := d.Prune(ctx)
		if err != nil || n != c.gone || there(mine) != c.mine || there(theirs[4]) != c.theirs {
			t.Errorf("%d days on: %d were removed (%v); a tenant's is there %t, another one %t", c.days, n, err, there(mine), there(theirs[4]))
		}
	}
	if p, err := d.Cards(ctx, team.Scope, validation.ListCards{}); err != nil || len(p.Items) != 0 {
		t.Errorf("cards without reports: %+v, %v", p.Items, err)
	}
}

// TestValidationKeep: how long reports are kept is for the operator to choose.
func TestValidationKeep(t *testing.T) {
	t.Parallel()
	d := newValidationDesk(t, openSQLiteStore(t), validation.Config{KeepFor: 48 * time.Hour, KeepAnonymous: 24 * time.Hour})
	for _, who := range []validation.Caller{freeTenant(), someAddress()} {
		if _, err := d.Validate(t.Context(), who, validation.Standard, item("a")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		by   time.Duration
		gone int
	}{{23 * time.Hour, 0}, {2 * time.Hour, 1}, {22 * time.Hour, 0}, {2 * time.Hour, 1}} {
		d.wait(c.by)
		if n, err := d.Prune(t.Context()); err != nil || n != c.gone {
			t.Errorf("%v on: %d were removed, not %d (%v)", c.by, n, c.gone, err)
		}
	}
}
