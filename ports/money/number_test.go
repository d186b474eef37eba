package money

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/ports/fault"
)

func TestParseNumber(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		"0": 0, "-0": 0, "0.0": 0, "0e99999999999999999999": 0, "20": 20_000_000, "20.00": 20_000_000, "-0.5": -500_000, "0.000001": 1, "1e-06": 1,
		"1E-6": 1, "2.50E1": 25_000_000, "1e2": 100_000_000, "1e+2": 100_000_000, "100e-2": 1_000_000, "1.0000000000": 1_000_000,
		"10000000e-13": 1, "70.01": 70_010_000, "9223372036854.775807": math.MaxInt64, "0.00000100000000000000000000000000": 1,
	} {
		got, err := ParseNumber(in, USDC)
		if err != nil || got != Of(want, USDC) {
			t.Errorf("%s: %v, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "-", "+1", ".5", "5.", "1e", "e1", "1e1.5", "1,5", "0x10", "NaN", "1_000", " 1", "0.0000001", "1e-7", "10.0000001", "-1e-99999999999999999999",
	} {
		if got, err := ParseNumber(in, USDC); fault.KindOf(err) != fault.Invalid || errors.Is(err, ErrOverflow) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"9223372036854.775808", "1e13", "1e400", "1e99999999999999999999", "-9223372036854.775808", strings.Repeat("9", 400)} {
		if got, err := ParseNumber(in, USDC); !errors.Is(err, ErrOverflow) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for micros, want := range map[int64]string{
		0: "0", 1: "0.000001", 20_000_000: "20", 70_010_000: "70.01", 1_500_000: "1.5", 100_000_000: "100", -500_000: "-0.5",
	} {
		if got := Of(micros, USDC).Number(); got != want {
			t.Errorf("%d: %s, want %s", micros, got, want)
		}
	}
}

// FuzzParseNumber compares with rational arithmetic, and reads back what was written.
func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"0", "1e-06", "12.345678", "1E3", "-0.000001", "9223372036854.775807", "0.1e-5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseNumber(s, USDC)
		if err != nil {
			return
		}
		if !json.Valid([]byte(s)) && !strings.HasPrefix(strings.TrimPrefix(s, "-"), "0") {
			t.Fatalf("%q is no JSON and was read", s)
		}
		if i := strings.IndexAny(s, "eE"); i < 0 || len(s)-i < 6 { // a rational of a huge exponent would not fit into memory
			want, ok := new(big.Rat).SetString(s)
			if !ok || want.Mul(want, big.NewRat(MicrosPerUnit, 1)).Cmp(new(big.Rat).SetInt64(got.Micros)) != 0 {
				t.Fatalf("%q became %d", s, got.Micros)
			}
		}
		if back, err := ParseNumber(got.Number(), USDC); err != nil || back != got {
			t.Fatalf("%q became %s, which became %v, %v", s, got.Number(), back, err)
		}
	})
}

func TestParsePicoNumber(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Pico{
		"0": 0, "-0.0": 0, "0.01656": 16_560_000_000, "1.25": 1_250_000_000_000, "1e-12": 1, "1E-13": 0, "5e-13": 1, "4.99e-13": 0, "-5e-13": -1,
		"0.30000000000000004": 300_000_000_000, "0.1000000000005": 100_000_000_001, "9999999999999e-13": 1_000_000_000_000, "1e-99999999999999999999": 0,
		"9223372.036854775807": math.MaxInt64,
	} {
		got, err := ParsePicoNumber(in)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-", "NaN", "1e", ".5", "0x1", "1 "} {
		if got, err := ParsePicoNumber(in); fault.KindOf(err) != fault.Invalid || errors.Is(err, ErrOverflow) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"9223372.036854775808", "9223372.0368547758075", "1e7", "1e400", "-1e7"} {
		if got, err := ParsePicoNumber(in); !errors.Is(err, ErrOverflow) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

// FuzzParsePicoNumber compares with rational arithmetic.
func FuzzParsePicoNumber(f *testing.F) {
	for _, s := range []string{"0", "1e-12", "12.3456789012345", "1E3", "-0.0000000000005", "9223372.036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParsePicoNumber(s)
		if i := strings.IndexAny(s, "eE"); err != nil || i >= 0 && len(s)-i > 5 {
			return
		}
		exact, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("%q was read", s)
		}
		exact.Mul(exact, big.NewRat(1e12, 1))
		off := exact.Sub(exact, new(big.Rat).SetInt64(int64(got)))
		if off.Abs(off).Cmp(big.NewRat(1, 2)) > 0 {
			t.Fatalf("%q became %d, which is %s off", s, got, off.FloatString(3))
		}
	})
}
