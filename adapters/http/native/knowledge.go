package native

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/id"
)

// KnowledgeWire is an entry on the wire. Its type is exported because others embed it.
type KnowledgeWire struct {
	ID        string          `json:"id" doc:"know_..."`
	Type      string          `json:"type" enum:"knowledge_entry"`
	AgentID   *string         `json:"agent_id" doc:"Set when the entry is an agent's own."`
	SwarmID   *string         `json:"swarm_id" doc:"Set when a swarm shares it."`
	Text      string          `json:"text"`
	Source    string          `json:"source"`
	EntryType *string         `json:"entry_type" doc:"What the metadata say under \"type\", if that is a text."`
	Metadata  json.RawMessage `json:"metadata" doc:"As given; an empty object when there is none."`
	By        *string         `json:"ingested_by" doc:"The agent that it was ingested through; null when it was given to a swarm itself."`
	Embedder  string          `json:"embedder" doc:"The model whose vectors it is compared by."`
	CreatedAt stamp           `json:"created_at"`
	UpdatedAt stamp           `json:"updated_at" doc:"The same: entries do not change."`
}

func showEntry(e knowledge.Entry) KnowledgeWire {
	w := KnowledgeWire{
		ID: e.ID.String(), Type: "knowledge_entry", AgentID: textOrNull(e.Space.Agent.String()), SwarmID: textOrNull(e.Space.Swarm.String()),
		Text: e.Text, Source: e.Source, EntryType: textOrNull(e.Type), Metadata: e.Metadata, By: textOrNull(e.By.String()), Embedder: e.Embedder, CreatedAt: stampOf(e.CreatedAt), UpdatedAt: stampOf(e.CreatedAt),
	}
	if w.Metadata == nil {
		w.Metadata = json.RawMessage("{}")
	}
	return w
}

// hitWire is an entry with its score.
type hitWire struct {
	KnowledgeWire
	Score      float64  `json:"score" doc:"What the hits are sorted by: in mode semantic the cosine similarity with the query, from -1 to 1; in mode lexical BM25, above 0; in mode hybrid the sum of 1/(60 + rank) over both rankings."`
	Similarity *float64 `json:"similarity" doc:"Cosine similarity with the query; null where it was not computed."`
}

type hitsWire struct {
	Data        []hitWire `json:"data" nullable:"false" doc:"Best first."`
	Mode        string    `json:"mode" enum:"semantic,lexical,hybrid" doc:"How they were found: lexical, whatever was asked for, while the entries are being embedded anew."`
	Reembedding bool      `json:"reembedding" doc:"Whether some of what was searched is being embedded anew."`
}

// IngestWire says what became of the texts. Its type is exported because others embed it.
type IngestWire struct {
	Stored        int           `json:"stored"`
	Skipped       int           `json:"skipped"`
	Total         int           `json:"total" doc:"Chunks in the request."`
	SkippedChunks []skippedWire `json:"skipped_chunks" nullable:"false"`
	KeptVariants  []skippedWire `json:"kept_variants" nullable:"false" doc:"Chunks that were stored because only their numbers tell them from an entry."`
}

type skippedWire struct {
	Index       int     `json:"index" doc:"In the request, from 0."`
	DuplicateOf string  `json:"duplicate_of" doc:"The entry that it is, or would be, a twin of."`
	Similarity  float64 `json:"similarity" doc:"Cosine similarity; 1 for the same text in other case or white space."`
}

func showIngest(res knowledge.IngestResult) IngestWire {
	return IngestWire{
		Stored: res.Stored, Skipped: len(res.Skipped), Total: res.Total, SkippedChunks: showSkipped(res.Skipped), KeptVariants: showSkipped(res.Kept),
	}
}

type deletedKnowledgeWire struct {
	Deleted int `json:"deleted" doc:"How many entries were deleted."`
}

func showSkipped(chunks []knowledge.Skipped) []skippedWire {
	out := []skippedWire{}
	for _, s := range chunks {
		out = append(out, skippedWire{s.Index, s.DuplicateOf.String(), s.Similarity})
	}
	return out
}

