// Package blobtest is the conformance suite of ports/blob: every Store runs it.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/fault"
)

// Config says what is tested.
type Config struct {
	// New returns an empty store.
	New func(t *testing.T) blob.Store
	// Corrupt changes one of the stored bytes of key behind the store's back.
	Corrupt func(t *testing.T, s blob.Store, key string)
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, blob.Store){
		"RoundTrip": testRoundTrip, "Replace": testReplace, "Missing": testMissing, "BrokenSource": testBrokenSource,
		"Cancelled": testCancelled, "BadKeys": testBadKeys, "NestedKeys": testNestedKeys, "Concurrent": testConcurrent,
		"PartialRead": testPartialRead,
		"Corrupt": func(t *testing.T, s blob.Store) {
			put(t, s, "bad", []byte("what was written"))
			cfg.Corrupt(t, s, "bad")
			if _, err := read(s, "bad"); !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("reading changed bytes: %v; want ErrCorrupt", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, cfg.New(t))
		})
	}
}

func put(t *testing.T, s blob.Store, key string, b []byte) blob.Info {
	t.Helper()
	info, err := s.Put(context.Background(), key, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func read(s blob.Store, key string) ([]byte, error) {
	r, _, err := s.Open(context.Background(), key)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func want(t *testing.T, s blob.Store, key string, want []byte) {
	t.Helper()
	got, err := read(s, key)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s holds %d bytes that differ from the %d written", key, len(got), len(want))
	}
}

func testRoundTrip(t *testing.T, s blob.Store) {
	ctx := context.Background()
	for _, size := range []int{0, 1, 39, 40, 41, 4096, 1<<20 + 17} {
		b := make([]byte, size)
		rng := rand.New(rand.NewPCG(uint64(size), 1))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		key := fmt.Sprintf("some/Dir_1/%d.bin-x", size)
		wantInfo := blob.Info{Size: int64(size), SHA256: sha256.Sum256(b)}
		if diff := cmp.Diff(wantInfo, put(t, s, key, b)); diff != "" {
			t.Errorf("Put (-want +got):\n%s", diff)
		}
		info, err := s.Stat(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantInfo, info); diff != "" {
			t.Errorf("Stat (-want +got):\n%s", diff)
		}
		r, info, err := s.Open(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantInfo, info); diff != "" {
			t.Errorf("Open (-want +got):\n%s", diff)
		}
		if size <= 4096 { // reads byte by byte and at odd borders
			if err := iotest.TestReader(r, b); err != nil {
				t.Error(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		want(t, s, key, b)
	}
}

func testReplace(t *testing.T, s blob.Store) {
	put(t, s, "k", []byte("a longer first version"))
	r, _, err := s.Open(context.Background(), "k")
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", []byte("second"))
	want(t, s, "k", []byte("second"))
	// A reader of the first version gets the whole of one version, or an error that says that it did not.
	b, err := io.ReadAll(r)
	if err == nil && string(b) != "a longer first version" && string(b) != "second" {
		t.Errorf("a reader from before got %q", b)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func testMissing(t *testing.T, s blob.Store) {
	ctx := context.Background()
	put(t, s, "gone", []byte("x"))
	if err := s.Delete(ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"never", "no/such/dir", "gone"} {
		if _, _, err := s.Open(ctx, key); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Open(%q): %v; want ErrNotFound", key, err)
		}
		if _, err := s.Stat(ctx, key); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Stat(%q): %v; want ErrNotFound", key, err)
		}
		if err := s.Delete(ctx, key); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Delete(%q): %v; want ErrNotFound", key, err)
		}
	}
}

func testBrokenSource(t *testing.T, s blob.Store) {
	boom := errors.New("boom")
	broken := func() io.Reader { return io.MultiReader(strings.NewReader("half of it"), iotest.ErrReader(boom)) }
	ctx := context.Background()
	if _, err := s.Put(ctx, "new", broken()); !errors.Is(err, boom) {
		t.Errorf("Put: %v; want the source's error", err)
	}
	if _, err := s.Stat(ctx, "new"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat after a broken Put: %v; want ErrNotFound", err)
	}
	put(t, s, "old", []byte("old"))
	if _, err := s.Put(ctx, "old", broken()); !errors.Is(err, boom) {
		t.Errorf("Put: %v; want the source's error", err)
	}
	want(t, s, "old", []byte("old"))
}

func testCancelled(t *testing.T, s blob.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	src := io.MultiReader(strings.NewReader("half"), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, io.EOF
	}))
	if _, err := s.Put(ctx, "k", src); !errors.Is(err, context.Canceled) {
		t.Errorf("Put with a context that ends: %v; want context.Canceled", err)
	}
	if _, err := s.Stat(context.Background(), "k"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat after it: %v; want ErrNotFound", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func testBadKeys(t *testing.T, s blob.Store) {
	for _, key := range []string{
		"", "/", "/abs", "a/", "a//b", ".", "..", "a/../b", "../escape", "a/./b", "a b", "a\\b", "a\x00b", "é", "a~", strings.Repeat("x", 1024),
	} {
		if _, err := s.Put(context.Background(), key, strings.NewReader("x")); fault.KindOf(err) != fault.Invalid {
			t.Errorf("Put(%q): %v; want fault.Invalid", key, err)
		}
		if _, _, err := s.Open(context.Background(), key); err == nil {
			t.Errorf("Open(%q): no error", key)
		}
	}
}

// testNestedKeys: a key may be the beginning of another.
func testNestedKeys(t *testing.T, s blob.Store) {
	for _, key := range []string{"a", "a/b", "a/b/c", "z/y", "z"} {
		put(t, s, key, []byte(key))
	}
	for _, key := range []string{"a", "a/b", "a/b/c", "z/y", "z"} {
		want(t, s, key, []byte(key))
	}
}

// testConcurrent: whoever reads while others write sees one whole version.
func testConcurrent(t *testing.T, s blob.Store) {
	version := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 1000*(i+1)) }
	put(t, s, "k", version(0))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 20 {
				if _, err := s.Put(context.Background(), "k", bytes.NewReader(version(i))); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				b, err := read(s, "k")
				if err != nil {
					t.Error(err)
				} else if !bytes.Equal(b, version(int(b[0]-'a'))) {
					t.Errorf("read %d bytes that nobody wrote", len(b))
				}
			}
		})
	}
	wg.Wait()
}

func testPartialRead(t *testing.T, s blob.Store) {
	put(t, s, "k", []byte("0123456789"))
	r, _, err := s.Open(context.Background(), "k")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(r, b); err != nil || string(b) != "0123" {
		t.Errorf("read %q, %v", b, err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("closing a reader before its end: %v", err)
	}
}
