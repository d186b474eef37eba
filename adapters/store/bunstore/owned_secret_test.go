package bunstore

import (
	"context"
	"testing"

	"github.com/bureau-agents/bureau/adapters/keeper/aesgcm"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/secret/secrettest"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestOwnedSecrets(t *testing.T) {
	t.Parallel()
	k, err := aesgcm.New(aesgcm.Config{Root: aesgcm.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	eachStore(t, func(t *testing.T, s *Store) {
		secrettest.RunOwned(t, secrettest.OwnedConfig{
			Keeper: k, New: func(*testing.T) (secrettest.OwnedRepository, tx.Runner) { return s.OwnedSecrets(), s },
		})
	})
}

// TestOwnedSecretsUnderAnotherRoot reads what was sealed before the root secret was changed.
func TestOwnedSecretsUnderAnotherRoot(t *testing.T) {
	t.Parallel()
	s := openSQLiteStore(t)
	old, next := aesgcm.NewSecret(), aesgcm.NewSecret()
	sc, of := account.System(id.New[id.TenantKind](ids)), id.New[id.AgentKind](ids)
	for i, cfg := range []aesgcm.Config{{Root: old}, {Root: next, Former: []aesgcm.Secret{old}}, {Root: next}} {
		k, err := aesgcm.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		secrets, err := secret.NewAgentSecrets(secret.OwnedDeps{
			TX: s, Clock: clocktest.New(), Keeper: k, Repository: s.OwnedSecrets(), Retired: s.OwnedSecrets(), Owners: anyOwners{},
			Audit: silent{},
		})
		if err != nil {
			t.Fatal(err)
		}
		if i < 2 { // what is set anew is sealed anew
			got, err := secrets.Environment(t.Context(), sc, of)
			if err != nil || i == 1 && got["A"] != "v" {
				t.Fatalf("with %d secrets: %v, %v", i+1, got, err)
			}
			if _, err := secrets.Set(t.Context(), sc, of, secret.Change{Set: map[string]secret.Value{"A": secret.NewValue("v")}}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := secrets.Environment(t.Context(), sc, of); err != nil || got["A"] != "v" {
			t.Errorf("under the new secret alone: %v, %v", got, err)
		}
	}
}

type anyOwners struct{}

func (anyOwners) Exists(context.Context, account.Scope, secret.Owner) error { return nil }

func (anyOwners) Hold(context.Context, account.Scope, secret.Owner) error { return nil }

func (anyOwners) SwarmOf(context.Context, account.Scope, id.Agent) (id.Swarm, error) {
	return id.Swarm{}, nil
}

type silent struct{}

func (silent) Record(context.Context, account.Scope, string, map[string]any) error { return nil }
