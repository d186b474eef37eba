package process

import (
	"os"
	"path"
	"strings"
	"testing"
)

// However links lie, a path leads to one of the sandbox's directories, by a name that does not climb.
func FuzzLocate(f *testing.F) {
	f.Add("/workspace/a/../b", "../../etc", "/")
	f.Add("/workspace/one/two", "/tmp/../workspace/two", "one")
	f.Fuzz(func(t *testing.T, p, first, second string) {
		s := &sandbox{base: t.TempDir(), roots: map[string]*os.Root{}}
		if err := s.create(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.closeRoots() }()
		_ = s.roots["/workspace"].Symlink(first, "one")
		_ = s.roots["/workspace"].Symlink(second, "two")
		_ = s.roots["/tmp"].Symlink(second, "one")
		for _, follow := range []bool{true, false} {
			at, err := s.locate(p, follow)
			if err != nil {
				continue
			}
			if at.dir == "" && above(at.path) {
				continue
			}
			if at.root == nil || path.Clean(at.name) != at.name || strings.HasPrefix(at.name, "..") && (at.name == ".." || strings.HasPrefix(at.name, "../")) ||
				path.Join(at.dir, at.name) != at.path {
				t.Errorf("%q leads to %+v", p, at)
			}
		}
	})
}
