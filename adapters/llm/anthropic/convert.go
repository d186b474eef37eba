package anthropic

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	vendor "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/packages/param"

	"github.com/bureau-agents/bureau/ports/llm"
)

// request translates a call.
func (p *Provider) request(req llm.Request) (vendor.MessageNewParams, error) {
	out := vendor.MessageNewParams{Model: req.Model, MaxTokens: int64(req.MaxOutputTokens)}
	if out.Model == "" {
		out.Model = p.config.Model
	}
	if out.MaxTokens == 0 {
		out.MaxTokens = int64(p.config.MaxTokens)
	}
	if budget := int64(p.config.ThinkingTokens); budget > 0 && out.MaxTokens > minThinking {
		// The budget counts into the limit, and must be below it.
		out.Thinking = vendor.ThinkingConfigParamOfEnabled(min(budget, out.MaxTokens-1))
	}
	if p.config.Cache {
		out.CacheControl = vendor.NewCacheControlEphemeralParam()
	}
	if strings.TrimSpace(req.System) != "" {
		out.System = []vendor.TextBlockParam{{Text: req.System}}
	}
	for _, msg := range req.Messages {
		converted, err := convert(msg)
		if err != nil {
			return out, err
		}
		if len(converted.Content) > 0 {
			out.Messages = append(out.Messages, converted)
		}
	}
	if len(out.Messages) == 0 {
		return out, llm.ErrRefusedRequest.Withf("the request has no messages")
	}
	for _, spec := range req.Tools {
		schema := spec.InputSchema
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object"}`)
		}
		t := vendor.ToolParam{Name: spec.Name, InputSchema: param.Override[vendor.ToolInputSchemaParam](schema)}
		if spec.Description != "" {
			t.Description = vendor.String(spec.Description)
		}
		out.Tools = append(out.Tools, vendor.ToolUnionParam{OfTool: &t})
	}
	return out, nil
}

// convert translates a message. The API wants tool results first, and no empty texts.
func convert(msg llm.Message) (vendor.MessageParam, error) {
	out := vendor.MessageParam{Role: vendor.MessageParamRoleUser}
	if msg.Role == llm.RoleAssistant {
		out.Role = vendor.MessageParamRoleAssistant
	}
	var results, others []vendor.ContentBlockParamUnion
	for _, b := range msg.Blocks {
		switch {
		case b.ToolResult != nil:
			results = append(results, toolResult(*b.ToolResult))
		case b.ToolUse != nil:
			input := b.ToolUse.Input
			if len(input) == 0 {
				input = json.RawMessage(`{}`)
			}
			others = append(others, vendor.NewToolUseBlock(callID(b.ToolUse.ID), input, b.ToolUse.Name))
		case b.Thinking != nil && b.Thinking.Redacted != "":
			others = append(others, vendor.NewRedactedThinkingBlock(b.Thinking.Redacted))
		case b.Thinking != nil && b.Thinking.Signature != "":
			others = append(others, vendor.NewThinkingBlock(b.Thinking.Signature, b.Thinking.Text))
		case b.Media != nil:
			block, err := media(*b.Media)
			if err != nil {
				return out, err
			}
			others = append(others, block)
		case strings.TrimSpace(b.Text) != "":
			others = append(others, vendor.NewTextBlock(b.Text))
		}
	}
	out.Content = append(results, others...)
	return out, nil
}

func toolResult(r llm.ToolResult) vendor.ContentBlockParamUnion {
	block := vendor.ToolResultBlockParam{ToolUseID: callID(r.ID)}
	if r.IsError {
		block.IsError = vendor.Bool(true)
	}
	if strings.TrimSpace(r.Text) != "" {
		block.Content = []vendor.ToolResultBlockParamContentUnion{{OfText: &vendor.TextBlockParam{Text: r.Text}}}
	}
	return vendor.ContentBlockParamUnion{OfToolResult: &block}
}

// callID spells an id as the API takes it: ids of other providers' calls may have other characters.
func callID(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, id)
}

func media(m llm.Media) (vendor.ContentBlockParamUnion, error) {
	encoded := base64.StdEncoding.EncodeToString(m.Data)
	inline := len(m.Data) > 0
	var doc vendor.ContentBlockParamUnion
	switch {
	case strings.HasPrefix(m.MediaType, "image/") && inline:
		return vendor.NewImageBlockBase64(m.MediaType, encoded), nil
	case strings.HasPrefix(m.MediaType, "image/") && m.URL != "":
		return vendor.NewImageBlock(vendor.URLImageSourceParam{URL: m.URL}), nil
	case m.MediaType == "application/pdf" && inline:
		doc = vendor.NewDocumentBlock(vendor.Base64PDFSourceParam{Data: encoded})
	case m.MediaType == "application/pdf" && m.URL != "":
		doc = vendor.NewDocumentBlock(vendor.URLPDFSourceParam{URL: m.URL})
	case strings.HasPrefix(m.MediaType, "text/") && inline:
		doc = vendor.NewDocumentBlock(vendor.PlainTextSourceParam{Data: strings.ToValidUTF8(string(m.Data), "\uFFFD")})
	default:
		return doc, llm.ErrRefusedRequest.Withf("the model's API takes images, PDF and text, and not %q", m.MediaType)
	}
	if m.Title != "" {
		doc.OfDocument.Title = vendor.String(m.Title)
	}
	return doc, nil
}
