package money

import (
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
	bad := func() error {
		return fault.Invalidf("amount", "must be a number with at most six decimal places")
	}
	digits, neg := strings.CutPrefix(s, "-")
	shift := 6 // how many places the point moves to the right
	if i := strings.IndexAny(digits, "eE"); i >= 0 {
		exp, err := strconv.Atoi(digits[i+1:])
		if err != nil && !strings.HasSuffix(err.Error(), strconv.ErrRange.Error()) {
			return 0, bad()
		}
		// Atoi clamps what int cannot hold; no number of digits that a body can have makes up for that.
		shift += max(min(exp, math.MaxInt32), math.MinInt32)
		digits = digits[:i]
	}
	whole, frac, dot := strings.Cut(digits, ".")
	if whole == "" || dot && frac == "" || !allDigits(whole) || !allDigits(frac) {
		return 0, bad()
	}
	shift -= len(frac)
	digits = strings.TrimLeft(whole+frac, "0")
	for trimmed := strings.TrimRight(digits, "0"); len(trimmed) < len(digits); digits = trimmed {
		shift += len(digits) - len(trimmed)
	}
	switch {
	case digits == "":
		return 0, nil
	case shift < 0:
		return 0, bad()
	case len(digits)+shift > 19:
		return 0, ErrOverflow
	}
	u, err := strconv.ParseUint(digits+strings.Repeat("0", shift), 10, 64)
	if err != nil || u > math.MaxInt64 {
		return 0, ErrOverflow
	}
	if neg {
		return -int64(u), nil
	}
	return int64(u), nil
}

// Number returns the amount without its currency as a JSON number, without zeros at its end: "20", "0.000001".
func (a Amount) Number() string {
	s := a.Decimal()
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
