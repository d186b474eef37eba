package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// trail reads the golden export.
func trail(tb testing.TB) []Entry {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "trail.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	var out []Entry
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		e, err := decodeLine([]byte(line))
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// export writes entries as somebody does who computes every hash anew, behind after.
func export(tb testing.TB, es []Entry, after int) string {
	tb.Helper()
	c := Chain{Head: Genesis}
	var lines []string
	var prev string
	for i, e := range es {
		if i == after {
			prev = c.Head
		}
		e, c = e.follow(c)
		if i >= after {
			lines = append(lines, string(e.encode(true)))
		}
	}
	h := exportHeader{Format: exportFormat, Count: c.Count, Head: c.Head, Tenant: es[0].Tenant.UUID().String()}
	if after > 0 {
		h.After, h.Prev = int64(after), prev
	}
	head, err := json.Marshal(h)
	if err != nil {
		tb.Fatal(err)
	}
	return string(head) + "\n" + strings.Join(lines, "\n") + "\n"
}

func newKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey {
	return k.Public().(ed25519.PublicKey) //nolint:forcetypeassert // documented
}

func newTenant(n byte) id.Tenant { return id.Of[id.TenantKind](id.UUID{n}) }

func checkpointAt(es []Entry, n int, k ed25519.PrivateKey) Checkpoint {
	c := Checkpoint{
		Tenant: es[0].Tenant, Count: int64(n), Head: Genesis, CreatedAt: time.Date(2026, 7, 15, 12, 30, 0, 123e6, time.UTC), KeyID: KeyID(public(k)),
	}
	if n > 0 {
		c.Head = es[n-1].Hash
	}
	c.Signature = ed25519.Sign(k, c.Message())
	return c
}

// An older checkpoint catches what the chain alone cannot tell: a trail that was cut or changed and chained anew.
func TestCheckpointCatchesRewriting(t *testing.T) {
	t.Parallel()
	es, k := trail(t), newKey(1)
	changed := append([]Entry(nil), es...)
	changed[3].Metadata = json.RawMessage(`{"changed":true}`)
	removed := append(append([]Entry(nil), es[:2]...), es[3:]...)
	other := append([]Entry(nil), es...)
	for i := range other {
		other[i].Tenant = newTenant(9)
	}
	for name, c := range map[string]struct {
		export string
		at     int
		broken int64 // 0: fine
		reason string
	}{
		"untouched":               {export(t, es, 0), 5, 0, ""},
		"at the beginning":        {export(t, es, 0), 0, 0, ""},
		"at the end":              {export(t, es, 0), len(es), 0, ""},
		"a part":                  {export(t, es, 4), 5, 0, ""},
		"a part right behind it":  {export(t, es, 5), 5, 0, ""},
		"a part beyond it":        {export(t, es, 6), 5, 0, ""},
		"cut":                     {export(t, es[:4], 0), 5, 5, "were removed"},
		"changed":                 {export(t, changed, 0), 5, 5, "changed"},
		"changed right there":     {export(t, changed, 0), 4, 4, "changed"},
		"changed after it":        {export(t, changed, 0), 3, 0, ""},
		"removed":                 {export(t, removed, 0), 5, 5, "changed"},
		"removed, seen in a part": {export(t, removed, 5), 5, 5, "changed"},
		"of another tenant":       {export(t, other, 0), 5, 5, "another tenant"},
	} {
		if r, err := VerifyExport(strings.NewReader(c.export)); err != nil || !r.Valid {
			t.Fatalf("%s: without a checkpoint: %+v, %v; want it valid", name, r.First, err)
		}
		r, err := VerifyExport(strings.NewReader(c.export), checkpointAt(es, c.at, k))
		if err != nil {
			t.Fatal(err)
		}
		if r.Valid != (c.broken == 0) {
			t.Errorf("%s: valid is %v: %v", name, r.Valid, r.First)
		} else if !r.Valid && (r.First.Index != c.broken || !strings.Contains(r.First.Reason, c.reason)) {
			t.Errorf("%s: %s; want entry %d, %s", name, r.First, c.broken, c.reason)
		}
	}
}

func TestCheckpointSignature(t *testing.T) {
	t.Parallel()
	es, k := trail(t), newKey(1)
	good := checkpointAt(es, 5, k)
	if err := good.Verify(public(k)); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseCheckpoint(text)
	if err != nil || !bytes.Equal(again.Message(), good.Message()) || again.Verify(public(k)) != nil {
		t.Errorf("read again: %+v, %v", again, err)
	}
	for name, change := range map[string]func(*Checkpoint){
		"count":     func(c *Checkpoint) { c.Count++ },
		"head":      func(c *Checkpoint) { c.Head = Genesis },
		"time":      func(c *Checkpoint) { c.CreatedAt = c.CreatedAt.Add(time.Microsecond) },
		"tenant":    func(c *Checkpoint) { c.Tenant = newTenant(9) },
		"key":       func(c *Checkpoint) { c.KeyID = KeyID(public(newKey(2))) },
		"signature": func(c *Checkpoint) { c.Signature = bytes.Repeat([]byte{1}, ed25519.SignatureSize) },
	} {
		c := good
		change(&c)
		if err := c.Verify(public(k)); !errors.Is(err, ErrSignature) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if err := good.Verify(public(newKey(2))); !errors.Is(err, ErrSignature) {
		t.Errorf("another key: %v", err)
	}
	if err := good.Verify(nil); !errors.Is(err, ErrSignature) {
		t.Errorf("no key: %v", err)
	}
	for _, bad := range []string{``, `{}`, `[]`, strings.Replace(string(text), `"count":5`, `"count":5,"count":6`, 1), strings.Replace(string(text), "/1", "/2", 1)} {
		if _, err := ParseCheckpoint([]byte(bad)); !errors.Is(err, ErrNotCheckpoint) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestParsePublicKey(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=\n":                   true,
		"8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c": true,
		"8a88": false, "": false, "not a key": false,
	} {
		k, err := ParsePublicKey(text)
		if (err == nil) != ok || ok && !k.Equal(public(newKey(1))) {
			t.Errorf("%q: %x, %v", text, k, err)
		}
	}
}

// FuzzParseCheckpoint looks for checkpoints that panic, or that are signed as something else than what is read.
func FuzzParseCheckpoint(f *testing.F) {
	text, err := json.Marshal(checkpointAt(trail(f), 5, newKey(1)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"format":"bureau-audit-checkpoint/1","count":0}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseCheckpoint(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		d, err := ParseCheckpoint(again)
		if err != nil || !bytes.Equal(c.Message(), d.Message()) {
			t.Errorf("%s\nis read again as %+v, %v", again, d, err)
		}
	})
}
