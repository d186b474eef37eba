// Package llm is the port to language models: one streaming call, in terms that no vendor owns.
package llm

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Provider answers requests with a model. Implementations are safe for concurrent use.
type Provider interface {
	// Generate streams one answer. The sequence yields deltas and ends with exactly one event that has a Response, or with
	// one error. Breaking out of the loop, or cancelling ctx, frees everything that the call holds.
	//
	// Errors are *fault.Error: Invalid for a request that the model refuses, Unauthenticated for a bad key, RateLimited and
	// Unavailable (with RetryAfter when told) when trying again makes sense, Timeout when the provider gave no byte in time.
	// When ctx ended, the error is ctx's, wrapped. The provider does not retry by itself.
	Generate(ctx context.Context, req Request) iter.Seq2[Event, error]

	// Name returns the provider's name as prices know it: "anthropic", "openai", "offline". It is constant.
	Name() string
}

// The errors that a Provider returns; specialise the message with Withf.
var (
	ErrRefusedRequest = fault.New(fault.Invalid, "model_request_failed", "the model refused the request")
	ErrCredentials    = fault.New(fault.Unauthenticated, "model_credentials", "the model provider refused the credentials")
	ErrRateLimited    = fault.New(fault.RateLimited, "model_rate_limited", "the model provider is limiting requests")
	ErrOverloaded     = fault.New(fault.Unavailable, "model_overloaded", "the model provider is overloaded or out of reach")
	ErrCutStream      = fault.New(fault.Unavailable, "model_stream_cut", "the model's answer was cut off")
	ErrTimeout        = fault.New(fault.Timeout, "model_timeout", "the model did not answer in time")
)

// Refusal may stand in the chain of ErrCredentials: what the provider said about them. It may repeat a part of the key, so that it is for
// whoever has given the key, and Error does not show it.
type Refusal struct {
	Status  int // of HTTP
	Message string
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("status %d", r.Status) }

// Role says who speaks in a message.
type Role string

// The roles. Tool results travel in user messages, as blocks.
const (
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
)

// Request is one call of a model.
type Request struct {
	Model           string      // the provider's name of the model; "" is the provider's default
	System          string      // instructions; "" is none
	Messages        []Message   // alternating as the conversation went; never empty
	Tools           []tool.Spec // what the model may call; order is kept
	MaxOutputTokens int         // 0 is the provider's default
	// Conversation is a stable name of the conversation, for what keeps a conversation's state by itself; "" is none.
	Conversation string
	// Newest is how many blocks at the end of the last message were said last, where what was said before and had no answer is in that
	// message, too; 0: all of it was.
	Newest int
}

// Message is one turn of the conversation.
type Message struct {
	Role   Role
	Blocks []Block
}

// Block is one part of a message; exactly one field is set.
type Block struct {
	Text       string
	Thinking   *Thinking
	ToolUse    *ToolUse
	ToolResult *ToolResult
	Media      *Media
}

// Thinking is the model's reasoning. Signature and Redacted carry what a provider wants back unchanged.
type Thinking struct {
	Text      string
	Signature string
	Redacted  string
}

// ToolUse is the model's wish to call a tool. ID is unique within the conversation and is repeated by the result.
type ToolUse struct {
	ID    string
	Name  string
	Input json.RawMessage // a JSON object
}

// ToolResult answers the ToolUse with the same ID.
type ToolResult struct {
	ID      string
	Text    string
	IsError bool
}

// Media is an image or a document: Data with its MediaType, or a URL.
type Media struct {
	MediaType string // "image/png", "application/pdf", "text/plain"
	Data      []byte
	URL       string
	Title     string
}

// Event is one piece of a streamed answer; exactly one field is set.
type Event struct {
	Text      string     // more of the answer's text
	Thinking  string     // more of its reasoning
	ToolInput *ToolInput // more of a tool call's arguments
	Response  *Response  // the whole answer; always last
}

// ToolInput is a piece of the JSON arguments of a tool call.
type ToolInput struct {
	ID    string // of the ToolUse
	Name  string
	Delta string // "" announces the call
}

// StopReason says why the model stopped.
type StopReason string

// The stop reasons.
const (
	StopEnd       StopReason = "end"        // finished its answer
	StopToolUse   StopReason = "tool_use"   // waits for tool results
	StopMaxTokens StopReason = "max_tokens" // reached MaxOutputTokens
	StopRefusal   StopReason = "refusal"    // declined to answer
)

// Response is a whole answer.
type Response struct {
	Blocks     []Block // Text, Thinking and ToolUse blocks in the model's order
	StopReason StopReason
	Usage      Usage
	Model      string // the model that answered, as the provider names it
	ProviderID string // the provider's id of the answer; "" when it gives none
}

// Usage counts tokens in disjoint buckets: a token is in exactly one of the input buckets.
type Usage struct {
	Input         int64 // fresh input, neither read from nor written to a cache
	CacheRead     int64
	CacheWrite5m  int64
	CacheWrite1h  int64
	Output        int64 // includes Reasoning
	Reasoning     int64
	ReportedPicos int64 // what the provider itself says that it cost, in picodollars; 0 is unsaid
}

// TotalInput returns the sum of the input buckets, by which price tiers are chosen.
func (u Usage) TotalInput() int64 { return u.Input + u.CacheRead + u.CacheWrite5m + u.CacheWrite1h }
