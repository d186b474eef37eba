package usage

import (
	"bytes"
	_ "embed" // for the price list
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
)

// Price is what a provider asks for a model during some time.
type Price struct {
	Provider string // "anthropic", "openai", "gemini", ...
	Model    string // without the provider's prefix
	From     time.Time
	Until    time.Time // exclusive; zero times are open ends
	Rates    Rates     // up to the first tier
	Tiers    []Tier    // by ascending Above
	// Multipliers scale the whole cost, in thousandths: {"fast": 2000} doubles it.
	Multipliers map[string]int64
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
	BatchInput   *int64 // with the modifier ModifierBatch; nil: the price is the usual one
	BatchOutput  *int64
}

// ModifierBatch asks for the prices of asynchronous batches.
const ModifierBatch = "batch"

// Ref names the price that a cost was computed from: "anthropic/claude-sonnet-4-5", with "@2026-08-01" when the price
// has a beginning and "#200000" when a tier was in force. "" is no price.
type Ref string

// Query asks what something costs.
type Query struct {
	Provider  string // "" or one that the list does not know: the model's name decides
	Model     string // with or without the provider's prefix, in any case
	Usage     llm.Usage
	At        time.Time
	Modifiers []string // ModifierBatch, or names of Price.Multipliers; what a price does not know does not change it
}

//go:embed prices.json
var builtin []byte

// priceRow is an element of prices.json.
type priceRow struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	From     string `json:"from"`
	Until    string `json:"until"`
	rateRow
	Tiers []struct {
		Above int64 `json:"above"`
		rateRow
	} `json:"tiers"`
	Multipliers map[string]int64 `json:"multipliers"`
}

type rateRow struct {
	In           int64  `json:"in"`
	Out          int64  `json:"out"`
	CacheRead    *int64 `json:"cache_read"`
	CacheWrite   *int64 `json:"cache_write"`
	CacheWrite1h *int64 `json:"cache_write_1h"`
	OutReasoning *int64 `json:"out_reasoning"`
	BatchIn      *int64 `json:"batch_in"`
	BatchOut     *int64 `json:"batch_out"`
}

func (r rateRow) rates() Rates {
	return Rates{
		Input: r.In, Output: r.Out, CacheRead: r.CacheRead, CacheWrite5m: r.CacheWrite, CacheWrite1h: r.CacheWrite1h,
		Reasoning: r.OutReasoning, BatchInput: r.BatchIn, BatchOutput: r.BatchOut,
	}
}

// Builtin returns the prices that this package ships.
func Builtin() ([]Price, error) {
	var rows []priceRow
	dec := json.NewDecoder(bytes.NewReader(builtin))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rows); err != nil {
		return nil, fmt.Errorf("usage: prices.json: %w", err)
	}
	out := make([]Price, len(rows))
	for i, r := range rows {
		p := Price{Provider: r.Provider, Model: r.Model, Rates: r.rates(), Multipliers: r.Multipliers}
		for _, t := range r.Tiers {
			p.Tiers = append(p.Tiers, Tier{t.Above, t.rates()})
		}
		var err error
		if p.From, err = day(r.From); err == nil {
			p.Until, err = day(r.Until)
		}
		if err != nil {
			return nil, fmt.Errorf("usage: prices.json: %s: %w", r.Model, err)
		}
		out[i] = p
	}
	return out, nil
}

func day(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, s)
}

// List finds prices by the names that providers and clients give to models. It is immutable and safe for concurrent
// use.
type List struct {
	prices []Price
	names  map[string][]int // lower-case names to places in prices, exact names before derived ones
}

// NewList returns a list of prices. An error names a price that cannot be right.
func NewList(prices []Price) (*List, error) {
	l := &List{prices: slices.Clone(prices), names: map[string][]int{}}
	for i, p := range l.prices {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("usage: price %d (%s/%s): %w", i, p.Provider, p.Model, err)
		}
		model := strings.ToLower(p.Model)
		l.add(model, i)
		l.add(p.Provider+"/"+model, i)
	}
	for i, p := range l.prices { // after all exact names: a model of its own beats a snapshot's family
		if family := withoutDate(strings.ToLower(p.Model)); family != "" {
			l.add(family, i)
		}
	}
	return l, nil
}

