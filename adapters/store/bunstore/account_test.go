package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/account/accounttest"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestAccounts(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		accounttest.Run(t, accounttest.Config{New: func(t *testing.T) (accounttest.Repositories, tx.Runner) {
			s := openSQLiteStore(t)
			return s.Accounts(), s
		}})
	})
	t.Run("postgres", func(t *testing.T) {
		accounttest.Run(t, accounttest.Config{New: func(t *testing.T) (accounttest.Repositories, tx.Runner) {
			s := openStore(t, Config{URL: postgresURL(t), PoolSize: 8})
			return s.Accounts(), s
		}})
	})
}
