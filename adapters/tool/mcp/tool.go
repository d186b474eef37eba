package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/bureau-agents/bureau/ports/tool"
)

// remoteTool is one tool of a server in one session.
type remoteTool struct {
	l *link
	k known
}

var (
	_ tool.Tool = remoteTool{}

	unfit = regexp.MustCompile(`[^A-Za-z0-9_-]`)
)

// maxName is how long the names of tools may be that providers take.
const maxName = 64

// knownOf reads what a server says of a tool; false leaves the tool out.
func knownOf(t *sdk.Tool) (known, bool) {
	if t == nil || t.Name == "" || !utf8.ValidString(t.Name) {
		return known{}, false
	}
	schema, err := json.Marshal(t.InputSchema)
	if err != nil || len(schema) > maxSchema {
		return known{}, false
	}
	if string(schema) == "null" {
		schema = []byte(`{"type":"object"}`)
	}
	k := known{name: t.Name, description: t.Description, schema: schema, readOnly: t.Annotations != nil && t.Annotations.ReadOnlyHint}
	if len(k.description) > maxDescription {
		k.description = strings.ToValidUTF8(k.description[:maxDescription], "")
	}
	return k, true
}

// Spec implements tool.Tool. A tool that its server says only reads may be called again after a crash; the server harms nobody else
// when that is not so.
func (t remoteTool) Spec() tool.Spec {
	name := unfit.ReplaceAllString(t.k.name, "_")
	return tool.Spec{
		Name: name[:min(len(name), maxName)], Description: t.k.description, InputSchema: t.k.schema, Idempotent: t.k.readOnly,
	}
}

// Call implements tool.Tool.
func (t remoteTool) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	input := call.Input
	if len(input) == 0 {
		input = json.RawMessage("{}")
	}
	res, err := t.l.call(ctx, &sdk.CallToolParams{Name: t.k.name, Arguments: input})
	if refused, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return tool.Result{Text: fmt.Sprintf("the MCP server %q refused the call: %s", t.l.server.Name, refused.Message), IsError: true}, nil
	}
	switch {
	case err == nil:
		return resultOf(res), nil
	case ctx.Err() != nil:
		return tool.Result{}, ctx.Err()
	case errors.Is(err, errBroken):
		return tool.Result{}, errBroken
	}
	return tool.Result{Text: detail(t.l.server.Name, err).Message, IsError: true}, nil
}

// media are the types that models take.
var media = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"}

// resultOf writes a result the way that models read it. What is neither text nor an image is named.
func resultOf(res *sdk.CallToolResult) tool.Result {
	out := tool.Result{IsError: res.IsError}
	var text []string
	add := func(mediaType string, data []byte, what string) {
		if slices.Contains(media, mediaType) && len(data) <= tool.MaxMediaBytes {
			out.Media = append(out.Media, tool.Media{MediaType: mediaType, Data: data})
			return
		}
		text = append(text, fmt.Sprintf("[%s of type %s, %d bytes, left out]", what, mediaType, len(data)))
	}
	for _, c := range res.Content {
		switch c := c.(type) {
		case *sdk.TextContent:
			text = append(text, c.Text)
		case *sdk.ImageContent:
			add(c.MIMEType, c.Data, "image")
		case *sdk.AudioContent:
			add(c.MIMEType, c.Data, "audio")
		case *sdk.ResourceLink:
			text = append(text, strings.TrimSpace(fmt.Sprintf("[resource %s] %s %s", c.URI, c.Name, c.Description)))
		case *sdk.EmbeddedResource:
			switch r := c.Resource; {
			case r == nil:
			case r.Blob != nil:
				add(r.MIMEType, r.Blob, "resource "+r.URI)
			default:
				text = append(text, r.Text)
			}
		}
	}
	if len(text) == 0 && len(out.Media) == 0 && res.StructuredContent != nil {
		if raw, err := json.Marshal(res.StructuredContent); err == nil {
			text = append(text, string(raw))
		}
	}
	out.Text = strings.Join(text, "\n")
	return out
}
