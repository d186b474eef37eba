package check_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/fault"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, optional, given string }{
		"empty":          {"", "", "must not be empty"},
		"blank":          {" \n\t", "", "must not be empty"},
		"longest":        {"héé", "", ""},
		"too long":       {"abcd", "has 4 characters; at most 3 are allowed", "has 4 characters; at most 3 are allowed"},
		"blank and long": {"    ", "has 4 characters; at most 3 are allowed", "must not be empty"},
		"NUL":            {"a\x00", "must not contain the NUL character", "must not contain the NUL character"},
		"not UTF-8":      {"\xff", "must be valid UTF-8", "must be valid UTF-8"},
	} {
		var optional, given check.Faults
		optional.Text("p", tc.text, 3)
		given.Given("p", tc.text, 3)
		if got := only(t, optional); got != tc.optional {
			t.Errorf("%s: Text: %q", name, got)
		}
		if got := only(t, given); got != tc.given {
			t.Errorf("%s: Given: %q", name, got)
		}
	}
}

// only returns the message of the only fault, "" for none.
func only(t *testing.T, f check.Faults) string {
	t.Helper()
	switch {
	case len(f.Fields) == 0:
		return ""
	case len(f.Fields) > 1 || f.Fields[0].Path != "p":
		t.Fatalf("faults %+v", f.Fields)
	}
	return f.Fields[0].Message
}

func TestErr(t *testing.T) {
	t.Parallel()
	kind := fault.New(fault.Invalid, "bad", "it is bad")
	var f check.Faults
	if err := f.Err(kind); err != nil {
		t.Fatalf("no faults: %v", err)
	}
	f.Addf("a", "is %d", 1)
	for range check.MaxFields {
		f.Addf("b", "is 2")
	}
	err := f.Err(kind)
	known, ok := fault.As(err)
	if !ok || !errors.Is(err, kind) || len(known.Fields) != check.MaxFields || !strings.Contains(err.Error(), "a: is 1") {
		t.Errorf("%v with %d fields", err, len(known.Fields))
	}
}
