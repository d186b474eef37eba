package stripe

import (
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
)

// decimals are the currencies whose smallest unit is not the hundredth, and how many places theirs has. They are those of
// https://docs.stripe.com/currencies.
var decimals = map[money.Currency]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "JPY": 0, "KMF": 0, "KRW": 0, "MGA": 0, "PYG": 0, "RWF": 0, "VND": 0, "VUV": 0, "XAF": 0,
	"XOF": 0, "XPF": 0,
	"BHD": 3, "JOD": 3, "KWD": 3, "OMR": 3, "TND": 3,
}

// whole are currencies that Stripe counts in hundredths for the sake of old clients, and that have none.
var whole = map[money.Currency]bool{"ISK": true, "UGX": true}

// maxMinor is the largest amount of a charge, in the currency's smallest unit: eight digits.
const maxMinor = 99_999_999

// places returns how many places the currency has at Stripe.
func places(c money.Currency) int {
	if n, ok := decimals[c]; ok {
		return n
	}
	return 2
}

// unit returns how many micro-units the smallest unit of a currency has.
func unit(c money.Currency) int64 {
	n := int64(money.MicrosPerUnit)
	for range places(c) {
		n /= 10
	}
	return n
}

// minor returns an amount in the smallest unit of its currency. A fault.Invalid at "amount" when that cannot express it.
func minor(a money.Amount) (int64, error) {
	if len(a.Currency) != 3 {
		return 0, fault.Invalidf("amount", "stripe pays in currencies with an ISO code, such as USD, and not in %s", a.Currency)
	}
	for _, r := range a.Currency {
		if r < 'A' || r > 'Z' {
			return 0, fault.Invalidf("amount", "stripe pays in currencies with an ISO code, such as USD, and not in %s", a.Currency)
		}
	}
	u := unit(a.Currency)
	step := u
	switch {
	case whole[a.Currency]:
		step = money.MicrosPerUnit
	case places(a.Currency) == 3:
		step = 10 * u // the last place must be zero
	}
	switch {
	case a.Micros <= 0:
		return 0, fault.Invalidf("amount", "must be above zero")
	case a.Micros%step != 0:
		return 0, fault.Invalidf("amount", "%s cannot be paid exactly: stripe pays %s in steps of %s", a, a.Currency, money.Of(step, a.Currency).Decimal())
	case a.Micros/u > maxMinor:
		return 0, fault.Invalidf("amount", "must be at most %s", money.Of(maxMinor*u, a.Currency))
	}
	return a.Micros / u, nil
}

// major is the opposite of minor.
func major(n int64, c money.Currency) money.Amount { return money.Of(n*unit(c), c) }
