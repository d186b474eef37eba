package usage

import (
	"math/big"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
)

// Query asks what something costs.
type Query struct {
	Provider  string // "" or one that the list does not know: the model's name decides
	Model     string // with or without the provider's prefix, in any case
	Usage     llm.Usage
	At        time.Time
	Service   string   // the service tier; "" is the usual one
	Modifiers []string // names of Price.Multipliers, whose order does not matter; one that is there twice counts once
}

// Quote is what something costs.
type Quote struct {
	Cost    *money.Pico // nil when the model has no known price, which is not zero
	Price   Ref         // "" when Cost is nil
	PriceID id.Price    // zero when Cost is nil, or the price is of no store
	Flags   Flags       // what the price does not say of the query, and counts that contradict each other
}

// Quote returns the cost and the price behind it. ErrCostOverflow when the cost leaves int64.
func (l *List) Quote(q Query) (Quote, error) {
	var out Quote
	if q.Usage.Reasoning > q.Usage.Output {
		out.Flags |= FlagClamped
	}
	p, ok := l.Find(q.Provider, q.Model, q.At)
	if !ok {
		return out, nil
	}
	r, above := p.rates(q.Usage.TotalInput())
	service, factors := ServiceOf(q.Service), []int64(nil)
	if s, known := r.Services[service]; known {
		r = r.with(s)
	} else if f, known := p.Multipliers[service]; known {
		factors = append(factors, f)
	} else if service != "" {
		out.Flags |= FlagService
		service = ""
	}
	cost, ok := r.cost(q.Usage)
	for i, m := range q.Modifiers {
		if m == q.Service || slices.Contains(q.Modifiers[:i], m) {
			continue
		}
		if f, known := p.Multipliers[m]; known {
			factors = append(factors, f)
		} else {
			out.Flags |= FlagModifier
		}
	}
	if ok && len(factors) > 0 {
		cost, ok = scale(cost, factors)
	}
	if !ok {
		return Quote{}, ErrCostOverflow
	}
	out.Cost, out.Price, out.PriceID = &cost, p.ref(above, service), p.ID
	return out, nil
}

// with returns the rates of a service tier.
func (r Rates) with(s ServiceRates) Rates {
	r.Input, r.Output = or(s.Input, r.Input), or(s.Output, r.Output)
	for _, c := range []struct{ to, from **int64 }{
		{&r.CacheRead, &s.CacheRead}, {&r.CacheWrite5m, &s.CacheWrite5m}, {&r.CacheWrite1h, &s.CacheWrite1h}, {&r.Reasoning, &s.Reasoning},
	} {
		if *c.from != nil {
			*c.to = *c.from
		}
	}
	return r
}

// cost prices every bucket; ok is false when a bucket is negative or the sum leaves int64.
func (r Rates) cost(u llm.Usage) (sum money.Pico, ok bool) {
	plain, reasoning := u.Output, int64(0)
	if r.Reasoning != nil {
		reasoning = min(u.Reasoning, u.Output)
		plain -= reasoning
	}
	for _, part := range [...]struct{ tokens, price int64 }{
		{u.Input, r.Input},
		{u.CacheRead, or(r.CacheRead, r.Input)},
		{u.CacheWrite5m, or(r.CacheWrite5m, r.Input)},
		{u.CacheWrite1h, or(r.CacheWrite1h, r.Input)},
		{plain, r.Output},
		{reasoning, or(r.Reasoning, r.Output)},
	} {
		c, fits := money.MulPico(part.tokens, part.price)
		if !fits {
			return 0, false
		}
		if sum, ok = money.AddPico(sum, c); !ok {
			return 0, false
		}
	}
	return sum, true
}

// scale multiplies by thousandths and rounds up, once, however many factors there are: their order makes no difference, and a budget
// must not be short of the last picodollar.
func scale(c money.Pico, thousandths []int64) (money.Pico, bool) {
	n, d := big.NewInt(int64(c)), big.NewInt(1)
	for _, f := range thousandths {
		n.Mul(n, big.NewInt(f))
		d.Mul(d, big.NewInt(1000))
	}
	n.Add(n, d).Sub(n, big.NewInt(1)).Quo(n, d)
	return money.Pico(n.Int64()), n.IsInt64()
}

// Ceiling returns the most that a request in the usual service tier can cost with that much input, however a cache takes it up, and
// that much output: what a budget sets aside before the call. ErrCostOverflow as Quote.
func (l *List) Ceiling(provider, model string, input, output int64, at time.Time) (Quote, error) {
	p, ok := l.Find(provider, model, at)
	if !ok {
		return Quote{}, nil
	}
	// A request that turns out smaller than was feared is in a lower tier, which need not be cheaper.
	var worst money.Pico
	ref := p.ref(0, "")
	for i := -1; i < len(p.Tiers); i++ {
		r, above := p.Rates, int64(0)
		if i >= 0 {
			r, above = p.Tiers[i].Rates, p.Tiers[i].Above
		}
		if i >= 0 && input <= above {
			break
		}
		in := max(r.Input, or(r.CacheRead, 0), or(r.CacheWrite5m, 0), or(r.CacheWrite1h, 0))
		c, ok := Rates{Input: in, Output: max(r.Output, or(r.Reasoning, 0))}.cost(llm.Usage{Input: input, Output: output})
		if !ok {
			return Quote{}, ErrCostOverflow
		}
		if c >= worst {
			worst, ref = c, p.ref(above, "")
		}
	}
	return Quote{Cost: &worst, Price: ref, PriceID: p.ID}, nil
}