// readSpace reads the agent or the swarm that a call is about; the service refuses neither and both.
func readSpace(agentID, swarmID string) (knowledge.Space, error) {
	var s knowledge.Space
	var err error
	if agentID != "" {
		if s.Agent, err = id.Parse[id.AgentKind](agentID); err != nil {
			return knowledge.Space{}, err
		}
	}
	if swarmID != "" {
		if s.Swarm, err = id.Parse[id.SwarmKind](swarmID); err != nil {
			return knowledge.Space{}, err
		}
	}
	return s, nil
}

type ingestInput struct{ Body ingestBody }

type ingestBody struct {
	AgentID string       `json:"agent_id,omitempty" doc:"Either this or swarm_id. An agent in a swarm stands for the swarm."`
	SwarmID string       `json:"swarm_id,omitempty"`
	Chunks  []chunkParam `json:"chunks" minItems:"1" maxItems:"100" nullable:"false"`
	Keep    *bool        `json:"keep_numeric_variants,omitempty" doc:"Whether to store texts that are as alike as twins but have other numbers, or the same in another order. The server's setting without it."`
}

// TransformSchema implements huma.SchemaTransformer.
func (ingestBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema { return oneSpace(s) }

type chunkParam struct {
	Text     string          `json:"text" minLength:"1" maxLength:"4000" pattern:"\\S" patternDescription:"more than blanks"`
	Source   string          `json:"source" minLength:"1" maxLength:"512" pattern:"\\S" patternDescription:"more than blanks" doc:"Where the text is from, such as a file name."`
	Metadata json.RawMessage `json:"metadata,omitempty" doc:"An object of your own, up to 16 KiB."`
}

type listKnowledgeInput struct {
	httpx.PageQuery
	AgentID string `query:"agent_id" doc:"Either this or swarm_id. An agent in a swarm stands for the swarm."`
	SwarmID string `query:"swarm_id" doc:"The swarm that it belongs to."`
	Source  string `query:"source" doc:"Entries of this source only."`
}

type deleteKnowledgeInput struct {
	AgentID string `query:"agent_id" doc:"Either this or swarm_id. An agent in a swarm stands for the swarm."`
	SwarmID string `query:"swarm_id" doc:"The swarm that it belongs to."`
	ID      string `query:"id" doc:"One entry. Exactly one of id, source and all is required."`
	Source  string `query:"source" doc:"All entries of a source."`
	All     bool   `query:"all" doc:"All entries; requires confirm."`
	Confirm bool   `query:"confirm" doc:"That all is meant."`
}

type searchKnowledgeInput struct{ Body searchKnowledgeBody }

type searchKnowledgeBody struct {
	AgentID string `json:"agent_id,omitempty" doc:"Either this or swarm_id. An agent in a swarm stands for the swarm and itself."`
	SwarmID string `json:"swarm_id,omitempty"`
	Query   string `json:"query" minLength:"1" maxLength:"4000" pattern:"\\S" patternDescription:"more than blanks"`
	Limit   int    `json:"limit,omitempty" minimum:"1" maximum:"100" default:"10"`
	Mode    string `json:"mode,omitempty" enum:"semantic,lexical,hybrid" default:"semantic" doc:"By meaning, by words, or by both, fused by reciprocal rank."`

	Source    string            `json:"source,omitempty" maxLength:"512" doc:"Entries of this source only."`
	EntryType string            `json:"entry_type,omitempty" maxLength:"128" doc:"Entries of this type only."`
	Metadata  map[string]string `json:"metadata,omitempty" maxProperties:"16" doc:"Entries whose metadata have each of these keys with this text, number or truth value."`
	MinScore  float64           `json:"min_score,omitempty" minimum:"-1" maximum:"1" doc:"In mode semantic, entries with a lower score are left out."`
}

// TransformSchema implements huma.SchemaTransformer.
func (searchKnowledgeBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	return oneSpace(s)
}

func (f *face) registerKnowledge() {
	httpx.Register(f.Face, httpx.Op{
		ID: "ingestKnowledge", Method: http.MethodPost, Path: "/v1/knowledge/ingest", Tag: "knowledge", Status: http.StatusCreated,
		Example: `{"agent_id":"agent_01h...","chunks":[{"text":"Refunds are granted within 30 days.","source":"handbook.md"}]}`,
		Summary: "Store texts that agents answer from",
		Description: "Texts that are twins of stored ones, or of earlier ones in the same request, are skipped, and the answer names the twin. " +
			"Twins have a cosine similarity of 0.95 or more; with keep_numeric_variants their numbers agree, too. One bad chunk refuses the request, and nothing is stored.",
		Permission: account.KnowledgeWrite,
	}, func(ctx context.Context, in *ingestInput) (*output[IngestWire], error) {
		space, err := readSpace(in.Body.AgentID, in.Body.SwarmID)
		if err != nil {
			return nil, err
		}
		req := knowledge.IngestRequest{Into: space, KeepNumericVariants: in.Body.Keep}
		for _, c := range in.Body.Chunks {
			req.Chunks = append(req.Chunks, knowledge.Chunk(c))
		}
		res, err := f.deps.Knowledge.Ingest(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		return ok(showIngest(res)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listKnowledge", Method: http.MethodGet, Path: "/v1/knowledge", Tag: "knowledge",
		Summary: "List entries, newest first", Permission: account.KnowledgeRead, Statuses: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *listKnowledgeInput) (*output[httpx.List[KnowledgeWire]], error) {
		space, err := readSpace(in.AgentID, in.SwarmID)
		if err != nil {
			return nil, err
		}
		entries, err := f.deps.Knowledge.List(ctx, httpx.Scope(ctx), knowledge.ListRequest{Request: in.Request(), In: space, Source: in.Source})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(entries, showEntry)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteKnowledge", Method: http.MethodDelete, Path: "/v1/knowledge", Tag: "knowledge",
		Summary: "Delete entries", Permission: account.KnowledgeWrite, Statuses: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *deleteKnowledgeInput) (*output[deletedKnowledgeWire], error) {
		space, err := readSpace(in.AgentID, in.SwarmID)
		if err != nil {
			return nil, err
		}
		req := knowledge.DeleteRequest{In: space, Source: in.Source, All: in.All, Confirm: in.Confirm}
		if in.ID != "" {
			if req.ID, err = id.Parse[id.KnowledgeKind](in.ID); err != nil {
				return nil, err
			}
		}
		n, err := f.deps.Knowledge.Delete(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		return ok(deletedKnowledgeWire{n}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "searchKnowledge", Method: http.MethodPost, Path: "/v1/knowledge/search", Tag: "knowledge",
		Example: `{"agent_id":"agent_01h...","query":"how long are refunds granted?","limit":3}`,
		Summary: "Find the entries that are most like a query", Permission: account.KnowledgeRead,
	}, func(ctx context.Context, in *searchKnowledgeInput) (*output[hitsWire], error) {
		space, err := readSpace(in.Body.AgentID, in.Body.SwarmID)
		if err != nil {
			return nil, err
		}
		found, err := f.deps.Knowledge.Search(ctx, httpx.Scope(ctx), knowledge.SearchRequest{
			In: space, Query: in.Body.Query, Limit: in.Body.Limit, Mode: knowledge.Mode(in.Body.Mode), MinScore: in.Body.MinScore,
			Filter: knowledge.Filter{Source: in.Body.Source, Type: in.Body.EntryType, Metadata: in.Body.Metadata},
		})
		if err != nil {
			return nil, err
		}
		w := hitsWire{Data: []hitWire{}, Mode: string(found.Mode), Reembedding: found.Reembedding}
		for _, h := range found.Hits {
			w.Data = append(w.Data, hitWire{showEntry(h.Entry), h.Score, h.Similarity})
		}
		return ok(w), nil
	})
	f.registerReembedding()
}
