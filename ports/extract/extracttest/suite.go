// Package extracttest holds the conformance suite of extract.Extractor.
package extracttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/extract"
)

const markdown = `Before any heading.

# Tides

The *ebb* lasts six hours.

> Quoted: never anchor at slack water.

## Tables

| port | rise |
|------|------|
| Hull | 6.9  |
| Cork | 3.7  |

1. one rope
2. two ropes

` + "```sh\nanchor --down\n```\n\n# Alone\n"

// Run holds an extractor to the port.
func Run(t *testing.T, x extract.Extractor) {
	t.Helper()
	read := func(t *testing.T, d extract.Document) []extract.Passage {
		t.Helper()
		got, err := x.Extract(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	t.Run("structure", func(t *testing.T) {
		got := read(t, extract.Document{Name: "tides.md", Data: []byte(markdown)})
		if len(got) != 4 {
			t.Fatalf("%d passages: %+v", len(got), got)
		}
		for i, want := range []struct {
			headings []string
			says     []string
		}{
			{nil, []string{"Before any heading."}},
			{[]string{"Tides"}, []string{"*ebb*", "> Quoted: never"}},
			{[]string{"Tides", "Tables"}, []string{"| port | rise |", "| Cork | 3.7  |", "2. two ropes", "anchor --down"}},
			{nil, []string{"Alone"}},
		} {
			if !slices.Equal(got[i].Headings, want.headings) || got[i].Page != 0 {
				t.Errorf("passage %d: headings %q, page %d; want %q, 0", i, got[i].Headings, got[i].Page, want.headings)
			}
			for _, s := range want.says {
				if !strings.Contains(got[i].Text, s) {
					t.Errorf("passage %d lacks %q: %q", i, s, got[i].Text)
				}
			}
		}
	})
	t.Run("formats", func(t *testing.T) {
		for name, d := range map[string]extract.Document{
			"plain":               {Name: "a.txt", Data: []byte("The mast is of spruce.")},
			"HTML":                {MediaType: "text/html; charset=utf-8", Data: []byte("<p>The mast is <!-- not --> of spruce.<script>no()</script>")},
			"HTML by its content": {Data: []byte("<!doctype html><body>The mast is of spruce.")},
			"another charset":     {MediaType: "text/plain; charset=utf-16le", Data: utf16le("The mast is of spruce.")},
		} {
			if got := read(t, d); len(got) != 1 || got[0].Text != "The mast is of spruce." {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if got := read(t, extract.Document{Name: "empty.md", Data: []byte(" \n\n ")}); len(got) != 0 {
			t.Errorf("an empty document has passages: %+v", got)
		}
	})
	t.Run("sizes", func(t *testing.T) {
		for _, text := range []string{
			strings.Repeat("Sails are mended in winter. ", 400), strings.Repeat("ü", 5000), strings.Repeat("word ", 3000),
			strings.Repeat("| a long cell | of a table |\n", 3) + "|---|---|\n" + strings.Repeat("| x | y |\n", 400),
			strings.Repeat("- an item\n", 500), strings.Repeat("line\n", 2000),
		} {
			var all strings.Builder
			for _, p := range read(t, extract.Document{Name: "long.md", Data: []byte(text), Target: 300, Most: 500}) {
				if n := utf8.RuneCountInString(p.Text); n > 500 || n == 0 {
					t.Errorf("a passage of %d characters of %.20q", n, text)
				}
				all.WriteString(p.Text)
			}
			if lost := letters(text) - letters(all.String()); lost > 0 {
				t.Errorf("%d letters of %.20q are lost", lost, text)
			}
		}
	})
	t.Run("refusals", func(t *testing.T) {
		for name, tc := range map[string]struct {
			d    extract.Document
			want error
		}{
			"an image":             {extract.Document{MediaType: "image/png", Data: []byte("\x89PNG\r\n\x1a\n")}, extract.ErrFormat},
			"unknown bytes":        {extract.Document{Name: "x", Data: []byte{0, 1, 2, 3}}, extract.ErrFormat},
			"no media type":        {extract.Document{MediaType: "a b", Data: []byte("x")}, extract.ErrFormat},
			"a PDF that is none":   {extract.Document{MediaType: extract.PDF, Data: []byte("hello")}, extract.ErrUnreadable},
			"a PDF that was cut":   {extract.Document{Data: []byte("%PDF-1.7\n1 0 obj\n<< /Type /Catalog")}, extract.ErrUnreadable},
			"quotes in each other": {extract.Document{Name: "x.md", Data: []byte(strings.Repeat("> ", 20_000) + "x")}, extract.ErrTooLarge},
		} {
			if got, err := x.Extract(t.Context(), tc.d); !errors.Is(err, tc.want) || got != nil {
				t.Errorf("%s: %v, %v; want %v", name, got, err, tc.want)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := x.Extract(ctx, extract.Document{Name: "a.txt", Data: []byte("x")}); !errors.Is(err, context.Canceled) {
			t.Errorf("after the caller went: %v", err)
		}
	})
}

func letters(s string) int {
	return len(s) - strings.Count(s, " ") - strings.Count(s, "\n")
}

func utf16le(s string) []byte {
	out := []byte{0xff, 0xfe}
	for _, r := range s {
		out = append(out, byte(r), 0)
	}
	return out
}
