package bunstore

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/retire"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// TestRetire destroys agents with parts that fail, that come again, and that are not done yet.
func TestRetire(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := gatetest.NewLab(t, gateStore(s), gatetest.Options{})
		a := l.Agent(t, 500)
		ctx, broken := t.Context(), errors.New("the part is broken")
		var fails error
		told := map[id.Agent]int{}
		unfinished := true
		r, err := retire.NewService(retire.Deps{
			TX: s, Clock: l.Clock, Logger: slog.New(slog.DiscardHandler), Tenants: s.Accounts(), Graves: s.Agents(), Trail: l.Trail,
			Parts: []retire.Part{
				retire.PartFunc(func(ctx context.Context, sc account.Scope, of id.Agent) error {
					_, err := l.Wallets.Sweep(ctx, sc, of)
					return err
				}),
				retire.PartFunc(func(_ context.Context, _ account.Scope, of id.Agent) error {
					told[of]++
					return fails
				}),
			},
			Unfinished: func(context.Context, account.Scope, id.Agent) (bool, error) { return unfinished, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		fails = broken
		if err := r.Destroy(ctx, l.Scope, a); !errors.Is(err, broken) {
			t.Fatalf("destroyed with a broken part: %v", err)
		}
		if _, err := s.Agents().Get(ctx, l.Scope, a); err != nil || l.Balance(t, a) != 500 || len(l.Trail.Of("agent_deleted")) != 0 {
			t.Fatalf("a destruction that failed left its traces: %v, balance %d", err, l.Balance(t, a))
		}
		fails = nil
		if err := r.Destroy(ctx, account.System(id.New[id.TenantKind](l.IDs)), a); fault.KindOf(err) != fault.NotFound {
			t.Errorf("another tenant destroys: %v", err)
		}
		if err := r.Destroy(ctx, l.Scope, a); err != nil {
			t.Fatal(err)
		}
		if err := r.Destroy(ctx, l.Scope, a); fault.KindOf(err) != fault.NotFound {
			t.Errorf("destroyed twice: %v", err)
		}
		noted := l.Trail.Of("agent_deleted")
		if len(noted) != 1 || noted[0].Agent != a || noted[0].Metadata["name"] != "lab agent" || l.Balance(t, id.Agent{}) != 500 {
			t.Errorf("noted %v; the account has %d", noted, l.Balance(t, id.Agent{}))
		}
		l.Sound(t)

		// Other tests of this store leave graves, too; what is asked is what this one's agent is told.
		sweep := func() int {
			t.Helper()
			before := told[a]
			if _, err := r.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
			return told[a] - before
		}
		for _, step := range []struct {
			wait       time.Duration
			unfinished bool
			want       int
		}{{0, true, 0}, {11 * time.Minute, true, 1}, {0, true, 1}, {0, false, 1}, {0, false, 0}} {
			l.Clock.Advance(step.wait)
			unfinished = step.unfinished
			if got := sweep(); got != step.want {
				t.Errorf("after %s more, unfinished %t: swept %d times, want %d", step.wait, step.unfinished, got, step.want)
			}
		}
	})
}
