package postgres_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/adapters/blob/postgres"
	"github.com/bureau-agents/bureau/adapters/internal/sqltx"
	"github.com/bureau-agents/bureau/adapters/store/pgtest"
	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/blob/blobtest"
)

// database is a store and the database it is in.
type database struct {
	*postgres.Store
	*sqltx.Handle
}

func open(t *testing.T) database {
	t.Helper()
	url := pgtest.URL(t)
	db, err := sqltx.OpenPostgres(t.Context(), url, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &sqltx.Handle{Dialect: sqltx.Postgres, DB: db, URL: url}
	s, err := postgres.Open(t.Context(), postgres.Config{Store: h})
	if err != nil {
		t.Fatal(err)
	}
	return database{s, h}
}

func (d database) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := d.DB.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, blobtest.Config{
		New: func(t *testing.T) blob.Store { return open(t) },
		Corrupt: func(t *testing.T, s blob.Store, _ string) {
			s.(database).exec(t, "UPDATE bureau_blob_pieces SET bytes = set_byte(bytes, 0, get_byte(bytes, 0) # 1)")
		},
	})
}

// Pieces that no blob names go with a Put once they are old, and no others do.
func TestSweep(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := context.Background()
	put := func(key, text string) {
		t.Helper()
		if _, err := d.Put(ctx, key, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	put("kept", rand.Text())
	put("replaced", "old")
	put("replaced", "new")
	put("deleted", "x")
	if err := d.Delete(ctx, "deleted"); err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		t.Helper()
		if err := d.DB.QueryRowContext(ctx, "SELECT count(*) FROM bureau_blob_pieces").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 4 {
		t.Errorf("%d pieces; somebody may be reading one of the two that are gone", n)
	}
	d.exec(t, "UPDATE bureau_blob_pieces SET made_at = now() - interval '2 hours'")
	put("another", "y")
	if n := count(); n != 3 {
		t.Errorf("%d pieces; want those of the three blobs", n)
	}
}
