// Package sandboxtest is the conformance suite of sandbox.Repository.
package sandboxtest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

// Config of the suite.
type Config struct {
	// New returns an empty store. It is called once per subtest.
	New func(t *testing.T) sandbox.Repository
	// Session stores a session and returns what ends it: archive, otherwise delete.
	Session func(t *testing.T, sc account.Scope) (of id.Session, end func(archive bool))
}

var ids = id.NewGenerator(time.Now)

func scope() account.Scope { return account.System(id.New[id.TenantKind](ids)) }

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	t.Run("outputs", func(t *testing.T) { outputs(t, cfg.New(t)) })
	t.Run("foreign tenant", func(t *testing.T) { foreign(t, cfg.New(t)) })
	t.Run("live", func(t *testing.T) { live(t, cfg) })
}

func output(path string, size int64) sandbox.Output {
	return sandbox.Output{Path: path, File: id.New[id.FileKind](ids), Size: size, Modified: clock.Stored(time.Now())}
}

var equal = cmp.Comparer(func(a, b sandbox.Output) bool {
	return a.Path == b.Path && a.File == b.File && a.Size == b.Size && a.Modified.Equal(b.Modified)
})

func want(t *testing.T, r sandbox.Repository, sc account.Scope, of id.Session, list ...sandbox.Output) {
	t.Helper()
	expected := map[string]sandbox.Output{}
	for _, o := range list {
		expected[o.Path] = o
	}
	got, err := r.Outputs(t.Context(), sc, of)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expected, got, equal); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

func outputs(t *testing.T, r sandbox.Repository) {
	sc, of := scope(), id.New[id.SessionKind](ids)
	want(t, r, sc, of)
	a, b := output("report.pdf", 1<<40), output("dir/é \"quoted\".csv", 0)
	for _, o := range []sandbox.Output{a, b} {
		if err := r.SaveOutput(t.Context(), sc, of, o); err != nil {
			t.Fatal(err)
		}
	}
	want(t, r, sc, of, a, b)
	changed := output("report.pdf", 7)
	if err := r.SaveOutput(t.Context(), sc, of, changed); err != nil {
		t.Fatal(err)
	}
	want(t, r, sc, of, changed, b)
	want(t, r, sc, id.New[id.SessionKind](ids))
}

func foreign(t *testing.T, r sandbox.Repository) {
	sc, of := scope(), id.New[id.SessionKind](ids)
	o := output("report.pdf", 3)
	if err := r.SaveOutput(t.Context(), sc, of, o); err != nil {
		t.Fatal(err)
	}
	other := scope()
	want(t, r, other, of)
	if err := r.SaveOutput(t.Context(), other, of, output("report.pdf", 9)); err != nil {
		t.Fatal(err)
	}
	want(t, r, sc, of, o)
}

func live(t *testing.T, cfg Config) {
	r := cfg.New(t)
	if got, err := r.Live(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("Live of nothing: %v, %v", got, err)
	}
	kept, _ := cfg.Session(t, scope())
	archived, end := cfg.Session(t, scope())
	end(true)
	deleted, end := cfg.Session(t, scope())
	end(false)
	got, err := r.Live(t.Context(), []id.Session{deleted, kept, archived, id.New[id.SessionKind](ids)})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []id.Session{kept}) {
		t.Errorf("Live = %v, want only %s", got, kept)
	}
}
