package openai

import (
	"crypto/rand"
	"encoding/json"
	"math/big"
	"strings"

	vendor "github.com/sashabaranov/go-openai"

	"github.com/bureau-agents/bureau/ports/llm"
)

// answer puts a streamed completion together.
type answer struct {
	model, id string
	thinking  strings.Builder
	text      strings.Builder
	refused   bool
	calls     []*call
	finish    vendor.FinishReason
	usage     *usage
}

// call is one tool call whose arguments are arriving.
type call struct {
	index     int
	id, name  string
	announced bool
	arguments strings.Builder
}

// extras are the fields of a chunk that the client library does not know.
type extras struct {
	Error   *streamError `json:"error"`
	Choices []struct {
		Delta struct {
			Reasoning string `json:"reasoning"` // OpenRouter's, vLLM's and Ollama's name of reasoning_content
		} `json:"delta"`
	} `json:"choices"`
	Usage *usage `json:"usage"`
}

// usage is what servers report, in their own bucketing: prompt tokens include cached ones, completion tokens should include
// reasoning.
type usage struct {
	Prompt        int64 `json:"prompt_tokens"`
	Completion    int64 `json:"completion_tokens"`
	Total         int64 `json:"total_tokens"`
	PromptDetails *struct {
		Cached int64 `json:"cached_tokens"`
		Writes int64 `json:"cache_write_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails *struct {
		Reasoning int64 `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
	Cost json.Number `json:"cost"` // in dollars; of servers that resell
}

func newAnswer(model string) *answer { return &answer{model: model} }

// complete reports whether the server said that it is done.
func (a *answer) complete() bool { return a.finish != "" }

// add takes one chunk and returns what is new in it.
func (a *answer) add(raw []byte) ([]llm.Event, error) {
	var chunk vendor.ChatCompletionStreamResponse
	var extra extras
	if err := json.Unmarshal(raw, &chunk); err != nil {
		return nil, llm.ErrCutStream.Wrap(err)
	}
	// Fields that some server fills differently must not break an answer that is otherwise readable.
	_ = json.Unmarshal(raw, &extra)
	if extra.Error != nil {
		return nil, extra.Error.fault()
	}
	if chunk.ID != "" {
		a.id = chunk.ID
	}
	if chunk.Model != "" {
		a.model = chunk.Model
	}
	if extra.Usage != nil {
		a.usage = extra.Usage
	}
	var events []llm.Event
	for i, choice := range chunk.Choices {
		if choice.Index != 0 {
			continue
		}
		delta := choice.Delta
		thinking := delta.ReasoningContent
		if thinking == "" && i < len(extra.Choices) {
			thinking = extra.Choices[i].Delta.Reasoning
		}
		if thinking != "" {
			a.thinking.WriteString(thinking)
			events = append(events, llm.Event{Thinking: thinking})
		}
		a.refused = a.refused || delta.Refusal != ""
		if text := delta.Content + delta.Refusal; text != "" {
			a.text.WriteString(text)
			events = append(events, llm.Event{Text: text})
		}
		for _, tc := range delta.ToolCalls {
			events = append(events, a.call(tc)...)
		}
		if choice.FinishReason != "" && choice.FinishReason != vendor.FinishReasonNull {
			a.finish = choice.FinishReason
			if a.finish == "error" {
				return events, llm.ErrOverloaded
			}
		}
	}
	return events, nil
}

// call takes a piece of a tool call. Servers differ in what they repeat: some send no index, some no id, some the name each time.
func (a *answer) call(tc vendor.ToolCall) []llm.Event {
	var c *call
	switch {
	case tc.Index != nil:
		for _, known := range a.calls {
			if known.index == *tc.Index && (tc.ID == "" || tc.ID == known.id) {
				c = known
			}
		}
	case tc.ID == "" && len(a.calls) > 0:
		c = a.calls[len(a.calls)-1]
	default:
		for _, known := range a.calls {
			if known.id == tc.ID {
				c = known
			}
		}
	}
	if c == nil {
		c = &call{index: len(a.calls), id: tc.ID}
		if tc.Index != nil {
			c.index = *tc.Index
		}
		if c.id == "" {
			c.id = "call_" + rand.Text()
		}
		a.calls = append(a.calls, c)
	}
	if c.name == "" {
		c.name = tc.Function.Name
	}
	var events []llm.Event
	if !c.announced && c.name != "" {
		c.announced = true
		events = append(events, llm.Event{ToolInput: &llm.ToolInput{ID: c.id, Name: c.name}})
	}
	if tc.Function.Arguments != "" {
		c.arguments.WriteString(tc.Function.Arguments)
		events = append(events, llm.Event{ToolInput: &llm.ToolInput{ID: c.id, Name: c.name, Delta: tc.Function.Arguments}})
	}
	return events
}

// response returns the whole answer. A call whose arguments are no JSON object makes it an answer that was cut, so that it is asked
// for again; behind a length limit the call is left out instead, since it would be cut again.
func (a *answer) response() (*llm.Response, error) {
	resp := &llm.Response{Model: a.model, ProviderID: a.id, StopReason: a.stopReason(), Usage: a.usage.normal()}
	if a.thinking.Len() > 0 {
		resp.Blocks = append(resp.Blocks, llm.Block{Thinking: &llm.Thinking{Text: a.thinking.String()}})
	}
	if a.text.Len() > 0 {
		resp.Blocks = append(resp.Blocks, llm.Block{Text: a.text.String()})
	}
	for _, c := range a.calls {
		input := strings.TrimSpace(c.arguments.String())
		if input == "" || input == "null" {
			input = "{}"
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(input), &object); err != nil || c.name == "" {
			if resp.StopReason == llm.StopMaxTokens {
				continue
			}
			return nil, llm.ErrCutStream.Withf("the model called %q with arguments that are no JSON object", c.name).Wrap(err)
		}
		resp.Blocks = append(resp.Blocks, llm.Block{ToolUse: &llm.ToolUse{ID: c.id, Name: c.name, Input: json.RawMessage(input)}})
	}
	return resp, nil
}

func (a *answer) stopReason() llm.StopReason {
	switch {
	case a.finish == vendor.FinishReasonLength:
		return llm.StopMaxTokens
	case a.refused, a.finish == vendor.FinishReasonContentFilter:
		return llm.StopRefusal
	case len(a.calls) > 0: // some servers say "stop"
		return llm.StopToolUse
	default:
		return llm.StopEnd
	}
}

// normal puts tokens into disjoint buckets.
func (u *usage) normal() llm.Usage {
	if u == nil {
		return llm.Usage{}
	}
	out := llm.Usage{Output: u.Completion}
	if u.PromptDetails != nil {
		out.CacheRead, out.CacheWrite5m = u.PromptDetails.Cached, u.PromptDetails.Writes
	}
	// A server whose figures contradict themselves must not make input negative.
	out.CacheRead = min(max(out.CacheRead, 0), u.Prompt)
	out.CacheWrite5m = min(max(out.CacheWrite5m, 0), u.Prompt-out.CacheRead)
	out.Input = u.Prompt - out.CacheRead - out.CacheWrite5m
	if u.CompletionDetails != nil {
		out.Reasoning = u.CompletionDetails.Reasoning
	}
	// Google and xAI count reasoning in the total only.
	if beside := u.Total - u.Prompt - u.Completion; beside > 0 {
		out.Output += beside
		out.Reasoning = max(out.Reasoning, beside)
	}
	out.Reasoning = min(out.Reasoning, out.Output)
	if cost, ok := new(big.Rat).SetString(u.Cost.String()); ok && cost.Sign() > 0 {
		picos := new(big.Int).Quo(new(big.Int).Mul(cost.Num(), big.NewInt(1e12)), cost.Denom())
		if picos.IsInt64() {
			out.ReportedPicos = picos.Int64()
		}
	}
	return out
}
