package agento

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

type entryWire struct {
	ID        string  `json:"id" doc:"A UUID."`
	Text      string  `json:"text"`
	Source    string  `json:"source"`
	Type      *string `json:"type" doc:"The text \"type\" of the metadata that it was ingested with."`
	CreatedAt stamp   `json:"createdAt"`
	UpdatedAt stamp   `json:"updatedAt" doc:"The same: entries do not change."`
}

func showEntry(e knowledge.Entry) entryWire {
	var metadata struct {
		Type any `json:"type"`
	}
	w := entryWire{ID: e.ID.UUID().String(), Text: e.Text, Source: e.Source, CreatedAt: stampOf(e.CreatedAt), UpdatedAt: stampOf(e.CreatedAt)}
	if len(e.Metadata) > 0 && json.Unmarshal(e.Metadata, &metadata) == nil {
		if t, is := metadata.Type.(string); is {
			w.Type = textPtr(t)
		}
	}
	return w
}

type ingestedWire struct {
	Stored        int           `json:"stored"`
	Skipped       int           `json:"skipped"`
	Total         int           `json:"total" doc:"Chunks in the request."`
	SkippedChunks []skippedWire `json:"skippedChunks" nullable:"false"`
}

type skippedWire struct {
	Index       int     `json:"index" doc:"In the request, from 0."`
	DuplicateOf string  `json:"duplicateOf" doc:"The entry that it is a twin of."`
	Similarity  float64 `json:"similarity" doc:"Cosine similarity; 1 for the same text in other case or white space."`
}

// entriesOutput is a list that is read by cursors.
type entriesOutput struct {
	Body struct {
		Data       []entryWire `json:"data" nullable:"false"`
		Pagination struct {
			NextOffset *string `json:"nextOffset" doc:"The offset of the next page; null on the last one."`
			HasMore    bool    `json:"hasMore"`
		} `json:"pagination"`
	}
}

type ingestInput struct {
	Body struct {
		SwarmID string       `json:"swarmId,omitempty" maxLength:"128" doc:"Either this or agentId."`
		AgentID string       `json:"agentId,omitempty" maxLength:"128" doc:"An agent in a swarm stands for the swarm."`
		Chunks  []chunkParam `json:"chunks" minItems:"1" maxItems:"100" nullable:"false"`
	}
}

type chunkParam struct {
	Text     string          `json:"text" minLength:"1" maxLength:"4000" pattern:"\\S" patternDescription:"more than blanks"`
	Source   string          `json:"source" minLength:"1" maxLength:"512" pattern:"\\S" patternDescription:"more than blanks" doc:"Where the text is from, such as a file name."`
	Metadata json.RawMessage `json:"metadata,omitempty" doc:"An object of your own, up to 16 KiB; its text \"type\" is shown in lists."`
}

type listEntriesInput struct {
	SwarmID string `query:"swarmId" doc:"Either this or agentId."`
	AgentID string `query:"agentId" doc:"An agent in a swarm stands for the swarm."`
	Source  string `query:"source" doc:"Entries of this source only."`
	Limit   int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"Entries on a page."`
	Offset  string `query:"offset" doc:"nextOffset of the page before."`
}

type deleteEntriesInput struct {
	SwarmID string `query:"swarmId" doc:"Either this or agentId."`
	AgentID string `query:"agentId" doc:"An agent in a swarm stands for the swarm."`
	ID      string `query:"id" doc:"One entry. Exactly one of id, source and all is required."`
	Source  string `query:"source" doc:"All entries of a source."`
	All     bool   `query:"all" doc:"All entries; requires confirm."`
	Confirm bool   `query:"confirm" doc:"That all is meant."`
}

type entriesDeletedWire struct {
	Deleted bool `json:"deleted"`
}

// readSpace reads what a call is about.
func readSpace(swarmID, agentID string) (s knowledge.Space, err error) {
	switch {
	case (swarmID == "") == (agentID == ""):
		return s, fault.Invalidf("agentId", "exactly one of swarmId and agentId is required")
	case swarmID != "":
		s.Swarm, err = id.Parse[id.SwarmKind](swarmID)
	default:
		s.Agent, err = id.Parse[id.AgentKind](agentID)
	}
	return s, err
}

func (f *face) registerKnowledge() {
	httpx.Register(f.Face, httpx.Op{
		ID: "ingestKnowledge", Method: http.MethodPost, Path: "/v1/knowledge/ingest", Tag: "knowledge", Status: http.StatusCreated,
		Example: `{"agentId":"a1b2c3d4-e5f6-7890-abcd-ef1234567890","chunks":[{"text":"Refunds are granted within 30 days.","source":"handbook.md"}]}`,
		Summary: "Store texts that agents answer from",
		Description: "Texts that are twins of stored ones, or of earlier ones in the same request, are skipped, and the answer names the twin. " +
			"Twins have a cosine similarity of 0.95 or more. One bad chunk refuses the request, and nothing is stored.",
		Permission: account.KnowledgeWrite, Statuses: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, in *ingestInput) (*output[ingestedWire], error) {
		space, err := readSpace(in.Body.SwarmID, in.Body.AgentID)
		if err != nil {
			return nil, err
		}
		req := knowledge.IngestRequest{Into: space}
		for _, c := range in.Body.Chunks {
			req.Chunks = append(req.Chunks, knowledge.Chunk(c))
		}
		res, err := f.deps.Knowledge.Ingest(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		w := ingestedWire{Stored: res.Stored, Skipped: len(res.Skipped), Total: res.Total, SkippedChunks: []skippedWire{}}
		for _, s := range res.Skipped {
			w.SkippedChunks = append(w.SkippedChunks, skippedWire{s.Index, s.DuplicateOf.UUID().String(), s.Similarity})
		}
		return ok(w), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listKnowledge", Method: http.MethodGet, Path: "/v1/knowledge", Tag: "knowledge", Summary: "List entries, newest first",
		Permission: account.KnowledgeRead, Statuses: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *listEntriesInput) (*entriesOutput, error) {
		space, err := readSpace(in.SwarmID, in.AgentID)
		if err != nil {
			return nil, err
		}
		found, err := f.deps.Knowledge.List(ctx, httpx.Scope(ctx), knowledge.ListRequest{
			Request: page.Request{Limit: in.Limit, Cursor: in.Offset}, In: space, Source: in.Source,
		})
		if err != nil {
			return nil, err
		}
		var out entriesOutput
		out.Body.Data = make([]entryWire, len(found.Items))
		for i, e := range found.Items {
			out.Body.Data[i] = showEntry(e)
		}
		out.Body.Pagination.NextOffset, out.Body.Pagination.HasMore = textPtr(found.Next), found.Next != ""
		return &out, nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteKnowledge", Method: http.MethodDelete, Path: "/v1/knowledge", Tag: "knowledge", Summary: "Delete entries",
		Permission: account.KnowledgeWrite, Statuses: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *deleteEntriesInput) (*output[entriesDeletedWire], error) {
		space, err := readSpace(in.SwarmID, in.AgentID)
		if err != nil {
			return nil, err
		}
		req := knowledge.DeleteRequest{In: space, Source: in.Source, All: in.All, Confirm: in.Confirm}
		if in.ID != "" {
			if req.ID, err = id.Parse[id.KnowledgeKind](in.ID); err != nil {
				return nil, err
			}
		}
		if _, err := f.deps.Knowledge.Delete(ctx, httpx.Scope(ctx), req); err != nil {
			return nil, err
		}
		return ok(entriesDeletedWire{true}), nil
	})
}
