package payee_test

import (
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/ports/payee"
)

func TestHost(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Blue Bottle Coffee":                   "",
		"Dr. Smith":                            "",
		"vendor.example":                       "vendor.example",
		"VENDOR.example.":                      "vendor.example",
		"https://user@Vendor.Example:8443/a?b": "vendor.example",
		"billing@vendor.example":               "vendor.example",
		"bücher.example":                       "xn--bcher-kva.example",
		"xn--bcher-kva.example":                "xn--bcher-kva.example",
		"ｖｅｎｄｏｒ．ｅｘａｍｐｌｅ":                       "vendor.example",
		"vendor。example":                       "vendor.example",
		"http://[::ffff:192.0.2.1]/":           "192.0.2.1",
	} {
		if got, err := payee.Host(text); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{`a\b.example`, "https://", "a..example", "//", "xn--0.example", "https://a b/"} {
		if got, err := payee.Host(text); err == nil {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

// TestPlain holds the short way to what the long one says, which capital letters take.
func TestPlain(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"vendor.example", "a.b", "a-b.example", "a.-b", "192.0.2.1", "10.example", "a1.2", "0x7f.1", "1.2.3", "127.1", "face.b00c", "com",
		"x" + strings.Repeat("y", 70) + ".example",
	} {
		short, err := payee.Host(text)
		long, lerr := payee.Host(strings.ToUpper(text))
		if short != long || (err == nil) != (lerr == nil) {
			t.Errorf("%q: %q, %v; in capitals %q, %v", text, short, err, long, lerr)
		}
		if a, b := payee.Fold(text), payee.Fold(strings.ToUpper(text)); a != b {
			t.Errorf("%q folds to %q, in capitals to %q", text, a, b)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, host  string
		allows, blocks bool
	}{
		{"vendor.example", "vendor.example", true, true},
		{"vendor.example", "api.vendor.example", false, true},
		{"*.vendor.example", "api.vendor.example", true, true},
		{"*.vendor.example", "vendor.example", false, true},
		{"vendor.example", "evilvendor.example", false, false},
		{"*.vendor.example", "evilvendor.example", false, false},
		{"BÜCHER.example", "xn--bcher-kva.example", true, true},
		{"not a host", "vendor.example", false, true},
	} {
		if got := payee.Allows([]string{tc.pattern}, tc.host); got != tc.allows {
			t.Errorf("%q allows %q: %v", tc.pattern, tc.host, got)
		}
		if got := payee.Blocks([]string{tc.pattern}, tc.host); got != tc.blocks {
			t.Errorf("%q blocks %q: %v", tc.pattern, tc.host, got)
		}
	}
}

// FuzzHost looks for payees that panic, and for hosts that are not in the form in which lists are compared.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"example.com", "https://a@b:1/", "x@y.z", "evil。test", "//", "Dr. No", "http://[::1]:80", `a\b.c`, "ＡＢＣ.ｄｅ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, err := payee.Host(text)
		if err != nil || host == "" {
			return
		}
		again, err := payee.ASCII(host)
		if err != nil || again != host {
			t.Errorf("%q: host %q is %q, %v the second time", text, host, again, err)
		}
		if !payee.Blocks([]string{host}, host) || !payee.Allows([]string{host}, host) {
			t.Errorf("%q: a list with %q does not match it", text, host)
		}
	})
}

func BenchmarkHost(b *testing.B) {
	for b.Loop() {
		if host, err := payee.Host("api.vendor.example"); err != nil || !payee.Allows([]string{"*.vendor.example"}, host) {
			b.Fatal(host, err)
		}
	}
}
