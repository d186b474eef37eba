package money

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/bureau-agents/bureau/ports/fault"
)

// ParseNumber reads a JSON number (RFC 8259, section 6) of units exactly: "20", "0.000001", "1e-06", "2.50E1". A value that needs more
// than six decimal places is refused, however it is written, and one beyond int64 micro-units is ErrOverflow.
func ParseNumber(s string, c Currency) (Amount, error) {
	micros, err := parseNumber(s)
	if err != nil {
		return Amount{}, err
	}
	return Amount{micros, c}, nil
}

func parseNumber(s string) (int64, error) {
	n, exact, err := scaled(s, 6)
	if err != nil || !exact {
		if errors.Is(err, ErrOverflow) {
			return 0, err
		}
		return 0, fault.Invalidf("amount", "must be a number with at most six decimal places")
	}
	return n, nil
}

// ParsePicoNumber reads a JSON number of dollars, as ParseNumber does, digit by digit. What is below a picodollar is rounded, half away
// from zero: clients that add up floating-point numbers send such digits.
func ParsePicoNumber(s string) (Pico, error) {
	n, _, err := scaled(s, 12)
	if err != nil && !errors.Is(err, ErrOverflow) {
		return 0, fault.Invalidf("amount", "must be a number")
	}
	return Pico(n), err
}

var errNumber = errors.New("money: not a JSON number")

// scaled reads a JSON number of units of which each has 10^shift parts. exact is false when parts of a part were rounded.
func scaled(s string, shift int) (n int64, exact bool, err error) {
	digits, neg := strings.CutPrefix(s, "-")
	if i := strings.IndexAny(digits, "eE"); i >= 0 {
		exp, err := strconv.Atoi(digits[i+1:])
		if err != nil && !strings.HasSuffix(err.Error(), strconv.ErrRange.Error()) {
			return 0, false, errNumber
		}
		// Atoi clamps what int cannot hold; no number of digits that a body can have makes up for that.
		shift += max(min(exp, math.MaxInt32), math.MinInt32)
		digits = digits[:i]
	}
	whole, frac, dot := strings.Cut(digits, ".")
	if whole == "" || dot && frac == "" || !allDigits(whole) || !allDigits(frac) {
		return 0, false, errNumber
	}
	shift -= len(frac)
	digits = strings.TrimLeft(whole+frac, "0")
	for trimmed := strings.TrimRight(digits, "0"); len(trimmed) < len(digits); digits = trimmed {
		shift += len(digits) - len(trimmed)
	}
	if digits == "" {
		return 0, true, nil
	}
	exact = shift >= 0
	up := uint64(0)
	if !exact {
		keep := len(digits) + shift
		if keep < 0 {
			return 0, false, nil
		}
		if digits[keep] >= '5' {
			up = 1
		}
		digits, shift = digits[:keep], 0
	}
	if len(digits)+shift > 19 {
		return 0, exact, ErrOverflow
	}
	u, err := strconv.ParseUint("0"+digits+strings.Repeat("0", shift), 10, 64)
	if u += up; err != nil || u > math.MaxInt64 {
		return 0, exact, ErrOverflow
	}
	if neg {
		return -int64(u), exact, nil
	}
	return int64(u), exact, nil
}

// Number returns the amount without its currency as a JSON number, without zeros at its end: "20", "0.000001".
func (a Amount) Number() string {
	s := a.Decimal()
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
