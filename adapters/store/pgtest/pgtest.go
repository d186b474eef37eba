// Package pgtest gives tests databases on a real Postgres with pgvector, version 15 or later.
//
// The server is BUREAU_TEST_DATABASE_URL's, or else the one that scripts/postgres.sh brings up. Tests do not skip where neither
// is to be had: they fail, so that a set-up without Postgres cannot pass for tested.
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// prefix begins the name of every database made here; the time of making follows.
const prefix = "bureau_test_"

// forgotten is how old a database is that a killed test left behind.
const forgotten = time.Hour

// patience bounds starting the server, the first fetch of its packages included.
const patience = 5 * time.Minute

// server returns the address of a database on the server to connect to for making others, once per process.
var server = sync.OnceValues(func() (string, error) {
	if u := os.Getenv("BUREAU_TEST_DATABASE_URL"); u != "" {
		return u, sweep(u)
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", "postgres.sh"), "up")
	// The server that the script starts outlives it, so it must not hold this process's pipes: files do not keep Wait waiting.
	out, err := os.CreateTemp("", "bureau-pgtest-")
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, &stderr, 10*time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("scripts/postgres.sh up: %w\n%s", err, stderr.Bytes())
	}
	b, err := os.ReadFile(out.Name())
	if err != nil {
		return "", err
	}
	u := strings.TrimSpace(string(b))
	return u, sweep(u)
})

// URL returns the address of a new, empty database, which is dropped when the test ends.
func URL(tb testing.TB) string {
	tb.Helper()
	return fresh(tb, "")
}

// Template is a database that is made once in a process and copied from then on: applying every migration takes far longer than most tests
// of a repository. It is safe for concurrent use. It stays behind when the process ends, and is dropped by one that comes later.
type Template struct {
	name func() (string, error)
}

// NewTemplate returns a template that fill makes when it is first needed, in the empty database at address. fill leaves no connection.
func NewTemplate(fill func(address string) error) *Template {
	return &Template{sync.OnceValues(func() (string, error) {
		admin, err := server()
		if err != nil {
			return "", fmt.Errorf("%s: %w", needed, err)
		}
		name, address, err := create(admin, "")
		if err != nil {
			return "", err
		}
		return name, fill(address)
	})}
}

// URL returns the address of a new copy of the template, which is dropped when the test ends.
func (t *Template) URL(tb testing.TB) string {
	tb.Helper()
	name, err := t.name()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	return fresh(tb, name)
}

const needed = "these tests need a Postgres with pgvector: set BUREAU_TEST_DATABASE_URL or make scripts/postgres.sh work"

// fresh makes a database, as a copy of another unless its name is "".
func fresh(tb testing.TB, template string) string {
	tb.Helper()
	admin, err := server()
	if err != nil {
		tb.Fatalf("%s: %v", needed, err)
	}
	name, address, err := create(admin, template)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := run(admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return address
}

func create(admin, template string) (name, address string, err error) {
	u, err := url.Parse(admin)
	if err != nil {
		return "", "", errors.New("BUREAU_TEST_DATABASE_URL is not a URL")
	}
	name = fmt.Sprintf("%s%d_%s", prefix, time.Now().Unix(), strings.ToLower(rand.Text()[:12]))
	statement := "CREATE DATABASE " + name
	if template != "" {
		// The way to copy that Postgres takes by itself writes every block to its log, which costs ten times the processor time.
		statement += " TEMPLATE " + template + " STRATEGY FILE_COPY"
	}
	if err := run(admin, statement); err != nil {
		return "", "", err
	}
	u.Path = "/" + name
	return name, u.String(), nil
}

func run(address, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// sweep drops what killed tests left behind.
func sweep(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, "SELECT datname FROM pg_database WHERE datname LIKE $1", strings.ReplaceAll(prefix, "_", `\_`)+"%")
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		made, _, _ := strings.Cut(strings.TrimPrefix(name, prefix), "_")
		sec, err := strconv.ParseInt(made, 10, 64)
		if err != nil || time.Since(time.Unix(sec, 0)) < forgotten {
			continue
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}

// moduleRoot walks up to the folder of go.mod; tests run in their package's folder.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = up
	}
}
