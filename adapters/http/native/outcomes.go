package native

import (
	"context"
	"maps"
	"slices"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// rubricParam says how an outcome is judged.
type rubricParam struct {
	Type    string `json:"type" enum:"text,file"`
	Content string `json:"content,omitempty" maxLength:"262144" doc:"Of text."`
	FileID  string `json:"file_id,omitempty" doc:"Of file: one that holds text."`
}

// outcome reads what a user.define_outcome says; path says where it stands in the body.
func (p *eventParam) outcome(path string) (*session.OutcomeInput, error) {
	out := &session.OutcomeInput{}
	if p.Description == nil || *p.Description == "" {
		return nil, fault.Invalidf(path+".description", "is required")
	}
	out.Description = *p.Description
	if p.MaxIterations != nil {
		if *p.MaxIterations < 1 {
			return nil, fault.Invalidf(path+".max_iterations", "must be 1 to %d", session.MostMaxIterations)
		}
		out.MaxIterations = *p.MaxIterations
	}
	switch {
	case p.Rubric == nil:
		return nil, fault.Invalidf(path+".rubric", "is required")
	case p.Rubric.Type == "text":
		out.Rubric = p.Rubric.Content
	case p.Rubric.Type == "file":
		f, err := id.Parse[id.FileKind](p.Rubric.FileID)
		if err != nil {
			return nil, err
		}
		out.RubricFile = f
	default:
		return nil, fault.Invalidf(path+".rubric.type", "must be text or file")
	}
	return out, nil
}

// eventNeeds says what an event of a type must have.
func eventNeeds(t session.EventType, members map[string]any) map[string]any {
	return map[string]any{
		"if":   map[string]any{"properties": map[string]any{"type": map[string]any{"const": string(t)}}},
		"then": map[string]any{"required": slices.Sorted(maps.Keys(members)), "properties": members},
	}
}

// outcomeNeeds says what a user.define_outcome must have.
func outcomeNeeds() map[string]any {
	return eventNeeds(session.UserDefineOutcome, map[string]any{
		"description": given(),
		"rubric": map[string]any{
			"type": "object", "required": []string{"type"},
			"allOf": []any{
				map[string]any{
					"if":   map[string]any{"properties": map[string]any{"type": map[string]any{"const": "text"}}},
					"then": map[string]any{"required": []string{"content"}, "properties": map[string]any{"content": given()}},
				},
				map[string]any{
					"if":   map[string]any{"properties": map[string]any{"type": map[string]any{"const": "file"}}},
					"then": map[string]any{"required": []string{"file_id"}},
				},
			},
		},
	})
}

// outcomeWire is an outcome as a session shows it.
type outcomeWire struct {
	Type        string  `json:"type" enum:"outcome_evaluation"`
	OutcomeID   string  `json:"outcome_id"`
	Description string  `json:"description"`
	Iteration   int     `json:"iteration" doc:"From 0: the evaluation that it is at."`
	Result      string  `json:"result" enum:"pending,running,evaluating,satisfied,max_iterations_reached,failed,interrupted"`
	Explanation *string `json:"explanation" doc:"Of the newest evaluation."`
	CompletedAt *stamp  `json:"completed_at" doc:"null while something may still happen to it."`
}

func showOutcomes(list []session.Outcome) []outcomeWire {
	out := make([]outcomeWire, len(list))
	for i, o := range list {
		out[i] = outcomeWire{
			Type: "outcome_evaluation", OutcomeID: o.ID.String(), Description: o.Description, Iteration: o.Iteration, Result: string(o.Result),
			Explanation: textOrNull(o.Explanation),
		}
		if !o.CompletedAt.IsZero() {
			out[i].CompletedAt = stampPtr(&o.CompletedAt)
		}
	}
	return out
}

// outcomesOf reads the outcomes of sessions.
func (f *face) outcomesOf(ctx context.Context, sessions ...id.Session) (map[id.Session][]session.Outcome, error) {
	return f.deps.Sessions.Outcomes(ctx, httpx.Scope(ctx), sessions)
}