func (l *List) add(name string, i int) { l.names[name] = append(l.names[name], i) }

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
		for _, v := range []int64{
			r.Input, r.Output, value(r.CacheRead), value(r.CacheWrite5m), value(r.CacheWrite1h), value(r.Reasoning),
			value(r.BatchInput), value(r.BatchOutput),
		} {
			if v < 0 {
				return errors.New("a price is below zero")
			}
		}
	}
	for name, m := range p.Multipliers {
		if m <= 0 {
			return fmt.Errorf("the multiplier %s is not above zero", name)
		}
	}
	if !p.Until.IsZero() && !p.From.Before(p.Until) {
		return errors.New("it ends before it begins")
	}
	return nil
}

func value(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

// At returns the prices in force at a time, in the list's order.
func (l *List) At(at time.Time) []Price {
	var out []Price
	for _, p := range l.prices {
		if p.in(at) {
			out = append(out, p)
		}
	}
	return out
}

func (p Price) in(at time.Time) bool {
	return (p.From.IsZero() || !at.Before(p.From)) && (p.Until.IsZero() || at.Before(p.Until))
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
func (l *List) Find(provider, model string, at time.Time) (Price, bool) {
	want := providerKey(provider)
	if want == Offline {
		model = Offline
	}
	var other *Price
	for _, name := range spellings(strings.ToLower(strings.TrimSpace(model))) {
		for _, i := range l.names[name] {
			p := &l.prices[i]
			switch {
			case !p.in(at):
			case want == "" || p.Provider == want:
				return *p, true
			case other == nil:
				other = p
			}
		}
	}
	if other == nil {
		return Price{}, false
	}
	return *other, true
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

// Quote returns the cost and the price behind it. Without a known price the Ref is "" and the cost has no meaning.
// ErrCostOverflow when the cost leaves int64.
func (l *List) Quote(q Query) (money.Pico, Ref, error) {
	p, ok := l.Find(q.Provider, q.Model, q.At)
	if !ok {
		return 0, "", nil
	}
	r, above := p.rates(q.Usage.TotalInput())
	cost, ok := r.cost(q.Usage, q.Modifiers)
	for _, m := range q.Modifiers {
		if f, known := p.Multipliers[m]; known && ok {
			cost, ok = scale(cost, f)
		}
	}
	if !ok {
		return 0, "", ErrCostOverflow
	}
	return cost, p.ref(above), nil
}

func (p Price) ref(above int64) Ref {
	ref := p.Provider + "/" + p.Model
	if !p.From.IsZero() {
		ref += "@" + p.From.Format(time.DateOnly)
	}
	if above > 0 {
		ref += fmt.Sprintf("#%d", above)
	}
	return Ref(ref)
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

// cost prices every bucket; ok is false when a bucket is negative or the sum leaves int64.
func (r Rates) cost(u llm.Usage, modifiers []string) (sum money.Pico, ok bool) {
	input, output := r.Input, r.Output
	if slices.Contains(modifiers, ModifierBatch) {
		input, output = or(r.BatchInput, input), or(r.BatchOutput, output)
	}
	plain, reasoning := u.Output, int64(0)
	if r.Reasoning != nil {
		reasoning = min(u.Reasoning, u.Output)
		plain -= reasoning
	}
	for _, part := range [...]struct{ tokens, price int64 }{
		{u.Input, input},
		{u.CacheRead, or(r.CacheRead, r.Input)},
		{u.CacheWrite5m, or(r.CacheWrite5m, r.Input)},
		{u.CacheWrite1h, or(r.CacheWrite1h, r.Input)},
		{plain, output},
		{reasoning, or(r.Reasoning, output)},
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

func or(p *int64, fallback int64) int64 {
	if p == nil {
		return fallback
	}
	return *p
}

// scale multiplies by thousandths, rounding up: a budget must not be short of the last picodollar.
func scale(c money.Pico, thousandths int64) (money.Pico, bool) {
	hi, lo := bits.Mul64(uint64(c), uint64(thousandths))
	lo, carry := bits.Add64(lo, 999, 0)
	if hi += carry; hi >= 1000 {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, 1000)
	return money.Pico(q), q <= 1<<63-1
}

// Ceiling returns the most that a request can cost with that much input, however a cache takes it up, and that much
// output: what a budget sets aside before the call. Without a known price the Ref is "". ErrCostOverflow as Quote.
func (l *List) Ceiling(provider, model string, input, output int64, at time.Time) (money.Pico, Ref, error) {
	p, ok := l.Find(provider, model, at)
	if !ok {
		return 0, "", nil
	}
	// A request that turns out smaller than was feared is in a lower tier, which need not be cheaper.
	var worst money.Pico
	ref := p.ref(0)
	for i := -1; i < len(p.Tiers); i++ {
		r, above := p.Rates, int64(0)
		if i >= 0 {
			r, above = p.Tiers[i].Rates, p.Tiers[i].Above
		}
		if i >= 0 && input <= above {
			break
		}
		in := max(r.Input, or(r.CacheRead, 0), or(r.CacheWrite5m, 0), or(r.CacheWrite1h, 0))
		c, ok := Rates{Input: in, Output: max(r.Output, or(r.Reasoning, 0))}.cost(llm.Usage{Input: input, Output: output}, nil)
		if !ok {
			return 0, "", ErrCostOverflow
		}
		if c >= worst {
			worst, ref = c, p.ref(above)
		}
	}
	return worst, ref, nil
}

// Convention says how a provider counts the input that it reports.
type Convention uint8

// The conventions.
const (
	// InputIncludesCache: prompt tokens are all of them (OpenAI, Gemini, OpenTelemetry, and whoever is not known to
	// differ).
	InputIncludesCache Convention = iota
	// InputExcludesCache: input tokens are the fresh ones only (Anthropic).
	InputExcludesCache
)

// ConventionOf returns the convention of a provider; "" is decided by the price that the model has at that time.
func (l *List) ConventionOf(provider, model string, at time.Time) Convention {
	key := providerKey(provider)
	if key == "" {
		if p, ok := l.Find("", model, at); ok {
			key = p.Provider
		}
	}
	if key == "anthropic" {
		return InputExcludesCache
	}
	return InputIncludesCache
}

// Counts are tokens as a client reports them.
type Counts struct {
	Input        int64 // with or without cached tokens, by the provider's Convention
	Output       int64 // includes Reasoning
	CacheRead    int64
	CacheWrite5m int64
	CacheWrite1h int64
	Reasoning    int64
}

// Buckets sorts counts into disjoint buckets. Cached tokens above an input that should include them are clamped, reads
// first, then the shorter-lived writes, so that no token is in two buckets and none is invented; reasoning is clamped
// to the output.
func (c Convention) Buckets(n Counts) llm.Usage {
	u := llm.Usage{
		Input: n.Input, CacheRead: n.CacheRead, CacheWrite5m: n.CacheWrite5m, CacheWrite1h: n.CacheWrite1h,
		Output: n.Output, Reasoning: min(n.Reasoning, n.Output),
	}
	if c == InputExcludesCache {
		return u
	}
	for _, bucket := range []*int64{&u.CacheRead, &u.CacheWrite5m, &u.CacheWrite1h} {
		*bucket = min(*bucket, u.Input)
		u.Input -= *bucket
	}
	return u
}

// Counted returns the input as the convention reports it.
func (c Convention) Counted(u llm.Usage) int64 {
	if c == InputExcludesCache {
		return u.Input
	}
	return u.TotalInput()
}
