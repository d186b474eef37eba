package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/adapters/keeper/aesgcm"
	"github.com/bureau-agents/bureau/core/secret/secrettest"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	k, err := aesgcm.New(aesgcm.Config{Root: aesgcm.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	eachStore(t, func(t *testing.T, s *Store) {
		secrettest.Run(t, secrettest.Config{Keeper: k, New: func(*testing.T) secrettest.Store {
			return secrettest.Store{Vaults: s.Vaults(), Credentials: s.Credentials(), TX: s}
		}})
	})
}
