package anthropic

import (
	"encoding/json"
	"strings"

	vendor "github.com/anthropics/anthropic-sdk-go"

	"github.com/bureau-agents/bureau/ports/llm"
)

// answer puts a streamed message together.
type answer struct {
	model, id string
	blocks    []*block
	stop      vendor.StopReason
	usage     vendor.Usage
	done      bool
}

// block is one content block that is arriving.
type block struct {
	kind      string
	text      strings.Builder // text, reasoning or JSON
	signature string
	redacted  string
	id, name  string
}

func newAnswer(model string) *answer { return &answer{model: model} }

// add takes one event and returns what is new in it.
func (a *answer) add(e *vendor.MessageStreamEventUnion) ([]llm.Event, error) {
	switch e.Type {
	case "message_start":
		a.id, a.usage = e.Message.ID, e.Message.Usage
		if e.Message.Model != "" {
			a.model = e.Message.Model
		}
	case "content_block_start":
		if e.Index != int64(len(a.blocks)) {
			return nil, llm.ErrCutStream.Withf("the model's answer lacks content block %d", len(a.blocks))
		}
		return a.start(&e.ContentBlock), nil
	case "content_block_delta":
		if e.Index < 0 || e.Index >= int64(len(a.blocks)) {
			return nil, llm.ErrCutStream.Withf("the model's answer lacks content block %d", e.Index)
		}
		return a.blocks[e.Index].delta(&e.Delta), nil
	case "message_delta":
		a.stop = e.Delta.StopReason
		a.count(&e.Usage)
	case "message_stop":
		a.done = true
	}
	return nil, nil
}

func (a *answer) start(cb *vendor.ContentBlockStartEventContentBlockUnion) []llm.Event {
	b := &block{kind: cb.Type}
	a.blocks = append(a.blocks, b)
	switch cb.Type {
	case "text":
		b.text.WriteString(cb.Text)
		if cb.Text != "" {
			return []llm.Event{{Text: cb.Text}}
		}
	case "thinking":
		b.text.WriteString(cb.Thinking)
		b.signature = cb.Signature
		if cb.Thinking != "" {
			return []llm.Event{{Thinking: cb.Thinking}}
		}
	case "redacted_thinking":
		b.redacted = cb.Data
	case "tool_use":
		b.id, b.name = cb.ID, cb.Name
		events := []llm.Event{{ToolInput: &llm.ToolInput{ID: b.id, Name: b.name}}}
		// Some compatible servers send the whole input at once.
		if raw := cb.JSON.Input.Raw(); raw != "" && raw != "{}" && raw != "null" {
			b.text.WriteString(raw)
			events = append(events, llm.Event{ToolInput: &llm.ToolInput{ID: b.id, Name: b.name, Delta: raw}})
		}
		return events
	}
	return nil
}

func (b *block) delta(d *vendor.MessageStreamEventUnionDelta) []llm.Event {
	switch d.Type {
	case "text_delta":
		b.text.WriteString(d.Text)
		return []llm.Event{{Text: d.Text}}
	case "thinking_delta":
		b.text.WriteString(d.Thinking)
		return []llm.Event{{Thinking: d.Thinking}}
	case "signature_delta":
		b.signature += d.Signature
	case "input_json_delta":
		if d.PartialJSON == "" || b.kind != "tool_use" {
			return nil
		}
		b.text.WriteString(d.PartialJSON)
		return []llm.Event{{ToolInput: &llm.ToolInput{ID: b.id, Name: b.name, Delta: d.PartialJSON}}}
	}
	return nil
}

// count takes the totals of message_delta, which replace those of message_start where they are told.
func (a *answer) count(u *vendor.MessageDeltaUsage) {
	a.usage.OutputTokens = u.OutputTokens
	if u.JSON.InputTokens.Valid() {
		a.usage.InputTokens = u.InputTokens
	}
	if u.JSON.CacheCreationInputTokens.Valid() {
		a.usage.CacheCreationInputTokens = u.CacheCreationInputTokens
	}
	if u.JSON.CacheReadInputTokens.Valid() {
		a.usage.CacheReadInputTokens = u.CacheReadInputTokens
	}
	if u.JSON.OutputTokensDetails.Valid() {
		a.usage.OutputTokensDetails = u.OutputTokensDetails
	}
}

// response returns the whole answer. A call whose input is no JSON object makes it an answer that was cut, so that it is asked for
// again; behind a length limit the call is left out instead, since it would be cut again.
func (a *answer) response() (*llm.Response, error) {
	resp := &llm.Response{Model: a.model, ProviderID: a.id, StopReason: stopReason(a.stop), Usage: buckets(a.usage)}
	for _, b := range a.blocks {
		switch b.kind {
		case "text":
			if b.text.Len() > 0 {
				resp.Blocks = append(resp.Blocks, llm.Block{Text: b.text.String()})
			}
		case "thinking":
			resp.Blocks = append(resp.Blocks, llm.Block{Thinking: &llm.Thinking{Text: b.text.String(), Signature: b.signature}})
		case "redacted_thinking":
			resp.Blocks = append(resp.Blocks, llm.Block{Thinking: &llm.Thinking{Redacted: b.redacted}})
		case "tool_use":
			input := b.text.String()
			if strings.TrimSpace(input) == "" {
				input = "{}"
			}
			var object map[string]json.RawMessage
			if err := json.Unmarshal([]byte(input), &object); err != nil {
				if resp.StopReason == llm.StopMaxTokens {
					continue
				}
				return nil, llm.ErrCutStream.Withf("the model called %q with arguments that are no JSON object", b.name).Wrap(err)
			}
			resp.Blocks = append(resp.Blocks, llm.Block{ToolUse: &llm.ToolUse{ID: b.id, Name: b.name, Input: json.RawMessage(input)}})
		}
	}
	return resp, nil
}

func stopReason(stop vendor.StopReason) llm.StopReason {
	switch stop {
	case vendor.StopReasonToolUse:
		return llm.StopToolUse
	case vendor.StopReasonMaxTokens, vendor.StopReasonModelContextWindowExceeded:
		return llm.StopMaxTokens
	case vendor.StopReasonRefusal:
		return llm.StopRefusal
	default:
		return llm.StopEnd
	}
}

// buckets puts tokens into disjoint buckets. The API's input tokens exclude what was read from or written to the cache; writes
// that it does not break down went to the cache of 5 minutes.
func buckets(u vendor.Usage) llm.Usage {
	hour := u.CacheCreation.Ephemeral1hInputTokens
	return llm.Usage{
		Input:        u.InputTokens,
		CacheRead:    u.CacheReadInputTokens,
		CacheWrite5m: max(u.CacheCreation.Ephemeral5mInputTokens, u.CacheCreationInputTokens-hour),
		CacheWrite1h: hour,
		Output:       u.OutputTokens,
		Reasoning:    min(u.OutputTokensDetails.ThinkingTokens, u.OutputTokens),
	}
}
