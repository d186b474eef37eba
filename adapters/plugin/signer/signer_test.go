package signer_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/keeper/aesgcm"
	"github.com/bureau-agents/bureau/adapters/plugin/signer"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/clock"
)

func open(t *testing.T) (*bunstore.Store, func() *signer.Signer) {
	t.Helper()
	store, err := bunstore.Open(t.Context(), bunstore.Config{Path: t.TempDir() + "/bureau.db", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	k, err := aesgcm.New(aesgcm.Config{Root: aesgcm.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	return store, func() *signer.Signer {
		s, err := signer.New(signer.Deps{Keys: store.Skills(), Keeper: k, Clock: clock.Func(time.Now)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	_, server := open(t)
	one, two := server(), server() // two servers of one database
	sig, err := one.Sign(t.Context(), []byte("manifest"))
	if err != nil {
		t.Fatal(err)
	}
	if err := two.Verify(t.Context(), []byte("manifest"), sig); err != nil {
		t.Errorf("the other server: %v", err)
	}
	for name, tc := range map[string]struct {
		message string
		sig     skill.Signature
	}{
		"another message":   {"Manifest", sig},
		"another signature": {"manifest", skill.Signature{Key: sig.Key, Bytes: make([]byte, 64)}},
		"no signature":      {"manifest", skill.Signature{Key: sig.Key}},
		"another key":       {"manifest", skill.Signature{Key: "ed25519:0000000000000000", Bytes: sig.Bytes}},
	} {
		if err := two.Verify(t.Context(), []byte(tc.message), tc.sig); !errors.Is(err, skill.ErrModified) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	_, server := open(t)
	s := server()
	old, err := s.Sign(t.Context(), []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.Generate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := s.Sign(t.Context(), []byte("m"))
	if err != nil || fresh.Key != k.ID || fresh.Key == old.Key {
		t.Fatalf("signed with %s, %v; want %s", fresh.Key, err, k.ID)
	}
	for _, sig := range []skill.Signature{old, fresh} {
		if err := server().Verify(t.Context(), []byte("m"), sig); err != nil {
			t.Errorf("%s: %v", sig.Key, err)
		}
	}
}

func TestFirstKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	store, server := open(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := server().Sign(t.Context(), []byte("m")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if keys, err := store.Skills().Keys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

// Whoever can write to the database, but does not know the root secret, cannot vouch for a plugin.
func TestForgedKey(t *testing.T) {
	t.Parallel()
	store, server := open(t)
	_, stranger := open(t)
	forger := stranger()
	sig, err := forger.Sign(t.Context(), []byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := forger.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Skills().AddKey(context.WithoutCancel(t.Context()), keys[0]); err != nil {
		t.Fatal(err)
	}
	if err := server().Verify(t.Context(), []byte("m"), sig); !errors.Is(err, skill.ErrModified) {
		t.Errorf("got %v", err)
	}
}
