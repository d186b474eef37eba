package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/tool"
)

var fetchSpec = tool.Spec{
	Name:        "web_fetch",
	Description: "Fetch a page or a text from the web by its address. HTML comes back as Markdown.",
	InputSchema: json.RawMessage(`{
		"type": "object",
		"properties": {"url": {"type": "string", "description": "Address of the page, beginning with https:// or http://"}},
		"required": ["url"]
	}`),
	Idempotent: true,
	Needs:      tool.Needs{Domains: []string{"*"}},
}

var searchSpec = tool.Spec{
	Name:        "web_search",
	Description: "Search the web.",
	InputSchema: json.RawMessage(`{
		"type": "object",
		"properties": {"query": {"type": "string", "description": "What to search for"}},
		"required": ["query"]
	}`),
	Idempotent: true,
}

// bytesPerToken is how many bytes a token stands for where a limit is given in tokens: what text in English has about.
const bytesPerToken = 4

// fetch reads a page. It does not go through the sandbox: an environment's networking limits what programs reach, while the domains
// of this tool are the agent's own, as in the Managed Agents API.
func (s *Service) fetch(ctx context.Context, c agent.ToolConfig, raw json.RawMessage) (tool.Result, error) {
	var in struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(raw, &in); err != nil || strings.TrimSpace(in.URL) == "" {
		return refusef("the input must be an object with the text \"url\""), nil //nolint:nilerr // the model is told
	}
	if s.d.Web == nil {
		return refusef("this server does not fetch pages"), nil
	}
	page, err := s.d.Web.Fetch(ctx, FetchRequest{URL: strings.TrimSpace(in.URL), Allowed: c.AllowedDomains, Blocked: c.BlockedDomains})
	if err != nil {
		if f, ok := fault.As(err); ok && f.Kind != fault.Internal {
			return refusef("%s", f.Message), nil
		}
		return tool.Result{}, err
	}
	most := s.cfg.MaxOutput
	if c.MaxContentTokens > 0 {
		most = min(most, c.MaxContentTokens*bytesPerToken)
	}
	var out strings.Builder
	out.WriteString("URL: " + clean(page.URL) + "\n")
	if page.Title != "" {
		out.WriteString("Title: " + clean(page.Title) + "\n")
	}
	text := clean(page.Text)
	cut := page.Truncated
	if len(text) > most {
		text, cut = strings.ToValidUTF8(text[:most], ""), true
	}
	out.WriteString("\n" + text)
	if cut {
		fmt.Fprintf(&out, "\n[the page was cut after %d bytes]", len(text))
	}
	return tool.Result{Text: out.String()}, nil
}
