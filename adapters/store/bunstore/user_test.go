package bunstore

import (
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// TestExpiredSignIns checks that the keys of sign-ins go with their time, and no other keys do.
func TestExpiredSignIns(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		ids, now := id.NewGenerator(time.Now), clock.Stored(time.Now())
		tenant := account.Tenant{ID: id.New[id.TenantKind](ids), Name: "t", Plan: account.PlanFree, CreatedAt: now}
		accounts, users, sc := s.Accounts(), s.Users(), account.System(tenant.ID)
		if err := accounts.InsertTenant(t.Context(), tenant); err != nil {
			t.Fatal(err)
		}
		user, err := users.SaveUser(t.Context(), sc, account.User{
			ID: id.New[id.UserKind](ids), Tenant: tenant.ID, Issuer: "i", Subject: "s", Email: "a@example.com", CreatedAt: now, LastSignInAt: now,
		})
		if err != nil {
			t.Fatal(err)
		}
		soon, later := now.Add(time.Minute), now.Add(time.Hour)
		for name, signedIn := range map[string]bool{"console": true, "program": false} {
			for when, expires := range map[string]time.Time{"soon": soon, "later": later} {
				k := account.StoredKey{Key: account.Key{
					ID: id.New[id.APIKeyKind](ids), Tenant: tenant.ID, Name: name + " " + when, Prefix: "bur_", CreatedAt: now, ExpiresAt: &expires,
				}, Hash: account.HashSecret(name + when)}
				if err := accounts.InsertKey(t.Context(), sc, k); err != nil {
					t.Fatal(err)
				}
				if !signedIn {
					continue
				}
				if err := users.InsertSignIn(t.Context(), sc, k.ID, user.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		names := func(at time.Time) map[string]bool {
			t.Helper()
			p, err := accounts.Keys(t.Context(), sc, page.Request{}, at)
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]bool{}
			for _, k := range p.Items {
				out[k.Name] = true
			}
			return out
		}
		if got := names(now); len(got) != 4 {
			t.Errorf("before: %v", got)
		}
		if got := names(soon); len(got) != 3 || got["console soon"] {
			t.Errorf("after: %v", got)
		}
		for _, want := range []int{1, 0} {
			if n, err := users.ExpireSignIns(t.Context(), soon); n != want || err != nil {
				t.Errorf("%d were swept: %v", n, err)
			}
		}
		if got := names(now); len(got) != 3 || got["console soon"] { // whatever the time
			t.Errorf("swept: %v", got)
		}
	})
}
