package aesgcm_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/adapters/keeper/aesgcm"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/keeper/keepertest"
)

func open(t *testing.T, cfg aesgcm.Config) *aesgcm.Keeper {
	t.Helper()
	k, err := aesgcm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeeper(t *testing.T) {
	t.Parallel()
	keepertest.Run(t, keepertest.Config{New: func(t *testing.T) keeper.Keeper {
		return open(t, aesgcm.Config{Root: aesgcm.NewSecret()})
	}})
}

func TestRotation(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	first, second := aesgcm.NewSecret(), aesgcm.NewSecret()
	before, after := open(t, aesgcm.Config{Root: first}), open(t, aesgcm.Config{Root: second, Former: []aesgcm.Secret{first}})
	old, err := before.Seal(ctx, "p", []byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := after.Open(ctx, "p", old); err != nil || string(got) != "old" {
		t.Errorf("opened %q, %v; want the value sealed under the former secret", got, err)
	}
	renewed, err := after.Seal(ctx, "p", []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Open(ctx, "p", renewed); !errors.Is(err, keeper.ErrOpen) {
		t.Errorf("the former secret opened a value of the new one: %v; want ErrOpen", err)
	}
	dropped := open(t, aesgcm.Config{Root: second})
	if _, err := dropped.Open(ctx, "p", old); !errors.Is(err, keeper.ErrOpen) {
		t.Errorf("opened without the former secret: %v; want ErrOpen", err)
	}
}

// stable is "the plaintext" as version 1 sealed it.
const stable = "AU3mrYTEdVXsS6TkxJgxHwDg78j5XFZGs2r/KuBvj8HFE16hP2+TSG7VM7evcDYEUI0="

// TestStable: what an earlier version of this package sealed opens.
func TestStable(t *testing.T) {
	t.Parallel()
	root, err := aesgcm.ParseSecret("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := base64.StdEncoding.DecodeString(stable)
	if err != nil {
		t.Fatal(err)
	}
	got, err := open(t, aesgcm.Config{Root: root}).Open(context.Background(), "tenant/table/row/column", sealed)
	if err != nil || string(got) != "the plaintext" {
		t.Errorf("opened %q, %v", got, err)
	}
}

func TestParseSecret(t *testing.T) {
	t.Parallel()
	s := aesgcm.NewSecret()
	std, url := base64.StdEncoding.EncodeToString(s[:]), base64.URLEncoding.EncodeToString(s[:])
	for _, text := range []string{s.Hex(), strings.ToUpper(s.Hex()), std, url, strings.TrimRight(std, "="), " " + s.Hex() + "\n"} {
		got, err := aesgcm.ParseSecret(text)
		if err != nil || got != s {
			t.Errorf("ParseSecret(%q): %v", text, err)
		}
	}
	for _, text := range []string{"", "secret", s.Hex()[2:], s.Hex() + "00", std + "AAAA", strings.Repeat("g", 64)} {
		if _, err := aesgcm.ParseSecret(text); err == nil {
			t.Errorf("ParseSecret(%q): no error", text)
		} else if text != "" && strings.Contains(err.Error(), text) && text != "secret" {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
	for _, format := range []string{"%v", "%s", "%+v", "%#v"} {
		if got := fmt.Sprintf(format, s); got != "[redacted]" {
			t.Errorf("%s prints %s", format, got)
		}
	}
	if _, err := aesgcm.New(aesgcm.Config{}); err == nil {
		t.Error("New without a root secret: no error")
	}
}
