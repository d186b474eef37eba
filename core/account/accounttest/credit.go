package accounttest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// creditLab is a service with a tenant of the free plan, whose clock stands in the middle of a month.
func creditLab(t *testing.T, e *env) (*account.Service, account.Scope) {
	t.Helper()
	e.clock.Set(time.Date(2031, 1, 31, 23, 59, 0, 0, time.UTC))
	s, err := account.NewService(e.deps, account.Config{})
	if err != nil {
		t.Fatal(err)
	}
	tenant := account.Tenant{
		ID: id.New[id.TenantKind](e.ids), Name: "credits", Plan: account.PlanFree, Standing: account.Active, CreatedAt: e.clock.Now(),
	}
	if err := e.InsertTenant(e.ctx, tenant); err != nil {
		t.Fatal(err)
	}
	return s, account.System(tenant.ID)
}

func (e *env) runID() id.Run { return id.New[id.RunKind](e.ids) }

// creditsLeft checks what Credits says, and that the charges add up to the month.
func creditsLeft(t *testing.T, e *env, s *account.Service, sc account.Scope, want int) {
	t.Helper()
	c, err := s.Credits(e.ctx, sc)
	if err != nil || c.Remaining != want {
		t.Errorf("%+v %v, not %d", c, err, want)
	}
	month := c.ResetsAt.AddDate(0, -1, 0)
	m, err := e.CreditMonth(e.ctx, sc, month)
	sum, serr := e.Charges(e.ctx, sc, month)
	if err != nil || serr != nil || m != sum {
		t.Errorf("the month has %+v, and its charges %+v: %v %v", m, sum, err, serr)
	}
}

func credits(t *testing.T, e *env) {
	s, sc := creditLab(t, e)
	creditsLeft(t, e, s, sc, 50)
	run := e.runID()
	reserve := func(run id.Run) error { return s.ReserveCredits(e.ctx, sc, run, 3) }
	settle := func(run id.Run, cost, want int) {
		t.Helper()
		if got, err := s.SettleCredits(e.ctx, sc, run, cost); err != nil || got != want {
			t.Errorf("took %d, not %d: %v", got, want, err)
		}
	}
	if err := reserve(run); err != nil {
		t.Fatal(err)
	}
	if err := reserve(run); !errors.Is(err, account.ErrDuplicate) {
		t.Errorf("a second charge of one run: %v", err)
	}
	creditsLeft(t, e, s, sc, 47)
	settle(run, 10, 10)
	settle(run, 10, 10) // once
	settle(e.runID(), 10, 0)
	creditsLeft(t, e, s, sc, 40)

	// What others have reserved is not taken from them.
	dear, waits := e.runID(), e.runID()
	for i := range 11 {
		run := e.runID()
		switch i {
		case 0:
			run = dear
		case 1:
			run = waits
		}
		if err := reserve(run); err != nil {
			t.Fatal(err)
		}
		if i > 1 {
			settle(run, 3, 3)
		}
	}
	creditsLeft(t, e, s, sc, 7) // 40 - 11*3
	settle(dear, 12, 10)
	creditsLeft(t, e, s, sc, 0)
	if err := reserve(e.runID()); !errors.Is(err, account.ErrCreditsExhausted) || fault.KindOf(err) != fault.PaymentRequired {
		t.Errorf("%v", err)
	}

	// A run is charged to the month in which it started; nothing is carried over.
	e.clock.Advance(2 * time.Minute)
	c, err := s.Credits(e.ctx, sc)
	if err != nil || c.Remaining != 50 || c.Total != 50 || !c.ResetsAt.Equal(time.Date(2031, 3, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v %v", c, err)
	}
	settle(waits, 10, 3)
	creditsLeft(t, e, s, sc, 50)
}

func creditsUnlimited(t *testing.T, e *env) {
	s, sc := creditLab(t, e)
	run := e.runID()
	if err := e.SetPlan(e.ctx, sc, account.PlanUnlimited); err != nil {
		t.Fatal(err)
	}
	if err := s.ReserveCredits(e.ctx, sc, run, 3); err != nil {
		t.Fatal(err)
	}
	if err := e.SetPlan(e.ctx, sc, account.PlanFree); err != nil {
		t.Fatal(err)
	}
	if got, err := s.SettleCredits(e.ctx, sc, run, 10); got != 0 || err != nil {
		t.Errorf("a run that was started without a limit took %d: %v", got, err)
	}
	creditsLeft(t, e, s, sc, 50)
}

func creditsRollBack(t *testing.T, e *env) {
	s, sc := creditLab(t, e)
	run, undo := e.runID(), errors.New("undo")
	err := e.tx.Do(e.ctx, func(ctx context.Context) error {
		if err := s.ReserveCredits(ctx, sc, run, 3); err != nil {
			return err
		}
		return undo
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	creditsLeft(t, e, s, sc, 50)
}

// creditsAtOnce starts more runs at once than there are credits for.
func creditsAtOnce(t *testing.T, e *env) {
	s, sc := creditLab(t, e)
	var started, refused int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			err := s.ReserveCredits(e.ctx, sc, e.runID(), 3)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				started++
			case errors.Is(err, account.ErrCreditsExhausted):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if started != 16 || refused != 48 {
		t.Errorf("%d started and %d were refused", started, refused)
	}
	creditsLeft(t, e, s, sc, 2)
}
