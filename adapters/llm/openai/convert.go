package openai

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"

	vendor "github.com/sashabaranov/go-openai"

	"github.com/bureau-agents/bureau/ports/llm"
)

// reasoning matches the models that know max_completion_tokens only, whoever serves them.
var reasoning = regexp.MustCompile(`^(?:o\d|gpt-[5-9])`)

// request translates a call.
func (p *Provider) request(req llm.Request) (vendor.ChatCompletionRequest, error) {
	out := vendor.ChatCompletionRequest{
		Model:         req.Model,
		StreamOptions: &vendor.StreamOptions{IncludeUsage: true},
	}
	if len(req.Messages) == 0 {
		return out, llm.ErrRefusedRequest.Withf("the request has no messages")
	}
	// Most compatible servers know only the older name of the limit, and OpenAI's newer models only the newer one.
	if p.official || reasoning.MatchString(req.Model) {
		out.MaxCompletionTokens = req.MaxOutputTokens
	} else {
		out.MaxTokens = req.MaxOutputTokens //nolint:staticcheck // see above
	}
	if req.System != "" {
		out.Messages = append(out.Messages, vendor.ChatCompletionMessage{Role: vendor.ChatMessageRoleSystem, Content: req.System})
	}
	for _, msg := range req.Messages {
		messages, err := convert(msg)
		if err != nil {
			return out, err
		}
		out.Messages = append(out.Messages, messages...)
	}
	for _, spec := range req.Tools {
		schema := spec.InputSchema
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		out.Tools = append(out.Tools, vendor.Tool{
			Type:     vendor.ToolTypeFunction,
			Function: &vendor.FunctionDefinition{Name: spec.Name, Description: spec.Description, Parameters: schema},
		})
	}
	return out, nil
}

// convert translates a message. Tool results become messages of their own, before what the user says with them.
func convert(msg llm.Message) ([]vendor.ChatCompletionMessage, error) {
	if msg.Role == llm.RoleAssistant {
		out := vendor.ChatCompletionMessage{Role: vendor.ChatMessageRoleAssistant}
		var texts []string
		for _, b := range msg.Blocks {
			switch {
			case b.Text != "":
				texts = append(texts, b.Text)
			case b.ToolUse != nil:
				out.ToolCalls = append(out.ToolCalls, vendor.ToolCall{
					ID: b.ToolUse.ID, Type: vendor.ToolTypeFunction,
					Function: vendor.FunctionCall{Name: b.ToolUse.Name, Arguments: arguments(b.ToolUse.Input)},
				})
			}
		}
		out.Content = strings.Join(texts, "\n\n")
		// Reasoning alone cannot be sent back.
		if out.Content == "" && len(out.ToolCalls) == 0 {
			return nil, nil
		}
		return []vendor.ChatCompletionMessage{out}, nil
	}

	var results []vendor.ChatCompletionMessage
	var parts []vendor.ChatMessagePart
	for _, b := range msg.Blocks {
		switch {
		case b.ToolResult != nil:
			results = append(results, vendor.ChatCompletionMessage{
				Role: vendor.ChatMessageRoleTool, ToolCallID: b.ToolResult.ID, Content: resultText(*b.ToolResult),
			})
		case b.Media != nil:
			part, err := media(*b.Media)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		case b.Text != "":
			parts = append(parts, vendor.ChatMessagePart{Type: vendor.ChatMessagePartTypeText, Text: b.Text})
		}
	}
	switch {
	case len(parts) == 1 && parts[0].Type == vendor.ChatMessagePartTypeText:
		// Small servers understand plain content only.
		results = append(results, vendor.ChatCompletionMessage{Role: vendor.ChatMessageRoleUser, Content: parts[0].Text})
	case len(parts) > 0:
		results = append(results, vendor.ChatCompletionMessage{Role: vendor.ChatMessageRoleUser, MultiContent: parts})
	}
	return results, nil
}

// arguments returns the JSON object of a call's input.
func arguments(input json.RawMessage) string {
	if len(input) == 0 {
		return "{}"
	}
	return string(input)
}

// resultText renders a tool's result. The API has no flag for failures, and refuses empty contents.
func resultText(r llm.ToolResult) string {
	switch {
	case r.IsError:
		return "Error: " + r.Text
	case r.Text == "":
		return "(no output)"
	}
	return r.Text
}

func media(m llm.Media) (vendor.ChatMessagePart, error) {
	switch {
	case strings.HasPrefix(m.MediaType, "image/") && len(m.Data) > 0:
		url := "data:" + m.MediaType + ";base64," + base64.StdEncoding.EncodeToString(m.Data)
		return vendor.ChatMessagePart{Type: vendor.ChatMessagePartTypeImageURL, ImageURL: &vendor.ChatMessageImageURL{URL: url}}, nil
	case strings.HasPrefix(m.MediaType, "image/") && m.URL != "":
		return vendor.ChatMessagePart{Type: vendor.ChatMessagePartTypeImageURL, ImageURL: &vendor.ChatMessageImageURL{URL: m.URL}}, nil
	case strings.HasPrefix(m.MediaType, "text/") && len(m.Data) > 0:
		text := strings.ToValidUTF8(string(m.Data), "\uFFFD")
		if m.Title != "" {
			text = m.Title + ":\n" + text
		}
		return vendor.ChatMessagePart{Type: vendor.ChatMessagePartTypeText, Text: text}, nil
	}
	return vendor.ChatMessagePart{}, llm.ErrRefusedRequest.Withf("the model's API takes images and text, and not %q", m.MediaType)
}
