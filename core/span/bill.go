package span

import (
	"regexp"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/clock"
)

// inference are the operations that ask a model, and no more than one.
var inference = map[string]bool{"chat": true, "text_completion": true, "generate_content": true, "embeddings": true}

// The attributes that name one count each: as the conventions have it now, as they had it, and as instrumentations spell it.
var (
	inputTokens = []string{
		"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens",
	}
	outputTokens = []string{
		"gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens",
	}
	cacheReadTokens = []string{
		"gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.input_tokens.cached",
		"gen_ai.usage.details.cache_read_tokens",
	}
	cacheWriteTokens = []string{
		"gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.details.cache_write_tokens",
	}
	reasoningTokens = []string{
		"gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens", "gen_ai.usage.output_tokens.reasoning",
		"gen_ai.usage.details.reasoning_tokens",
	}
)

// billed reports whether a span asked a model by itself.
func (s *Span) billed() bool {
	if s.model() == "" {
		return false
	}
	_, in := count(s.Attributes, inputTokens...)
	_, out := count(s.Attributes, outputTokens...)
	if op := s.operation(); op != "" {
		return inference[strings.ToLower(op)] && (in || out || s.Status == StatusError)
	}
	return in || out
}

func (s *Span) model() string {
	return short(strings.TrimSpace(text(s.Attributes, "gen_ai.response.model", "gen_ai.request.model")), maxModel)
}

// Limits of a usage row, in characters and tokens.
const (
	maxModel    = 200
	maxProvider = 100
	maxTokens   = 1_000_000_000 // of one call and kind; what has more is a mistake, which no sum should bear
)

// absurd reports whether a span counts more tokens than any call can use.
func (s *Span) absurd() bool {
	for _, names := range [][]string{inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens} {
		if n, _ := count(s.Attributes, names...); n > maxTokens {
			return true
		}
	}
	return false
}

// usage returns the row of a span that is billed, for the event that it became.
func (s *Span) usage(e *telemetry.NewEvent, now time.Time) usage.Row {
	var n usage.Counts
	n.Input, _ = count(s.Attributes, inputTokens...)
	n.Output, _ = count(s.Attributes, outputTokens...)
	n.CacheRead, _ = count(s.Attributes, cacheReadTokens...)
	n.CacheWrite5m, _ = count(s.Attributes, cacheWriteTokens...)
	n.Reasoning, _ = count(s.Attributes, reasoningTokens...)
	r := usage.Row{
		ID: usageOf(e.ID), Agent: e.Agent, Model: s.model(),
		Provider: short(strings.TrimSpace(text(s.Attributes, "gen_ai.provider.name", "gen_ai.system")), maxProvider),
		Service:  serviceTier(s.Attributes), Calls: 1, CreatedAt: clock.Stored(moment(now, s.End, s.Start)),
	}
	var clamped bool
	if r.Usage, clamped = usage.InputIncludesCache.Buckets(n); clamped {
		r.Flags |= usage.FlagClamped
	}
	if s.Status == StatusError {
		r.Errors = 1
	}
	if d, ok := s.took(); ok {
		r.Latency = d
	}
	return r
}

// tierName is what a service tier looks like that prices may know.
var tierName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)

// serviceTier is the tier that the provider says it served the call in; "" where none was said.
func serviceTier(a Attributes) string {
	tier := strings.TrimSpace(text(a, "openai.response.service_tier", "gen_ai.openai.response.service_tier"))
	if !tierName.MatchString(tier) {
		return ""
	}
	return tier
}
