// Package sqlitetest gives tests SQLite databases that are ready for use.
package sqlitetest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Template is a database that is made once in a process and copied from then on: applying every migration takes far longer than most tests
// of a repository. It is safe for concurrent use.
type Template struct {
	content func() ([]byte, error)
}

// NewTemplate returns a template that fill makes when it is first needed. fill leaves one file at path, with nothing beside it and nobody
// who has it open.
func NewTemplate(fill func(path string) error) *Template {
	return &Template{sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "bureau-template-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "bureau.db")
		if err := fill(path); err != nil {
			return nil, err
		}
		return os.ReadFile(path)
	})}
}

// Copy writes a copy of the template to path.
func (t *Template) Copy(tb testing.TB, path string) {
	tb.Helper()
	content, err := t.content()
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		tb.Fatalf("sqlitetest: %v", err)
	}
}
