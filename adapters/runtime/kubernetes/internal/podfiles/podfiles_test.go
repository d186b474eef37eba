package podfiles

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// given makes the directory that a pod mounts.
func given(t *testing.T, files map[string]string, gone ...string) string {
	t.Helper()
	dir := t.TempDir()
	m := Manifest{Files: map[string]string{}, Delete: gone}
	for name, text := range files {
		key := filepath.Base(name) + "-key"
		m.Files[name] = key
		put(t, filepath.Join(dir, key), text)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, ManifestName), string(text))
	return dir
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWrite(t *testing.T) {
	work, outside := t.TempDir(), t.TempDir()
	put(t, filepath.Join(outside, "b.md"), "not ours")
	put(t, filepath.Join(work, "own"), "mine")
	if err := Write(given(t, map[string]string{"SOUL.md": "a soul", "rules/b.md": "a rule", "c/d/e": "deep"}), work); err != nil {
		t.Fatal(err)
	}
	// What a program does with what it was given.
	for _, err := range []error{
		os.RemoveAll(filepath.Join(work, "rules")), os.Symlink(outside, filepath.Join(work, "rules")),
		os.RemoveAll(filepath.Join(work, "c")), os.WriteFile(filepath.Join(work, "c"), nil, 0o600),
		os.Remove(filepath.Join(work, "SOUL.md")), os.Mkdir(filepath.Join(work, "SOUL.md"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	second := given(t, map[string]string{"SOUL.md": "another", "rules/b.md": "another rule", "c/d/f": "deeper"}, "c/d/e", "nowhere", "own/x")
	if err := Write(second, work); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"SOUL.md": "another", "rules/b.md": "another rule", "c/d/f": "deeper", "own": "mine"} {
		if got, err := os.ReadFile(filepath.Join(work, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q (%v)", name, got, err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(outside, "b.md")); err != nil || string(got) != "not ours" {
		t.Errorf("outside: %q (%v)", got, err)
	}
	if err := Write(given(t, nil, "SOUL.md", "c/d/f"), work); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SOUL.md", "c/d/f"} {
		if _, err := os.Lstat(filepath.Join(work, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "x")
	work := t.TempDir()
	rel, err := filepath.Rel(work, outside)
	if err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"upwards": given(t, map[string]string{rel: "x"}), "absolute": given(t, map[string]string{outside: "x"})} {
		if err := Write(dir, work); err == nil {
			t.Errorf("a path %s was taken", name)
		}
	}
	if _, err := os.Lstat(outside); err == nil {
		t.Error("it was written")
	}
}
