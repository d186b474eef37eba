package usage

import (
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"
)

// List finds prices by the names that providers and clients give to models. It is immutable and safe for concurrent
// use.
type List struct {
	prices  []Price
	exact   map[string][]int // lower-case names to places in prices
	derived map[string][]int // the families of snapshots, which any exact name beats
	base    *List            // what is asked where this list has nothing; nil is none
}

// NewList returns a list of prices. An error names a price that cannot be right.
func NewList(prices []Price) (*List, error) {
	l := &List{prices: slices.Clone(prices), exact: map[string][]int{}, derived: map[string][]int{}}
	for i, p := range l.prices {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("usage: price %d (%s/%s): %w", i, p.Provider, p.Model, err)
		}
		model := strings.ToLower(p.Model)
		for _, name := range []string{model, p.Provider + "/" + model} {
			l.exact[name] = append(l.exact[name], i)
		}
		if family := withoutDate(model); family != "" {
			l.derived[family] = append(l.derived[family], i)
		}
	}
	return l, nil
}

// Over returns a list with the prices of l and, where l has none for a model of that name at a time, with those of base.
func (l *List) Over(base *List) *List {
	if len(l.prices) == 0 {
		return base
	}
	out := *l
	out.base = base
	return &out
}

// At returns the prices in force at a time, in the list's order and before those of the list that it lies over.
func (l *List) At(at time.Time) []Price {
	var out []Price
	for ; l != nil; l = l.base {
		for _, p := range l.prices {
			if p.in(at) {
				out = append(out, p)
			}
		}
	}
	return out
}

// providerNames are what providers are called elsewhere: by OpenTelemetry's gen_ai.provider.name, by gateways, by
// people.
var providerNames = map[string]string{
	"google": "gemini", "google_ai": "gemini", "google-ai": "gemini", "google_genai": "gemini", "gcp.gemini": "gemini",
	"gcp.gen_ai": "gemini", "vertex_ai": "gemini", "gcp.vertex_ai": "gemini", "x-ai": "xai", "x_ai": "xai", "grok": "xai",
	"moonshotai": "moonshot", "mistral_ai": "mistral", "mistralai": "mistral", "z-ai": "zai", "qwen": "dashscope",
	"alibaba": "dashscope", "cohere": "cohere_chat", "bedrock": "bedrock_converse", "aws.bedrock": "bedrock_converse",
	"claude": "anthropic",
}

func providerKey(provider string) string {
	p := strings.ToLower(strings.TrimSpace(provider))
	if known, ok := providerNames[p]; ok {
		return known
	}
	return p
}

// snapshot matches the ends by which providers name one release of a model: "-20250514", "-2024-08-06", "-latest".
var snapshot = regexp.MustCompile(`-(20\d{6}|20\d{2}-\d{2}-\d{2}|latest)$`)

// withoutDate returns a name without its snapshot's end, or "" when it has none.
func withoutDate(name string) string {
	if at := snapshot.FindStringIndex(name); at != nil {
		return name[:at[0]]
	}
	return ""
}

// Offline is the provider, and the model, that cost nothing, which is a known price.
const Offline = "offline"

// Find returns the price of a model at a time. The model's name may have the provider's prefix or not, name a snapshot
// of a listed model, or a listed snapshot's family. Where several providers offer it, the one asked for goes first; a
// provider that does not list the model gets the price of one that does, because gateways and proxies pass prices on.
//
// In a list that lies over another, its own price of a name goes first, but a snapshot that only the lower list names has the price
// of that list: the more literal name wins.
func (l *List) Find(provider, model string, at time.Time) (Price, bool) {
	want := providerKey(provider)
	if want == Offline {
		model = Offline
	}
	var other *Price
	for p := range l.candidates(model, at) {
		if want == "" || p.Provider == want {
			return *p, true
		}
		if other == nil {
			other = p
		}
	}
	if other == nil {
		return Price{}, false
	}
	return *other, true
}

// candidates yields the prices in force for a model, the one that counts most first.
func (l *List) candidates(model string, at time.Time) iter.Seq[*Price] {
	return func(yield func(*Price) bool) {
		for _, name := range spellings(strings.ToLower(strings.TrimSpace(model))) {
			for _, derived := range []bool{false, true} {
				for level := l; level != nil; level = level.base {
					names := level.exact
					if derived {
						names = level.derived
					}
					for _, i := range names[name] {
						if p := &level.prices[i]; p.in(at) && !yield(p) {
							return
						}
					}
				}
			}
		}
	}
}

// spellings returns the names to look a model up by, the most literal first.
func spellings(model string) []string {
	var out []string
	for name := model; ; {
		out = append(out, name)
		_, rest, ok := strings.Cut(name, "/")
		if !ok {
			break
		}
		name = rest
	}
	for _, name := range slices.Clone(out) {
		if family := withoutDate(name); family != "" {
			out = append(out, family)
		}
	}
	return out
}
