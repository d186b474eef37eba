package knowledge

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

// ToolName is the name of the tool that SearchTool returns.
const ToolName = "search_knowledge"

// toolHits is how many entries the tool gives when the model does not say.
const toolHits = 5

// searchTool lets one agent ask its knowledge.
type searchTool struct {
	s     *Service
	sc    account.Scope
	agent id.Agent
}

var _ tool.Tool = searchTool{}

// SearchTool returns the tool by which an agent searches its own knowledge and that of its swarm. It answers with a JSON object
// {"results": [{"id", "text", "source", "similarity"}]}, best first, and says so in "message" when there is no knowledge at all.
func (s *Service) SearchTool(sc account.Scope, agent id.Agent) tool.Tool {
	return searchTool{s, sc, agent}
}

// Spec implements tool.Tool.
func (searchTool) Spec() tool.Spec {
	return tool.Spec{
		Name: ToolName,
		Description: "Search the knowledge base for texts that answer a question. Use it for every question about facts that the user's " +
			"organisation may have written down. Cite the source of every text that you use in your answer, and its id when asked where it is from.",
		InputSchema: json.RawMessage(fmt.Sprintf(`{"type":"object","properties":{`+
			`"query":{"type":"string","description":"The question, or words to look for.","minLength":1,"maxLength":%d},`+
			`"limit":{"type":"integer","description":"How many texts to return.","minimum":1,"maximum":20,"default":%d}},`+
			`"required":["query"]}`, MaxText, toolHits)),
		Idempotent: true,
	}
}

type toolResult struct {
	ID         string   `json:"id"`
	Text       string   `json:"text"`
	Source     string   `json:"source"`
	Similarity *float64 `json:"similarity,omitempty"`
}

// Call implements tool.Tool.
func (t searchTool) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	var in struct {
		Query string `json:"query"`
		Limit int    `json:"limit"`
	}
	if err := json.Unmarshal(call.Input, &in); err != nil {
		return tool.Result{Text: "The input must be an object with the text \"query\" and, if wanted, the number \"limit\".", IsError: true}, nil //nolint:nilerr // the model is told
	}
	if in.Limit == 0 {
		in.Limit = toolHits
	}
	found, err := t.s.Search(ctx, t.sc, SearchRequest{In: Space{Agent: t.agent}, Query: in.Query, Limit: in.Limit, Mode: Hybrid})
	if err != nil {
		if f, ok := fault.As(err); ok && (f.Kind == fault.Invalid || f.Kind == fault.Conflict) {
			return tool.Result{Text: f.Message, IsError: true}, nil
		}
		return tool.Result{}, err
	}
	out := struct {
		Results []toolResult `json:"results"`
		Message string       `json:"message,omitempty"`
	}{Results: []toolResult{}}
	for _, h := range found.Hits {
		out.Results = append(out.Results, toolResult{h.ID.String(), h.Text, h.Source, h.Similarity})
	}
	switch {
	case found.Reembedding && found.Mode == Lexical:
		out.Message = "The knowledge base is being indexed anew: these are the texts that share words with the query."
	case len(found.Hits) == 0:
		out.Message = "The knowledge base is empty."
	}
	b, err := json.Marshal(out)
	if err != nil {
		return tool.Result{}, fmt.Errorf("knowledge: %w", err)
	}
	return tool.Result{Text: string(b)}, nil
}
