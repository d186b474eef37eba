package cut

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		most       int
		want       []string
	}{
		{"short", "Hello.", 20, []string{"Hello."}},
		{"blank", " \n\n ", 20, nil},
		{"paragraphs", "One two three.\n\nFour five six.", 20, []string{"One two three.", "Four five six."}},
		{"lines", "One two three\nfour five six", 20, []string{"One two three", "four five six"}},
		{"words", "aaaa bbbb cccc dddd eeee", 16, []string{"aaaa bbbb", "cccc dddd eeee"}},
		{"no space", strings.Repeat("x", 30), 20, []string{strings.Repeat("x", 16), strings.Repeat("x", 14)}},
		{"emoji", strings.Repeat("😀", 12), 20, []string{strings.Repeat("😀", 8), strings.Repeat("😀", 4)}},
		{"marks stay", strings.Repeat("a", 15) + "e\u0301\u0301" + strings.Repeat("b", 20), 20, []string{
			strings.Repeat("a", 15), "e\u0301\u0301" + strings.Repeat("b", 13), strings.Repeat("b", 7),
		}},
		{"code", "```go\none()\ntwo()\nthree()\n```\nDone", 24, []string{"```go\none()\ntwo()\n```", "```go\nthree()\n```\nDone"}},
	} {
		if diff := cmp.Diff(c.want, Text(c.text, c.most, UTF16)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("One two.\n\n```go\nx\n```\n", 40)
	f.Add(strings.Repeat("é😀 ", 40), 32)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = 100 + max(most, -most)%4000
		if len(text) > 1<<16 || !utf8.ValidString(text) {
			return
		}
		plain := func(s string) string {
			return strings.Map(func(r rune) rune {
				if unicode.IsSpace(r) || r == '`' {
					return -1
				}
				return r
			}, s)
		}
		parts := Text(text, most, UTF16)
		for _, p := range parts {
			if n := length(p, UTF16); n > most || strings.TrimSpace(p) == "" || !utf8.ValidString(p) {
				t.Fatalf("a part of %d units: %q", n, p)
			}
		}
		if !strings.Contains(text, fence) && plain(strings.Join(parts, "")) != plain(text) {
			t.Fatalf("%q became %q", text, parts)
		}
	})
}
