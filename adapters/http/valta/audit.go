package valta

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/ports/id"
)

type entryWire struct {
	ID           string         `json:"id" doc:"ae_..."`
	Action       string         `json:"action" doc:"What was done, such as agent_frozen."`
	AgentID      *string        `json:"agentId" doc:"The agent that it concerns, if any."`
	UserID       *string        `json:"userId" doc:"The id of the API key that did it; null is the server itself."`
	Metadata     map[string]any `json:"metadata" nullable:"false"`
	Hash         string         `json:"hash" doc:"SHA-256 over the stored entry and the hash before it."`
	PreviousHash *string        `json:"previousHash" doc:"The hash of the entry before; null for the first."`
	CreatedAt    stamp          `json:"createdAt"`
}

func showEntry(e audit.Entry) entryWire {
	return entryWire{
		ID: e.ID.String(), Action: e.Action, AgentID: textPtr(spellAgent(e.Agent)), UserID: textPtr(e.Key.String()),
		Metadata: camelMetadata(e.Metadata), Hash: e.Hash, PreviousHash: hashPtr(e.PrevHash), CreatedAt: stampOf(e.CreatedAt),
	}
}

// hashPtr is null before the first entry.
func hashPtr(h string) *string {
	if h == audit.Genesis {
		return nil
	}
	return &h
}

type reportWire struct {
	Valid       bool        `json:"valid"`
	Count       int64       `json:"count" doc:"How many entries the chain has."`
	Head        *string     `json:"head" doc:"The hash of the last one; null without entries."`
	FirstBroken *brokenWire `json:"firstBroken" doc:"null when the trail is valid."`
}

type brokenWire struct {
	Index  int64   `json:"index" doc:"Its place, from 1."`
	ID     *string `json:"id" doc:"null when an entry is missing."`
	Reason string  `json:"reason"`
}

type listAuditInput struct {
	PageQuery
	AgentID string `query:"agentId" doc:"Only what concerns this agent, deleted ones included."`
}

type entryInput struct {
	EntryID string `path:"entryId" doc:"The id of an audit entry."`
}

func (f *face) registerAudit() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listAudit", Method: http.MethodGet, Path: "/audit", Tag: "audit",
		Summary: "List audit entries, newest first", Permission: account.AuditRead,
	}, func(ctx context.Context, in *listAuditInput) (*output[listWire[entryWire]], error) {
		a, err := readAgent(in.AgentID)
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Audit.List(ctx, httpx.Scope(ctx), audit.Filter{Agent: a, Page: in.request()})
		if err != nil {
			return nil, err
		}
		return listOf(in.PageQuery, p, showEntry), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "verifyAudit", Method: http.MethodGet, Path: "/audit/verify", Tag: "audit",
		Summary: "Verify the audit trail", Permission: account.AuditRead,
		Description: "Recomputes every hash of the account's trail. A broken trail is an answer like another.",
	}, func(ctx context.Context, _ *struct{}) (*output[reportWire], error) {
		r, err := f.deps.Audit.Verify(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		w := reportWire{Valid: r.Valid, Count: r.Count, Head: hashPtr(r.Head)}
		if r.First != nil {
			w.FirstBroken = &brokenWire{r.First.Index, textPtr(r.First.ID.String()), r.First.Reason}
		}
		return ok(w), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getAuditEntry", Method: http.MethodGet, Path: "/audit/{entryId}", Tag: "audit",
		Summary: "Read an audit entry", Permission: account.AuditRead,
	}, func(ctx context.Context, in *entryInput) (*output[entryWire], error) {
		e, err := id.Parse[id.AuditEntryKind](in.EntryID)
		if err != nil {
			return nil, err
		}
		got, err := f.deps.Audit.Get(ctx, httpx.Scope(ctx), e)
		if err != nil {
			return nil, err
		}
		return ok(showEntry(got)), nil
	})
}
