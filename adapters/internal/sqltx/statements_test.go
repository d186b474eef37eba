package sqltx

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func openTest(t *testing.T) *sql.DB {
	t.Helper()
	db, err := OpenSQLite(filepath.Join(t.TempDir(), "t.db"), SQLiteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.Exec("CREATE TABLE n (v INTEGER UNIQUE, text TEXT)"); err != nil {
		t.Fatal(err)
	}
	return db
}

// idle returns the texts of the statements that the one connection keeps.
func idle(t *testing.T, db *sql.DB) map[string]bool {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kept := map[string]bool{}
	if err := c.Raw(func(dc any) error {
		for q := range dc.(*statementConn).idle { //nolint:forcetypeassert // OpenSQLite makes no other
			kept[q] = true
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return kept
}

// TestStatementsKept prepares once what comes again, and nothing that does not.
func TestStatementsKept(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	insert := "INSERT INTO n (v, text) VALUES (?, ?)"
	for i := range 3 {
		if _, err := db.Exec(insert, i, fmt.Sprint("text ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec(insert, 1, "again"); err == nil {
		t.Error("a unique value was stored twice")
	}
	if _, err := db.Exec("UPDATE n SET text = 'written into the statement' WHERE v = 2"); err != nil {
		t.Fatal(err)
	}
	for want := range 2 {
		var got int
		if err := db.QueryRow("SELECT v FROM n WHERE v = ?", want).Scan(&got); err != nil || got != want {
			t.Errorf("got %d, %v; want %d", got, err, want)
		}
	}
	if _, err := db.Exec(insert, 3, nil); err != nil {
		t.Errorf("after an error: %v", err)
	}
	want := map[string]bool{insert: true, "SELECT v FROM n WHERE v = ?": true}
	if diff := cmp.Diff(want, idle(t, db)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	var text sql.NullString
	if err := db.QueryRow("SELECT text FROM n WHERE v = ?", 3).Scan(&text); err != nil || text.Valid {
		t.Errorf("an argument of an earlier run was left in the statement: %v, %v", text, err)
	}
}

// TestStatementsNested runs a query inside a loop over the rows of the same query.
func TestStatementsNested(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	if _, err := db.Exec("INSERT INTO n (v) VALUES (1), (2), (3)"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	var got []string
	const above = "SELECT v FROM n WHERE v > ? ORDER BY v"
	var walk func(ctx context.Context, path string, from int)
	walk = func(ctx context.Context, path string, from int) {
		rows, err := tx.QueryContext(ctx, above, from)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var v int
			if err := rows.Scan(&v); err != nil {
				t.Fatal(err)
			}
			got = append(got, path+fmt.Sprint(v))
			walk(ctx, path+fmt.Sprint(v), v)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	walk(t.Context(), "", 0)
	if diff := cmp.Diff([]string{"1", "12", "123", "13", "2", "23", "3"}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestStatementsBounded keeps no more than it should, and follows changes of the schema.
func TestStatementsBounded(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	for i := range maxStatements + 10 {
		var got int
		if err := db.QueryRow(fmt.Sprintf("SELECT %d + ?", i), 1).Scan(&got); err != nil || got != i+1 {
			t.Fatalf("got %d, %v; want %d", got, err, i+1)
		}
	}
	if n := len(idle(t, db)); n != maxStatements {
		t.Errorf("%d statements are kept, want %d", n, maxStatements)
	}
	if _, err := db.Exec("INSERT INTO n (v) VALUES (?)", 1); err != nil {
		t.Fatal(err)
	}
	const all = "SELECT * FROM n WHERE v = ?"
	columns := func() []string {
		rows, err := db.Query(all, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil || !rows.Next() {
			t.Fatalf("no row: %v", errors.Join(err, rows.Err()))
		}
		return names
	}
	columns()
	if _, err := db.Exec("ALTER TABLE n ADD COLUMN more TEXT"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"v", "text", "more"}, columns()); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}
