// Package money holds amounts as integers: wallets count micro-units of a currency, usage counts picodollars.
//
// Nothing in this package, or in any code that uses it, converts between currencies or touches a float.
package money

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/bureau-agents/bureau/ports/fault"
)

// MicrosPerUnit is how many micro-units one unit of any currency has: amounts carry six decimal places.
const MicrosPerUnit = 1_000_000

// Currency is an upper-case code of 3 to 8 letters or digits: "USDC", "USD", "EUR".
type Currency string

// The currencies that Bureau itself names.
const (
	USDC Currency = "USDC" // default of wallets
	USD  Currency = "USD"  // usage costs and budgets
)

// ErrOverflow is returned when a sum leaves the range of int64 micro-units.
var ErrOverflow = fault.New(fault.Invalid, "money_overflow", "the amount is too large")

// ErrCurrency is returned when two currencies meet in one operation.
var ErrCurrency = fault.New(fault.Invalid, "money_currency_mismatch", "amounts of different currencies cannot be combined")

// Amount is a number of micro-units of one currency. Amounts may be negative; who forbids it says so.
type Amount struct {
	Micros   int64
	Currency Currency
}

// Of makes an amount from micro-units.
func Of(micros int64, c Currency) Amount { return Amount{micros, c} }

// ParseCurrency checks a code; it does not know which currencies exist.
func ParseCurrency(s string) (Currency, error) {
	if len(s) < 3 || len(s) > 8 {
		return "", fault.Invalidf("currency", "must have 3 to 8 characters, like %q", USDC)
	}
	for _, r := range s {
		if (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			return "", fault.Invalidf("currency", "must be upper-case letters or digits, like %q", USDC)
		}
	}
	return Currency(s), nil
}

// Parse reads a decimal string with at most six decimal places, such as "20", "-0.5" or "20.000001". Exponents, group
// separators, signs other than one leading '-', and more places are refused: no silent rounding.
func Parse(s string, c Currency) (Amount, error) {
	micros, err := parseMicros(s)
	if err != nil {
		return Amount{}, err
	}
	return Amount{micros, c}, nil
}

func parseMicros(s string) (int64, error) {
	bad := func() error {
		return fault.Invalidf("amount", "must be a decimal number with at most six places, like \"20.00\"")
	}
	digits, neg := strings.CutPrefix(s, "-")
	whole, frac, dot := strings.Cut(digits, ".")
	if whole == "" || len(frac) > 6 || dot && frac == "" || !allDigits(whole) || !allDigits(frac) {
		return 0, bad()
	}
	u, err := strconv.ParseUint(whole+frac+"000000"[len(frac):], 10, 64)
	if err != nil || u > math.MaxInt64 {
		return 0, ErrOverflow
	}
	if neg {
		return -int64(u), nil
	}
	return int64(u), nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Decimal returns the amount without its currency, with two to six places: "20.00", "0.000001".
func (a Amount) Decimal() string {
	u, sign := uint64(a.Micros), "" // unsigned negation: MinInt64 has no positive twin
	if a.Micros < 0 {
		u, sign = -u, "-"
	}
	frac := fmt.Sprintf("%06d", u%MicrosPerUnit)
	for len(frac) > 2 && frac[len(frac)-1] == '0' {
		frac = frac[:len(frac)-1]
	}
	return sign + strconv.FormatUint(u/MicrosPerUnit, 10) + "." + frac
}

// String returns the decimal and the currency: "20.00 USDC".
func (a Amount) String() string { return a.Decimal() + " " + string(a.Currency) }

// IsZero reports whether there are no micro-units, whatever the currency.
func (a Amount) IsZero() bool { return a.Micros == 0 }

// Add returns a+b, ErrCurrency or ErrOverflow.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, ErrCurrency.Withf("%s and %s cannot be combined", a.Currency, b.Currency)
	}
	s := a.Micros + b.Micros
	if (s > a.Micros) != (b.Micros > 0) && b.Micros != 0 {
		return Amount{}, ErrOverflow
	}
	return Amount{s, a.Currency}, nil
}

// Neg returns -a; the one amount without a negation saturates.
func (a Amount) Neg() Amount {
	if a.Micros == math.MinInt64 {
		return Amount{math.MaxInt64, a.Currency}
	}
	return Amount{-a.Micros, a.Currency}
}

// Pico is a cost in picodollars (1e-12 USD), the unit in which token prices are exact.
type Pico int64

// ParsePico reads a decimal number of dollars with at most twelve decimal places, such as "0.01656"; it refuses what Parse refuses.
func ParsePico(s string) (Pico, error) {
	bad := func() error {
		return fault.Invalidf("amount", "must be a decimal number with at most twelve places, like \"0.01656\"")
	}
	digits, neg := strings.CutPrefix(s, "-")
	whole, frac, dot := strings.Cut(digits, ".")
	if whole == "" || len(frac) > 12 || dot && frac == "" || !allDigits(whole) || !allDigits(frac) {
		return 0, bad()
	}
	u, err := strconv.ParseUint(whole+frac+"000000000000"[len(frac):], 10, 64)
	if err != nil || u > math.MaxInt64 {
		return 0, ErrOverflow
	}
	if neg {
		return -Pico(u), nil
	}
	return Pico(u), nil
}

// PicosPerMicro is how many picodollars one micro-dollar has.
const PicosPerMicro = 1_000_000

// Dollars returns the cost as a decimal string of dollars without trailing zeros: "0.01656".
func (p Pico) Dollars() string {
	u, sign := uint64(p), ""
	if p < 0 {
		u, sign = -u, "-"
	}
	frac := strings.TrimRight(fmt.Sprintf("%012d", u%1e12), "0")
	if frac == "" {
		return sign + strconv.FormatUint(u/1e12, 10)
	}
	return sign + strconv.FormatUint(u/1e12, 10) + "." + frac
}

// CeilMicros returns the cost in micro-dollars, rounded away from zero: what a budget must set aside for it.
func (p Pico) CeilMicros() int64 {
	q, r := int64(p)/PicosPerMicro, int64(p)%PicosPerMicro
	if r > 0 {
		q++
	}
	return q
}

// MulPico returns tokens × picodollars per token; ok is false when it leaves int64.
func MulPico(tokens, pricePerToken int64) (p Pico, ok bool) {
	if tokens < 0 || pricePerToken < 0 {
		return 0, false
	}
	hi, lo := bits.Mul64(uint64(tokens), uint64(pricePerToken))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	return Pico(lo), true
}

// AddPico returns a+b for costs that are not negative; ok is false when the sum leaves int64.
func AddPico(a, b Pico) (p Pico, ok bool) {
	s := a + b
	return s, s >= a && b >= 0
}
