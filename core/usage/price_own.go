package usage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

const (
	// MaxOwnPrices is how many prices that count a tenant may have of its own.
	MaxOwnPrices = 1000
	// MaxPricesAtOnce is how many one call may set.
	MaxPricesAtOnce = 200
	// MaxRate is the most that a token may cost, in picodollars: a dollar, a million dollars for a million tokens.
	MaxRate = 1_000_000_000_000

	maxTiers    = 20
	maxServices = 10
)

// Set sets prices of the tenant's own, all or none, which count instead of the server's for the models that they name. Names of providers
// are normalised as Find does, and a provider's prefix of a model's name is left out.
//
// At any time at most one of them counts for a provider and a model: one with the From of another takes its place; one that begins later
// ends the one before; one that begins earlier ends, unless it says when, where the next begins. ErrPriceOverlap when it says that it
// ends later than that. What is set already, word for word, stays as it is.
//
// A price decides what budgets and caps count, and so the faces ask for the permission to write policies. It is noted in the audit
// trail. Rows that are stored keep their costs; see Rerater.
func (b *PriceBook) Set(ctx context.Context, sc account.Scope, prices []Price) ([]Price, error) {
	var f check.Faults
	if len(prices) == 0 || len(prices) > MaxPricesAtOnce {
		f.Addf("prices", "has %d items; 1 to %d are allowed", len(prices), MaxPricesAtOnce)
	}
	now := clock.Stored(b.d.Clock.Now())
	wanted := make([]Price, len(prices))
	for i, p := range prices {
		p.Provider = providerKey(p.Provider)
		p.Model = strings.TrimSpace(p.Model)
		if rest := len(p.Provider) + 1; len(p.Model) > rest && strings.EqualFold(p.Model[:rest], p.Provider+"/") {
			p.Model = p.Model[rest:]
		}
		p.Own, p.SetAt, p.SetBy, p.Superseded = true, now, sc.Key, time.Time{}
		p.From, p.Until, p.Deprecated = clock.Stored(p.From), clock.Stored(p.Until), clock.Stored(p.Deprecated)
		p.faults(&f, fmt.Sprintf("prices[%d].", i))
		for j, other := range wanted[:i] {
			if other.sameModel(p) && other.From.Equal(p.From) {
				f.Addf(fmt.Sprintf("prices[%d]", i), "begins at the same time as prices[%d] of the same model", j)
			}
		}
		wanted[i] = p
	}
	if err := f.Err(ErrInvalid); err != nil {
		return nil, err
	}
	var set []Price
	err := b.d.TX.Do(ctx, func(ctx context.Context) error {
		version, _, err := b.d.Repository.Lock(ctx, sc)
		if err != nil {
			return err
		}
		there, err := b.d.Repository.Load(ctx, sc, version)
		if err != nil {
			return err
		}
		plan := newPricePlan(there, func() id.Price { return id.New[id.PriceKind](b.d.IDs) })
		if set, err = plan.set(wanted); err != nil {
			return err
		}
		if len(plan.now) > MaxOwnPrices {
			return ErrTooManyPrices
		}
		gone, made := plan.changes()
		if len(gone)+len(made) == 0 {
			return nil
		}
		if err := b.d.Repository.Replace(ctx, sc, PriceChange{Gone: gone, Made: made, At: now}); err != nil {
			return err
		}
		for _, p := range made {
			if err := b.d.Trail.Note(ctx, sc, "price_set", id.Agent{}, p.metadata()); err != nil {
				return err
			}
		}
		b.changed(ctx, sc)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return set, nil
}

// Delete takes a price of the tenant's own out of force; id.NotFound when it has no such price that counts. What it ended when it was set
// stays ended.
func (b *PriceBook) Delete(ctx context.Context, sc account.Scope, price id.Price) error {
	return b.d.TX.Do(ctx, func(ctx context.Context) error {
		if _, _, err := b.d.Repository.Lock(ctx, sc); err != nil {
			return err
		}
		p, err := b.d.Repository.Get(ctx, sc, price)
		if err != nil {
			return err
		}
		if !p.Own || !p.Superseded.IsZero() {
			return id.NotFound[id.PriceKind](price.String())
		}
		if err := b.d.Repository.Replace(ctx, sc, PriceChange{Gone: []id.Price{price}, At: clock.Stored(b.d.Clock.Now())}); err != nil {
			return err
		}
		b.changed(ctx, sc)
		return b.d.Trail.Note(ctx, sc, "price_deleted", id.Agent{}, p.metadata())
	})
}

// Get returns a price of the server's or of the tenant's own, superseded or not; id.NotFound when it is neither.
func (b *PriceBook) Get(ctx context.Context, sc account.Scope, price id.Price) (Price, error) {
	return b.d.Repository.Get(ctx, sc, price)
}

// PriceFilter chooses prices. Zero fields choose all.
type PriceFilter struct {
	Provider string    // as Find understands it
	Model    string    // as Find understands it: a snapshot chooses its family's price, too
	At       time.Time // in force then; zero is now
	Own      *bool     // the tenant's own, or the server's
}

// Prices lists prices that are in force, the tenant's own first, then by provider and model. For a Model they are in the order in which
// Find prefers them: the first of the provider's counts.
func (b *PriceBook) Prices(ctx context.Context, sc account.Scope, f PriceFilter, req page.Request) (page.Page[Price], error) {
	l, err := b.List(ctx, sc)
	if err != nil {
		return page.Page[Price]{}, err
	}
	at := f.At
	if at.IsZero() {
		at = b.d.Clock.Now()
	}
	var found []Price
	if f.Model != "" {
		for p := range l.candidates(f.Model, at) {
			if !slices.ContainsFunc(found, func(q Price) bool { return q.ID == p.ID && q.Provider == p.Provider && q.Model == p.Model }) {
				found = append(found, *p)
			}
		}
	} else {
		found = l.At(at)
		slices.SortStableFunc(found, func(a, b Price) int { return strings.Compare(a.place(), b.place()) })
	}
	found = slices.DeleteFunc(found, func(p Price) bool {
		return f.Provider != "" && p.Provider != providerKey(f.Provider) || f.Own != nil && p.Own != *f.Own ||
			f.Model == "" && req.Cursor != "" && p.place() <= req.Cursor
	})
	out := page.Page[Price]{Items: found}
	if n := req.Size(); len(found) > n && f.Model == "" {
		out.Items, out.Next = found[:n], found[n-1].place()
	}
	return out, nil
}

// place is where a price stands in the list.
func (p Price) place() string {
	first := "2"
	if p.Own {
		first = "1"
	}
	return strings.Join([]string{first, p.Provider, strings.ToLower(p.Model), p.From.UTC().Format(time.RFC3339Nano), p.ID.String()}, " ")
}

func (p Price) metadata() map[string]any {
	m := map[string]any{
		"price_id": p.ID.UUID().String(), "provider": p.Provider, "model": p.Model, "input_picodollars": p.Rates.Input,
		"output_picodollars": p.Rates.Output,
	}
	if !p.From.IsZero() {
		m["valid_from"] = p.From.UTC().Format(time.RFC3339)
	}
	if !p.Until.IsZero() {
		m["valid_until"] = p.Until.UTC().Format(time.RFC3339)
	}
	return m
}

func (p Price) sameModel(o Price) bool {
	return p.Provider == o.Provider && strings.EqualFold(p.Model, o.Model)
}

// faults finds what is wrong with a price of somebody's own.
func (p Price) faults(f *check.Faults, path string) {
	f.Given(path+"provider", p.Provider, 100)
	f.Given(path+"model", p.Model, 200)
	f.Text(path+"source.text", p.Source.Text, 500)
	f.Text(path+"source.url", p.Source.URL, 2000)
	if !p.Until.IsZero() && !p.From.Before(p.Until) {
		f.Addf(path+"valid_until", "must be later than valid_from")
	}
	p.Rates.faults(f, path+"rates.")
	if len(p.Tiers) > maxTiers {
		f.Addf(path+"tiers", "has %d items; at most %d are allowed", len(p.Tiers), maxTiers)
	}
	for i, t := range p.Tiers {
		at := fmt.Sprintf("%stiers[%d].", path, i)
		if t.Above <= 0 || i > 0 && t.Above <= p.Tiers[i-1].Above {
			f.Addf(at+"above_input_tokens", "must be above 0 and above that of the tier before")
		}
		t.Rates.faults(f, at+"rates.")
	}
	if len(p.Multipliers) > maxServices {
		f.Addf(path+"multipliers", "has %d members; at most %d are allowed", len(p.Multipliers), maxServices)
	}
	for name, m := range p.Multipliers {
		if m <= 0 || m > maxMultiplier {
			f.Addf(path+"multipliers."+name, "must be 1 to %d thousandths", maxMultiplier)
		}
		if !modifierName.MatchString(name) {
			f.Addf(path+"multipliers."+name, "must be a name of at most 32 lower-case letters, digits, _, . and -")
		}
	}
}

func (r Rates) faults(f *check.Faults, path string) {
	rate := func(name string, v *int64) {
		if v != nil && (*v < 0 || *v > MaxRate) {
			f.Addf(path+name, "must be 0 to a million dollars for a million tokens")
		}
	}
	rate("input", &r.Input)
	rate("output", &r.Output)
	rate("cache_read", r.CacheRead)
	rate("cache_write", r.CacheWrite5m)
	rate("cache_write_1h", r.CacheWrite1h)
	rate("reasoning", r.Reasoning)
	if len(r.Services) > maxServices {
		f.Addf(path+"services", "has %d members; at most %d are allowed", len(r.Services), maxServices)
	}
	for name, s := range r.Services {
		if ServiceOf(name) != name || !modifierName.MatchString(name) {
			f.Addf(path+"services."+name, "must be a name of at most 32 lower-case letters, digits, _, . and -, and not of the usual tier")
		}
		at := "services." + name + "."
		rate(at+"input", s.Input)
		rate(at+"output", s.Output)
		rate(at+"cache_read", s.CacheRead)
		rate(at+"cache_write", s.CacheWrite5m)
		rate(at+"cache_write_1h", s.CacheWrite1h)
		rate(at+"reasoning", s.Reasoning)
	}
}

// pricePlan is what a tenant's own prices become.
type pricePlan struct {
	before []Price
	now    []Price
	newID  func() id.Price
}

func newPricePlan(there []Price, newID func() id.Price) *pricePlan {
	return &pricePlan{there, slices.Clone(there), newID}
}

// set adds prices and returns them as they are set, in their order.
func (p *pricePlan) set(wanted []Price) ([]Price, error) {
	order := make([]int, len(wanted))
	for i := range order {
		order[i] = i
	}
	// In the order of time, so that one of the same call may end another.
	slices.SortStableFunc(order, func(a, b int) int { return wanted[a].From.Compare(wanted[b].From) })
	out := make([]Price, len(wanted))
	for _, i := range order {
		w := wanted[i]
		if err := p.add(w); err != nil {
			return nil, under(err, fmt.Sprintf("prices[%d].", i))
		}
	}
	for i, w := range wanted {
		for _, n := range p.now {
			if n.sameModel(w) && n.From.Equal(w.From) {
				out[i] = n
			}
		}
	}
	return out, nil
}

// add adds a price, before, between or in the place of others.
func (p *pricePlan) add(w Price) error {
	open := w.Until.IsZero()
	for _, e := range p.now { // it ends where the next begins, unless it says when
		if e.sameModel(w) && e.From.After(w.From) && (open || e.From.Before(w.Until)) {
			if !open {
				return ErrPriceOverlap
			}
			if w.Until.IsZero() || e.From.Before(w.Until) {
				w.Until = e.From
			}
		}
	}
	var next []Price
	same := Price{}
	for _, e := range p.now {
		switch {
		case !e.sameModel(w):
		case e.From.Equal(w.From):
			same = e
			continue
		case e.From.After(w.From):
		case e.Until.IsZero() || e.Until.After(w.From):
			e.Until, e.ID = w.From, p.newID()
		}
		next = append(next, e)
	}
	if same.says(w) && !same.ID.IsZero() {
		w = same
	} else {
		w.ID = p.newID()
	}
	p.now = append(next, w)
	return nil
}

// changes returns what is no more, and what is new.
func (p *pricePlan) changes() (gone []id.Price, made []Price) {
	has := func(in []Price, of Price) bool {
		return slices.ContainsFunc(in, func(q Price) bool { return q.ID == of.ID })
	}
	for _, b := range p.before {
		if !has(p.now, b) {
			gone = append(gone, b.ID)
		}
	}
	for _, n := range p.now {
		if !has(p.before, n) {
			made = append(made, n)
		}
	}
	return gone, made
}
