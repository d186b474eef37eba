package gocloud_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/blob/gocloud"
	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/blob/blobtest"
)

// folder is a store and where it is.
type folder struct {
	*gocloud.Store
	dir string
}

func open(t *testing.T, dir string) folder {
	t.Helper()
	s, err := gocloud.Open(context.Background(), gocloud.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return folder{s, dir}
}

func TestStore(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, blobtest.Config{
		New: func(t *testing.T) blob.Store { return open(t, filepath.Join(t.TempDir(), "made", "blobs")) },
		Corrupt: func(t *testing.T, s blob.Store, key string) {
			path := filepath.Join(s.(folder).dir, key+"~")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[0] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir())
	ctx := context.Background()
	if _, err := f.Put(ctx, "k", strings.NewReader("whatever there was")); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{57, 20, 0} {
		if err := os.Truncate(filepath.Join(f.dir, "k~"), size); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Stat(ctx, "k"); !errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("Stat of %d bytes: %v; want ErrCorrupt", size, err)
		}
		if _, _, err := f.Open(ctx, "k"); !errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("Open of %d bytes: %v; want ErrCorrupt", size, err)
		}
	}
}

func TestPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "blobs")
	f := open(t, dir)
	if _, err := f.Put(context.Background(), "a/b", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{dir, dir + "/a", dir + "/a/b~"} {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s; want nothing for others", p, info.Mode())
		}
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := open(t, dir)
	if _, err := f.Put(context.Background(), "a/kept", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	for _, name := range []string{"a/old", "a/fresh"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a/old", "a/kept~"} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	for name, there := range map[string]bool{"a/old": false, "a/fresh": true, "a/kept~": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != there {
			t.Errorf("%s after the sweep: %v; want it there: %t", name, err, there)
		}
	}
}
