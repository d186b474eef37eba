package card

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample is a card of testdata/cards, with what INDEX.tsv says of it.
type sample struct {
	file    string
	text    []byte
	version Version
	basis   Basis
	errors  []string // each "POINTER CODE"
}

// samples reads the cards of testdata/cards.
func samples(t testing.TB) []sample {
	t.Helper()
	dir := filepath.Join("testdata", "cards")
	index, err := os.ReadFile(filepath.Join(dir, "INDEX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var all []sample
	for _, line := range strings.Split(strings.TrimSpace(string(index)), "\n")[1:] {
		column := strings.Split(line, "\t")
		text, err := os.ReadFile(filepath.Join(dir, column[0]))
		if err != nil {
			t.Fatal(err)
		}
		s := sample{file: column[0], text: text, version: Version(column[1]), basis: Basis(column[2])}
		if column[3] != "" {
			s.errors = strings.Split(column[3], "; ")
		}
		all = append(all, s)
	}
	return all
}

// TestCorpus holds every card of the corpus to what was written down for it by hand.
func TestCorpus(t *testing.T) {
	t.Parallel()
	for _, s := range samples(t) {
		t.Run(s.file, func(t *testing.T) {
			t.Parallel()
			got := Validate(s.text, Options{})
			if got.Version != s.version || got.Basis != s.basis {
				t.Errorf("held to %s by %s, not to %s by %s", got.Version, got.Basis, s.version, s.basis)
			}
			var errors []string
			for _, e := range got.Errors {
				errors = append(errors, e.Pointer+" "+e.Code)
			}
			slices.Sort(errors)
			want := slices.Sorted(slices.Values(s.errors))
			if !slices.Equal(errors, want) {
				t.Errorf("errors\n%s\nnot\n%s", strings.Join(errors, "\n"), strings.Join(want, "\n"))
			}
			if got.Valid != (len(want) == 0) {
				t.Errorf("valid is %v with %d errors", got.Valid, len(want))
			}
			for _, f := range slices.Concat(got.Errors, got.Warnings) {
				checkFinding(t, s.text, f)
			}
		})
	}
}

// checkFinding holds a finding to what is true of every one.
func checkFinding(t *testing.T, text []byte, f Finding) {
	t.Helper()
	if f.Code == "" || f.Message == "" || strings.Contains(f.Message, "(MISSING)") || strings.Contains(f.Message, "%!(EXTRA") {
		t.Errorf("a finding lacks something: %+v", f)
	}
	samePlace(t, f)
	if f.Offset < 0 || f.Offset > len(text) {
		t.Fatalf("the offset of %+v is outside of the text", f)
	}
	before := string(text[:f.Offset])
	line := 1 + strings.Count(before, "\n")
	column := 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
	if f.Line != line || f.Column != column {
		t.Errorf("%s is said to be at %d:%d, and is at %d:%d", f.Code, f.Line, f.Column, line, column)
	}
}
