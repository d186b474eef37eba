package usage

import (
	"time"

	"github.com/bureau-agents/bureau/ports/llm"
)

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
// to the output. clamped says that the counts contradicted each other like that.
func (c Convention) Buckets(n Counts) (u llm.Usage, clamped bool) {
	u = llm.Usage{
		Input: n.Input, CacheRead: n.CacheRead, CacheWrite5m: n.CacheWrite5m, CacheWrite1h: n.CacheWrite1h,
		Output: n.Output, Reasoning: min(n.Reasoning, n.Output),
	}
	clamped = n.Reasoning > n.Output
	if c == InputExcludesCache {
		return u, clamped
	}
	for _, bucket := range []*int64{&u.CacheRead, &u.CacheWrite5m, &u.CacheWrite1h} {
		clamped = clamped || *bucket > u.Input
		*bucket = min(*bucket, u.Input)
		u.Input -= *bucket
	}
	return u, clamped
}

// Counted returns the input as the convention reports it.
func (c Convention) Counted(u llm.Usage) int64 {
	if c == InputExcludesCache {
		return u.Input
	}
	return u.TotalInput()
}
