package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/core/secret"
)

func redactor(pairs ...string) *secret.Redactor {
	var known []secret.Known
	for i := 0; i < len(pairs); i += 2 {
		known = append(known, secret.Known{Name: pairs[i], Value: secret.NewValue(pairs[i+1])})
	}
	return secret.NewRedactor(known)
}

func TestRedact(t *testing.T) {
	t.Parallel()
	const odd = "p\"s\\<&>/w ü+1\n"
	trimmed := strings.TrimSpace(odd)
	jsonOf := func(v string) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	pem := "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAo\n-----END KEY-----\n"
	for name, tt := range map[string]struct {
		r          *secret.Redactor
		text, want string
	}{
		"none":            {redactor(), "anything", "anything"},
		"nothing found":   {redactor("A", "secret-one"), "secret-two", "secret-two"},
		"plain":           {redactor("A", "secret-one"), "x secret-one y", "x [redacted:A] y"},
		"twice":           {redactor("A", "secret-one"), "secret-onesecret-one", "[redacted:A][redacted:A]"},
		"too short":       {redactor("A", "12345"), "12345", "12345"},
		"six":             {redactor("A", "123456"), "123456", "[redacted:A]"},
		"six runes":       {redactor("A", "äöüäöü"), "äöüäöü", "[redacted:A]"},
		"five runes":      {redactor("A", "äöüäö"), "äöüäö", "äöüäö"},
		"false start":     {redactor("A", "aaaab-secret"), "aaaaab-secret", "a[redacted:A]"},
		"longer counts":   {redactor("A", "secret", "B", "secret-long"), "secret-long", "[redacted:B]"},
		"shorter is left": {redactor("A", "secret", "B", "secret-long"), "secret-lone", "[redacted:A]-lone"},
		"inside":          {redactor("A", "middle", "B", "the middle one"), "the middle two", "the [redacted:A] two"},
		"overlap":         {redactor("A", "abcdefgh", "B", "ghijkl"), "abcdefghijkl", "[redacted:A]"},
		"same value":      {redactor("A", "secret-one", "B", "secret-one"), "secret-one", "[redacted:A]"},
		"blanks around":   {redactor("A", "  secret-one\n"), "secret-one", "[redacted:A]"},
		"odd name":        {redactor("a]b \"c", "secret-one"), "secret-one", "[redacted:a_b__c]"},
		"no name":         {redactor("", "secret-one"), "secret-one", "[redacted:secret]"},
		"as it is":        {redactor("A", odd), "<" + trimmed + ">", "<[redacted:A]>"},
		"json":            {redactor("A", odd), jsonOf(trimmed), `"[redacted:A]"`},
		"json in json":    {redactor("A", `a"b\c-secret`), jsonOf(`{"x":"a\"b\\c-secret"}`), `"{\"x\":\"[redacted:A]\"}"`},
		"query":           {redactor("A", odd), "?a=" + url.QueryEscape(trimmed) + "&b", "?a=[redacted:A]&b"},
		"path":            {redactor("A", odd), "/" + url.PathEscape(trimmed) + "/", "/[redacted:A]/"},
		"hex":             {redactor("A", "secret-one"), strings.ToUpper(hex.EncodeToString([]byte("secret-one"))), "[redacted:A]"},
		"pem by lines":    {redactor("A", pem), "1 MIIEvQIBADANBgkqhkiG9w0\n2 BAQEFAASCBKcwggSjAgEAAo", "1 [redacted:A]\n2 [redacted:A]"},
		"lines": {
			redactor("A", "user: root-admin-1\npassword: hunter2hunter2\nx: 1\n"), "o user: root-admin-1\r\no password: hunter2hunter2\r\no x: 1",
			"o [redacted:A]\r\no [redacted:A]\r\no x: 1",
		},
	} {
		if got := tt.r.Redact(tt.text); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestRedactBase64 hides a secret behind and before other bytes, as in the header of basic authentication.
func TestRedactBase64(t *testing.T) {
	t.Parallel()
	r := redactor("A", "secret-one")
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
		for before := range 4 {
			for after := range 4 {
				text := enc.EncodeToString([]byte(strings.Repeat("?", before) + "secret-one" + strings.Repeat("~", after)))
				got := r.Redact(text)
				if !strings.Contains(got, "[redacted:A]") {
					t.Errorf("%d before, %d after: %q of %q", before, after, got, text)
				}
				// What is left around it does not tell a whole byte of the secret, beyond those shared with its neighbours.
				if left := len(strings.TrimRight(strings.ReplaceAll(got, "[redacted:A]", ""), "=")); left > (before*8+5)/6+(after*8+5)/6+2 {
					t.Errorf("%d before, %d after: %d characters left in %q", before, after, left, got)
				}
			}
		}
	}
}

func TestRedactDoesNotCopyWhatIsClean(t *testing.T) {
	r := redactor("A", "secret-one")
	text := strings.Repeat("nothing to see here, secre or not. ", 100)
	if n := testing.AllocsPerRun(10, func() { _ = r.Redact(text) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	var none *secret.Redactor
	if n := testing.AllocsPerRun(10, func() { _ = none.Redact(text) }); n > 0 {
		t.Errorf("%v allocations without secrets", n)
	}
}

// TestStreamHoldsBackLittle checks that ordinary text is not delayed.
func TestStreamHoldsBackLittle(t *testing.T) {
	t.Parallel()
	s := redactor("A", "secret-one").Stream()
	for _, step := range []struct{ in, out string }{
		{"hello ", "hello "}, {"my sec", "my "}, {"ond", "second"}, {" secret", " "}, {"-one", ""}, {"!", "[redacted:A]!"}, {"sec", ""},
	} {
		if got := s.Write(step.in); got != step.out {
			t.Fatalf("%q: %q, want %q", step.in, got, step.out)
		}
	}
	if got := s.Flush(); got != "sec" {
		t.Fatalf("rest %q", got)
	}
	if got := s.Write("secret-one.") + s.Flush(); got != "[redacted:A]." {
		t.Fatalf("second text %q", got)
	}
	if got := (*secret.Redactor)(nil).Stream().Write("secret-one"); got != "secret-one" {
		t.Fatalf("without secrets %q", got)
	}
}

// FuzzStream checks that a stream makes of a text what Redact makes of it, wherever it is cut, and that no secret is left in it.
func FuzzStream(f *testing.F) {
	f.Add("secret-one", "one-two", "x secret-one-two y secre", uint64(1))
	f.Add("aaaaaa", "aaaaaaab", strings.Repeat("a", 30)+"b", uint64(2))
	f.Add("abcabcabd", "bcabca", "abcabcabcabcabd", uint64(3))
	f.Add("pass\"word", "übergrößen", `"pass\"word" übergrößen`, uint64(4))
	f.Fuzz(func(t *testing.T, a, b, text string, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		text = text[:len(text)/2] + a + text[len(text)/2:] + b // so that something is found
		r := redactor("A", a, "B", b)
		want := r.Redact(text)
		s := r.Stream()
		var got strings.Builder
		for rest := text; rest != ""; {
			n := 1 + rng.IntN(min(len(rest), 8))
			got.WriteString(s.Write(rest[:n]))
			rest = rest[n:]
		}
		got.WriteString(s.Flush())
		if got.String() != want {
			t.Fatalf("in pieces %q, at once %q", got.String(), want)
		}
		for _, v := range []string{a, b} {
			v = strings.TrimSpace(v)
			// Where a name joins what stood around it, the text may happen to spell the secret again.
			if len([]rune(v)) >= secret.MinRedacted && !strings.Contains("[redacted:A][redacted:B]", v[:1]) && !strings.Contains("[redacted:A][redacted:B]", v[len(v)-1:]) &&
				strings.Contains(want, v) && !strings.ContainsAny(v, "[]") {
				t.Fatalf("%q is left in %q", v, want)
			}
		}
	})
}

func TestValueHidesItself(t *testing.T) {
	t.Parallel()
	v := secret.NewValue("top-secret")
	b, err := json.Marshal(map[string]any{"v": v, "p": &v})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %s %q %+v %#v %x %v", v, v, v, v, v, v, struct{ V secret.Value }{v}) + string(b) + v.LogValue().String()
	if strings.Contains(shown, "top-secret") || strings.Contains(shown, hex.EncodeToString([]byte("top-secret"))) {
		t.Fatal(shown)
	}
	if !v.Equal(secret.NewValue("top-secret")) || v.Equal(secret.NewValue("top")) || v.IsZero() || !secret.NewValue("").IsZero() {
		t.Fatal("comparison")
	}
}

func BenchmarkRedact(b *testing.B) {
	var pairs []string
	for i := range 20 {
		pairs = append(pairs, "K", fmt.Sprintf("secret-%d-of-some-length-%d", i, i))
	}
	r := redactor(pairs...)
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, again and again. ", 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_ = r.Redact(text)
	}
}

func TestRedactCut(t *testing.T) {
	t.Parallel()
	r := redactor("A", "secret-one", "B", "other")
	for text, want := range map[string]string{
		"":                      "",
		"x secret-on":           "x [redacted:A]",
		"x secr":                "x [redacted:A]",
		"x sec":                 "x sec",
		"x secret-one":          "x [redacted:A]",
		"secret-one secret-":    "[redacted:A] [redacted:A]",
		"secret-onx":            "secret-onx",
		"x " + "c2VjcmV0LW9":    "x [redacted:A]", // base64
		"plain secret-one text": "plain [redacted:A] text",
	} {
		if got := r.RedactCut(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := (*secret.Redactor)(nil).RedactCut("secret-on"); got != "secret-on" {
		t.Errorf("without secrets: %q", got)
	}
}
