package native

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
)

// reembeddingWire is how far the re-embedding of one space is.
type reembeddingWire struct {
	Type       string     `json:"type" enum:"knowledge_reembedding"`
	AgentID    *string    `json:"agent_id" doc:"Set when the entries are an agent's own."`
	SwarmID    *string    `json:"swarm_id" doc:"Set when a swarm shares them."`
	State      string     `json:"state" enum:"waiting,running,finished"`
	From       string     `json:"from" doc:"The embedder that the entries were compared by before."`
	To         string     `json:"to" doc:"The embedder that they get vectors of."`
	Total      int        `json:"total" doc:"Entries."`
	Done       int        `json:"done" doc:"Entries that have their new vector."`
	Twins      int        `json:"twins" doc:"Pairs of entries that the new embedder calls twins. Both stay."`
	TwinPairs  []pairWire `json:"twin_pairs" nullable:"false" doc:"The first 100 of them whose entries are there."`
	Error      *string    `json:"error" doc:"Why the last try was given up. It is tried again."`
	StartedAt  *stamp     `json:"started_at"`
	FinishedAt *stamp     `json:"finished_at"`
}

type pairWire struct {
	EntryID    string  `json:"entry_id"`
	TwinID     string  `json:"twin_id"`
	Similarity float64 `json:"similarity"`
}

func showReembedding(p knowledge.Progress) reembeddingWire {
	w := reembeddingWire{
		Type: "knowledge_reembedding", AgentID: textOrNull(p.Space.Agent.String()), SwarmID: textOrNull(p.Space.Swarm.String()),
		State: string(p.State), From: p.From, To: p.To, Total: p.Total, Done: p.Done, Twins: p.Twins, TwinPairs: []pairWire{},
		Error: textOrNull(p.Error),
	}
	if !p.StartedAt.IsZero() {
		w.StartedAt = stampPtr(&p.StartedAt)
	}
	if !p.FinishedAt.IsZero() {
		w.FinishedAt = stampPtr(&p.FinishedAt)
	}
	for _, pair := range p.Pairs {
		w.TwinPairs = append(w.TwinPairs, pairWire{pair.Entry.String(), pair.Twin.String(), pair.Similarity})
	}
	return w
}

type reembeddingInput struct {
	httpx.PageQuery
	AgentID string `query:"agent_id" doc:"This agent's only. An agent in a swarm stands for the swarm."`
	SwarmID string `query:"swarm_id" doc:"This swarm's only."`
}

type reembedInput struct{ Body reembedBody }

type reembedBody struct {
	AgentID string `json:"agent_id,omitempty" doc:"Either this or swarm_id. An agent in a swarm stands for the swarm."`
	SwarmID string `json:"swarm_id,omitempty"`
}

// TransformSchema implements huma.SchemaTransformer.
func (reembedBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema { return oneSpace(s) }

func (f *face) registerReembedding() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listReembedding", Method: http.MethodGet, Path: "/v1/knowledge/reembedding", Tag: "knowledge",
		Summary: "How far re-embedding is",
		Description: "Lists the agents and swarms whose entries come from another embedder than the server's, and those whose entries were " +
			"embedded anew. It happens by itself when the server has another embedder; until it has ended they are searched by words.",
		Permission: account.KnowledgeRead, Statuses: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *reembeddingInput) (*output[httpx.List[reembeddingWire]], error) {
		space, err := readSpace(in.AgentID, in.SwarmID)
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Knowledge.Reembedding(ctx, httpx.Scope(ctx), knowledge.ProgressRequest{Request: in.Request(), In: space})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showReembedding)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "reembedKnowledge", Method: http.MethodPost, Path: "/v1/knowledge/reembedding", Tag: "knowledge", Status: http.StatusAccepted,
		Example:     `{"agent_id":"agent_01h..."}`,
		Summary:     "Have entries embedded anew, without waiting for the server to begin by itself",
		Description: "Answers how far it is: finished, when all entries come from the server's embedder.",
		Permission:  account.KnowledgeWrite,
	}, func(ctx context.Context, in *reembedInput) (*output[reembeddingWire], error) {
		space, err := readSpace(in.Body.AgentID, in.Body.SwarmID)
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Knowledge.StartReembedding(ctx, httpx.Scope(ctx), space)
		if err != nil {
			return nil, err
		}
		return ok(showReembedding(p)), nil
	})
}
