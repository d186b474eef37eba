package money

import (
	"errors"
	"testing"
)

func TestParsePico(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Pico{
		"0": 0, "0.01656": 16_560_000_000, "1": 1e12, "0.000000000001": 1, "-2.5": -25e11, "9223372.036854775807": 1<<63 - 1, "007": 7e12,
	} {
		got, err := ParsePico(in)
		if err != nil || got != want {
			t.Errorf("ParsePico(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-", ".5", "1.", "1e3", "+1", "1_0", "0.0000000000001", "--1", " 1", "NaN"} {
		if got, err := ParsePico(in); err == nil {
			t.Errorf("ParsePico(%q) = %d; want an error", in, got)
		}
	}
	if _, err := ParsePico("9223372.036854775808"); !errors.Is(err, ErrOverflow) {
		t.Errorf("one too many: %v; want ErrOverflow", err)
	}
}

// FuzzParsePico: what is read is written back as the same number.
func FuzzParsePico(f *testing.F) {
	for _, s := range []string{"0.01656", "-1.5", "12", "9223372.036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePico(s)
		if err != nil {
			return
		}
		again, err := ParsePico(p.Dollars())
		if err != nil || again != p {
			t.Errorf("%q is %d, and %q is %d, %v", s, p, p.Dollars(), again, err)
		}
	})
}
