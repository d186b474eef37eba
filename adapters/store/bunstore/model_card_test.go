package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/adapters/keeper/aesgcm"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/model/modeltest"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestModelCards(t *testing.T) {
	t.Parallel()
	k, err := aesgcm.New(aesgcm.Config{Root: aesgcm.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	eachStore(t, func(t *testing.T, s *Store) {
		modeltest.Run(t, modeltest.Config{Keeper: k, New: func(*testing.T) (model.CardRepository, tx.Runner) { return s.ModelCards(), s }})
	})
}
