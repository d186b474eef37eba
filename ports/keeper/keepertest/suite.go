// Package keepertest is the conformance suite of ports/keeper: every Keeper runs it.
package keepertest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/ports/keeper"
)

// Config says what is tested.
type Config struct {
	// New returns a keeper with a root secret of its own.
	New func(t *testing.T) keeper.Keeper
}

const place = "tenant/table/row/column"

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, keeper.Keeper){
		"RoundTrip": testRoundTrip, "Place": testPlace, "Tampered": testTampered, "Fresh": testFresh, "Concurrent": testConcurrent,
		"Stranger": func(t *testing.T, k keeper.Keeper) {
			sealed := seal(t, k, []byte("secret"))
			if _, err := cfg.New(t).Open(context.Background(), place, sealed); !errors.Is(err, keeper.ErrOpen) {
				t.Errorf("opened with another root secret: %v; want ErrOpen", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, cfg.New(t))
		})
	}
}

func seal(t *testing.T, k keeper.Keeper, plain []byte) []byte {
	t.Helper()
	sealed, err := k.Seal(context.Background(), place, plain)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func testRoundTrip(t *testing.T, k keeper.Keeper) {
	for _, want := range [][]byte{nil, {0}, []byte("sk-a-secret-that-is-long-enough"), bytes.Repeat([]byte("x"), 1<<20)} {
		sealed := seal(t, k, want)
		if len(want) > 8 && bytes.Contains(sealed, want[:8]) {
			t.Error("the sealed value shows the plaintext")
		}
		kept := bytes.Clone(sealed)
		got, err := k.Open(context.Background(), place, sealed)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("opened %d bytes, %v; want the %d that were sealed", len(got), err, len(want))
		}
		if !bytes.Equal(kept, sealed) {
			t.Error("Open changed the sealed value")
		}
	}
}

func testPlace(t *testing.T, k keeper.Keeper) {
	sealed := seal(t, k, []byte("secret"))
	for _, other := range []string{"", "tenant/table/row", "tenant/table/row/column2", "other/table/row/column"} {
		if _, err := k.Open(context.Background(), other, sealed); !errors.Is(err, keeper.ErrOpen) {
			t.Errorf("opened at %q: %v; want ErrOpen", other, err)
		}
	}
	if _, err := k.Seal(context.Background(), "", []byte("secret")); err == nil {
		t.Error("sealed for no place")
	}
}

func testTampered(t *testing.T, k keeper.Keeper) {
	sealed := seal(t, k, []byte("secret"))
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 0x40
		if _, err := k.Open(context.Background(), place, changed); !errors.Is(err, keeper.ErrOpen) {
			t.Errorf("opened with byte %d changed: %v; want ErrOpen", i, err)
		}
		if _, err := k.Open(context.Background(), place, sealed[:i]); !errors.Is(err, keeper.ErrOpen) {
			t.Errorf("opened the first %d bytes: %v; want ErrOpen", i, err)
		}
	}
	if _, err := k.Open(context.Background(), place, append(bytes.Clone(sealed), 0)); !errors.Is(err, keeper.ErrOpen) {
		t.Errorf("opened with a byte too many: %v; want ErrOpen", err)
	}
}

// testFresh: sealing twice shows nobody that the values are equal.
func testFresh(t *testing.T, k keeper.Keeper) {
	if bytes.Equal(seal(t, k, []byte("secret")), seal(t, k, []byte("secret"))) {
		t.Error("two seals of one value are the same")
	}
}

func testConcurrent(t *testing.T, k keeper.Keeper) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			want := bytes.Repeat([]byte{byte(i)}, 100)
			for range 50 {
				sealed, err := k.Seal(context.Background(), place, want)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := k.Open(context.Background(), place, sealed); err != nil || !bytes.Equal(got, want) {
					t.Errorf("opened %x, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}
