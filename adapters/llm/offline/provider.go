package offline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Name is the provider's name and that of its only model.
const Name = "offline"

// maxMessage is how long a user message may be, in bytes. A longer one is not read at all: the end may take back the beginning.
const maxMessage = 16 << 10

// Provider is the offline model.
type Provider struct{ model *model }

var _ llm.Provider = (*Provider)(nil)

// model holds the rules and what they learned about tools.
type model struct {
	v     *vocabulary
	views views
}

// New returns the offline model. It needs nothing and keeps no state but a cache of tool schemas.
func New() *Provider { return &Provider{model: &model{v: newVocabulary()}} }

// Name returns "offline".
func (*Provider) Name() string { return Name }

// Generate answers by rules. The same request always gets the same answer. It fails only with ctx, and refuses a request without
// messages.
func (p *Provider) Generate(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(llm.Event{}, fmt.Errorf("offline: %w", err))
			return
		}
		if len(req.Messages) == 0 {
			yield(llm.Event{}, llm.ErrRefusedRequest.Withf("the request has no messages"))
			return
		}
		text, call, beside := aside(req)
		if !beside {
			text, call = p.model.answer(req)
		}
		resp := &llm.Response{StopReason: llm.StopEnd, Model: Name, Usage: llm.Usage{Input: inputTokens(req), Output: tokens(text)}}
		if req.MaxOutputTokens > 0 && tokens(text) > int64(req.MaxOutputTokens) {
			text = cut(text, req.MaxOutputTokens)
			call = nil
			resp.StopReason, resp.Usage.Output = llm.StopMaxTokens, tokens(text)
		}
		if text != "" {
			resp.Blocks = append(resp.Blocks, llm.Block{Text: text})
		}
		for _, chunk := range strings.SplitAfter(text, " ") {
			if chunk == "" {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield(llm.Event{}, fmt.Errorf("offline: %w", err))
				return
			}
			if !yield(llm.Event{Text: chunk}, nil) {
				return
			}
		}
		if call != nil {
			resp.Blocks = append(resp.Blocks, llm.Block{ToolUse: call})
			resp.StopReason = llm.StopToolUse
			resp.Usage.Output += tokens(call.Name) + tokens(string(call.Input))
			for _, delta := range []string{"", string(call.Input)} {
				if !yield(llm.Event{ToolInput: &llm.ToolInput{ID: call.ID, Name: call.Name, Delta: delta}}, nil) {
					return
				}
			}
		}
		yield(llm.Event{Response: resp}, nil)
	}
}

// answer decides what to say and which tool to call next.
func (m *model) answer(req llm.Request) (string, *llm.ToolUse) {
	message, at, media := request(req.Messages)
	steps := m.plan(message, m.views.of(m.v, req.Tools))

	// What has been done since the message tells where in the plan the turn is: the n-th call was for the n-th step with one.
	var done []llm.ToolUse
	results := map[string]*llm.ToolResult{}
	fresh := 0 // how many of the last calls were made by the last answer, and are to be reported now
	for _, msg := range req.Messages[at+1:] {
		if msg.Role == llm.RoleAssistant {
			fresh = 0
		}
		for _, b := range msg.Blocks {
			if b.ToolUse != nil {
				done = append(done, *b.ToolUse)
				fresh++
			}
			if b.ToolResult != nil {
				results[b.ToolResult.ID] = b.ToolResult
			}
		}
	}
	var said []string
	if media && len(done) == 0 {
		said = append(said, "I cannot look into files or images.")
	}
	made := 0
	for _, s := range steps {
		if s.tool == nil {
			if made >= len(done) {
				said = append(said, s.say)
			}
			continue
		}
		if made < len(done) {
			if made >= len(done)-fresh {
				said = append(said, m.report(s, done[made], results[done[made].ID]))
			}
			made++
			continue
		}
		return strings.Join(said, "\n"), &llm.ToolUse{ID: callID(req.Messages), Name: s.tool.spec.Name, Input: s.args}
	}
	// Calls that the plan does not explain, since the tools changed meanwhile, are reported too and lead to nothing more.
	for ; made < len(done); made++ {
		if made >= len(done)-fresh {
			said = append(said, m.report(step{}, done[made], results[done[made].ID]))
		}
	}
	if len(said) == 0 {
		said = append(said, "Everything that you asked for is done.")
	}
	return strings.Join(said, "\n"), nil
}

// notice begins what the operator, and not the user, adds to a conversation.
const notice = "[system] "

// request returns the last text that the user wrote, and the place of its message. Results of tools and the operator's notices are
// no words of the user's. Of several texts in one message the last counts: the ones before it may be messages whose turns were
// called off.
func request(messages []llm.Message) (text string, at int, media bool) {
	for at = len(messages) - 1; at >= 0; at-- {
		if messages[at].Role != llm.RoleUser {
			continue
		}
		media = false
		for _, b := range messages[at].Blocks {
			if b.Text != "" && !strings.HasPrefix(b.Text, notice) {
				text = b.Text
			}
			media = media || b.Media != nil
		}
		if text == "" && !media {
			continue
		}
		// A result's images stand beside it and are not the user's.
		if text == "" && slices.ContainsFunc(messages[at].Blocks, func(b llm.Block) bool { return b.ToolResult != nil }) {
			continue
		}
		return strings.ToValidUTF8(text, " "), at, media
	}
	return "", len(messages) - 1, false
}

// callID names a call after the whole conversation before it, so that it is unique in it and the same at each try.
func callID(messages []llm.Message) string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, m := range messages {
		// A message that cannot be encoded is left out; the ones around it still tell one call from the next.
		_ = enc.Encode(m) //nolint:errchkjson // see above
	}
	return "call_" + hex.EncodeToString(h.Sum(nil)[:12])
}

// tokens approximates how many tokens a text is: one per four characters, rounded up.
func tokens(text string) int64 { return int64(utf8.RuneCountInString(text)+3) / 4 }

// cut returns the words of text that fit into so many tokens.
func cut(text string, limit int) string {
	runes := []rune(text)
	if len(runes) > 4*limit {
		runes = runes[:4*limit]
	}
	return string(runes)
}

func inputTokens(req llm.Request) int64 {
	total := tokens(req.System)
	for _, spec := range req.Tools {
		total += toolTokens(spec)
	}
	for _, msg := range req.Messages {
		for _, b := range msg.Blocks {
			total += tokens(b.Text)
			if b.Thinking != nil {
				total += tokens(b.Thinking.Text)
			}
			if b.ToolUse != nil {
				total += tokens(b.ToolUse.Name) + tokens(string(b.ToolUse.Input))
			}
			if b.ToolResult != nil {
				total += tokens(b.ToolResult.Text)
			}
			if b.Media != nil {
				total += int64(len(b.Media.Data)+len(b.Media.URL)+3) / 4
			}
		}
	}
	return total
}

func toolTokens(spec tool.Spec) int64 {
	return tokens(spec.Name) + tokens(spec.Description) + tokens(string(spec.InputSchema))
}
