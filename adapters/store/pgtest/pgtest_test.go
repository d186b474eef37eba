package pgtest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestURL(t *testing.T) {
	t.Parallel()
	a, b := URL(t), URL(t)
	if a == b {
		t.Fatalf("two calls, one database: %s", a)
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var one float64
	if _, err := conn.Exec(ctx, "CREATE EXTENSION vector"); err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRow(ctx, "SELECT 1 - ('[1,0]'::vector <=> '[2,0]')").Scan(&one); err != nil || one != 1 {
		t.Errorf("cosine of parallel vectors: %v, %v; want 1", one, err)
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	made := 0
	template := NewTemplate(func(address string) error {
		made++
		return run(address, "CREATE TABLE things AS SELECT 7 AS n")
	})
	ctx := context.Background()
	for range 2 {
		conn, err := pgx.Connect(ctx, template.URL(t))
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := conn.QueryRow(ctx, "DELETE FROM things RETURNING n").Scan(&n); err != nil || n != 7 {
			t.Errorf("the copy holds %d, %v", n, err)
		}
		_ = conn.Close(ctx)
	}
	if made != 1 {
		t.Errorf("made %d times", made)
	}
}
