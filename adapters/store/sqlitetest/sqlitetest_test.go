package sqlitetest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/bureau-agents/bureau/adapters/store/sqlitetest"
)

func TestTemplate(t *testing.T) {
	t.Parallel()
	made := 0
	template := sqlitetest.NewTemplate(func(path string) error {
		made++
		return os.WriteFile(path, []byte("content"), 0o600)
	})
	for range 2 {
		path := filepath.Join(t.TempDir(), "copy.db")
		template.Copy(t, path)
		if b, err := os.ReadFile(path); err != nil || string(b) != "content" {
			t.Errorf("%q, %v", b, err)
		}
	}
	if made != 1 {
		t.Errorf("made %d times", made)
	}
}
