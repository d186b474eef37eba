package usage

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// Price is what a provider asks for a model during some time.
type Price struct {
	ID       id.Price // zero: of no store
	Own      bool     // set by the tenant for itself
	Provider string   // "anthropic", "openai", "gemini", ...; in lower case
	Model    string   // without the provider's prefix
	From     time.Time
	Until    time.Time // exclusive; zero times are open ends
	Rates    Rates     // up to the first tier
	Tiers    []Tier    // by ascending Above
	// Multipliers scale the whole cost, in thousandths: {"fast": 2000} doubles it. They are named by modifiers, such as a region or a
	// speed, or by service tiers that the rates say nothing of.
	Multipliers map[string]int64
	Deprecated  time.Time // the day on which the provider gives the model up; zero: not announced. It does not change a cost
	Source      Source
	SetAt       time.Time // when it was stored; zero: of no store
	SetBy       id.APIKey // zero: by the server
	Superseded  time.Time // when another price took its place, or it was deleted; zero: it counts
}

// Source says where the figures of a price come from.
type Source struct {
	Text string // such as "price list of 2026-08-01"
	URL  string // "" is none
}

// Tier replaces the rates of a whole request, output and cache included, whose input is larger than a threshold.
type Tier struct {
	Above int64 // tokens of all input buckets together; the tier begins with the next one
	Rates Rates
}

// Rates are prices in picodollars per token. A nil cache price is unknown, which is not zero: the input price counts.
type Rates struct {
	Input        int64
	Output       int64
	CacheRead    *int64
	CacheWrite5m *int64
	CacheWrite1h *int64
	Reasoning    *int64 // of the reasoning tokens inside the output; nil: as Output
	// Services are what differs in a service tier, by its name: ServiceBatch, ServiceFlex, ServicePriority, or whatever the provider
	// calls it.
	Services map[string]ServiceRates
}

// ServiceRates are what a service tier asks instead, in picodollars per token. What is nil costs as usual.
type ServiceRates struct {
	Input        *int64
	Output       *int64
	CacheRead    *int64
	CacheWrite5m *int64
	CacheWrite1h *int64
	Reasoning    *int64
}

// The service tiers that several providers have. The usual one is "", which ServiceOf makes of the names that providers give it.
const (
	ServiceBatch    = "batch"    // answers within a day
	ServiceFlex     = "flex"     // answers when there is room
	ServicePriority = "priority" // answers before others
)

// ServiceOf returns a service tier as prices know it: in lower case, "" for the usual one, which is also called "default", "standard",
// "auto" and "on_demand".
func ServiceOf(name string) string {
	switch n := strings.ToLower(strings.TrimSpace(name)); n {
	case "default", "standard", "auto", "on_demand":
		return ""
	default:
		return n
	}
}

// Ref names the price that a cost was computed from: "anthropic/claude-sonnet-4-5", with "@2026-08-01" when the price
// has a beginning, "#200000" when a tier was in force, and "!batch" when a service tier was. "" is no price.
type Ref string

// MaxModifiers is how many modifiers a use may have.
const MaxModifiers = 8

// modifierName is what modifiers and service tiers are called.
var modifierName = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,31}$`)

func (p Price) check() error {
	if p.Provider == "" || p.Model == "" || p.Provider != strings.ToLower(p.Provider) {
		return errors.New("provider and model are required, the provider in lower case")
	}
	rates := []Rates{p.Rates}
	for i, t := range p.Tiers {
		if t.Above <= 0 || i > 0 && t.Above <= p.Tiers[i-1].Above {
			return errors.New("thresholds must ascend from above 0")
		}
		rates = append(rates, t.Rates)
	}
	for _, r := range rates {
		if err := r.check(); err != nil {
			return err
		}
	}
	for name, m := range p.Multipliers {
		if m <= 0 || m > maxMultiplier || !modifierName.MatchString(name) {
			return fmt.Errorf("the multiplier %s is not above zero, too large, or badly named", name)
		}
	}
	if !p.Until.IsZero() && !p.From.Before(p.Until) {
		return errors.New("it ends before it begins")
	}
	return nil
}

// maxMultiplier is a factor of a thousand, in thousandths.
const maxMultiplier = 1_000_000

func (r Rates) check() error {
	values := []int64{r.Input, r.Output, value(r.CacheRead), value(r.CacheWrite5m), value(r.CacheWrite1h), value(r.Reasoning)}
	for name, s := range r.Services {
		if ServiceOf(name) != name || !modifierName.MatchString(name) {
			return fmt.Errorf("%q is no name of a service tier", name)
		}
		values = append(values, value(s.Input), value(s.Output), value(s.CacheRead), value(s.CacheWrite5m), value(s.CacheWrite1h), value(s.Reasoning))
	}
	for _, v := range values {
		if v < 0 {
			return errors.New("a price is below zero")
		}
	}
	return nil
}

func value(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

func or(p *int64, fallback int64) int64 {
	if p == nil {
		return fallback
	}
	return *p
}

// says reports whether two prices say the same, whatever their ids and who set them.
func (p Price) says(o Price) bool {
	return p.Provider == o.Provider && p.Model == o.Model && p.From.Equal(o.From) && p.Until.Equal(o.Until) && p.Deprecated.Equal(o.Deprecated) &&
		p.Source == o.Source && reflect.DeepEqual(p.Rates.plain(), o.Rates.plain()) && maps.Equal(p.Multipliers, o.Multipliers) &&
		slices.EqualFunc(p.Tiers, o.Tiers, func(a, b Tier) bool {
			return a.Above == b.Above && reflect.DeepEqual(a.Rates.plain(), b.Rates.plain())
		})
}

// plain returns the rates with no map instead of an empty one.
func (r Rates) plain() Rates {
	if len(r.Services) == 0 {
		r.Services = nil
	}
	return r
}

// in reports whether the price is in force at a time.
func (p Price) in(at time.Time) bool {
	return (p.From.IsZero() || !at.Before(p.From)) && (p.Until.IsZero() || at.Before(p.Until))
}

// rates returns the rates for a request with that much input, and the threshold of their tier; 0 is none.
func (p Price) rates(input int64) (r Rates, above int64) {
	r = p.Rates
	for _, t := range p.Tiers {
		if input > t.Above {
			r, above = t.Rates, t.Above
		}
	}
	return r, above
}

func (p Price) ref(above int64, service string) Ref {
	ref := p.Provider + "/" + p.Model
	if !p.From.IsZero() {
		ref += "@" + p.From.Format(time.DateOnly)
	}
	if above > 0 {
		ref += fmt.Sprintf("#%d", above)
	}
	if service != "" {
		ref += "!" + service
	}
	return Ref(ref)
}
