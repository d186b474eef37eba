package native

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/ports/id"
)

type auditEntryWire struct {
	ID           string          `json:"id" doc:"ae_..."`
	Type         string          `json:"type" enum:"audit_entry"`
	Action       string          `json:"action" doc:"What was done, such as agent_frozen."`
	AgentID      *string         `json:"agent_id" doc:"The agent that it concerns, if any."`
	Actor        string          `json:"actor" doc:"The id of the API key that did it, or system."`
	Metadata     json.RawMessage `json:"metadata" doc:"An object; ids in it are UUIDs."`
	Seq          int64           `json:"seq" doc:"Its place in the chain, from 1."`
	Hash         string          `json:"hash" doc:"SHA-256 over the stored entry and the hash before it."`
	PreviousHash string          `json:"previous_hash"`
	CreatedAt    stamp           `json:"created_at"`
}

func showAuditEntry(e audit.Entry) auditEntryWire {
	return auditEntryWire{
		ID: e.ID.String(), Type: "audit_entry", Action: e.Action, AgentID: textPtr(e.Agent.String()), Actor: e.Actor(), Metadata: e.Metadata,
		Seq: e.Seq, Hash: e.Hash, PreviousHash: e.PrevHash, CreatedAt: stampOf(e.CreatedAt),
	}
}

type auditReportWire struct {
	Valid       bool             `json:"valid"`
	Count       int64            `json:"count" doc:"How many entries the chain has."`
	Head        string           `json:"head" doc:"The hash of the last one."`
	FirstBroken *auditBrokenWire `json:"first_broken" doc:"null when the trail is valid."`
}

type auditBrokenWire struct {
	Index  int64   `json:"index" doc:"Its place, from 1."`
	ID     *string `json:"id" doc:"null when an entry is missing."`
	Reason string  `json:"reason"`
}

func showAuditReport(r audit.Report) auditReportWire {
	out := auditReportWire{Valid: r.Valid, Count: r.Count, Head: r.Head}
	if r.First != nil {
		out.FirstBroken = &auditBrokenWire{r.First.Index, textPtr(r.First.ID.String()), r.First.Reason}
	}
	return out
}

// PeriodQuery is embedded where a list is limited to a time. It is exported, like all that inputs embed, for huma to
// see its fields.
type PeriodQuery struct {
	Since time.Time `query:"since" doc:"Only what is not older."`
	Until time.Time `query:"until" doc:"Only what is older."`
}

// AgentQuery is embedded where a list is limited to an agent.
type AgentQuery struct {
	AgentID string `query:"agent_id" doc:"Only what concerns this agent."`
}

func (q AgentQuery) read() (id.Agent, error) {
	if q.AgentID == "" {
		return id.Agent{}, nil
	}
	return id.Parse[id.AgentKind](q.AgentID)
}

type listAuditInput struct {
	AgentQuery
	Action string    `query:"action" doc:"Only this action."`
	Actor  string    `query:"actor" doc:"Only what this API key did; system: what the server did by itself."`
	From   time.Time `query:"from" doc:"The same as since."`
	To     time.Time `query:"to" doc:"The same as until."`
	PeriodQuery
	httpx.PageQuery
}

func (in *listAuditInput) filter() (f audit.Filter, err error) {
	f = audit.Filter{Action: in.Action, Since: in.Since, Until: in.Until, Page: in.Request()}
	if f.Since.IsZero() {
		f.Since = in.From
	}
	if f.Until.IsZero() {
		f.Until = in.To
	}
	if f.Agent, err = in.read(); err != nil {
		return f, err
	}
	switch in.Actor {
	case "":
	case "system":
		f.System = true
	default:
		f.Key, err = id.Parse[id.APIKeyKind](in.Actor)
	}
	return f, err
}

type auditEntryInput struct {
	EntryID string `path:"entry_id" doc:"The id of an audit entry."`
}

type exportAuditInput struct {
	After int64 `query:"after" minimum:"0" doc:"Begin behind this entry, by its seq; 0 is the whole trail."`
}

// contentLines is the content type of JSON Lines.
const contentLines = "application/x-ndjson"

func (f *face) registerAudit() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listAuditEntries", Method: http.MethodGet, Path: "/v1/audit", Tag: "audit",
		Summary: "List audit entries, newest first", Permission: account.AuditRead,
	}, func(ctx context.Context, in *listAuditInput) (*output[httpx.List[auditEntryWire]], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Audit.List(ctx, httpx.Scope(ctx), filter)
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showAuditEntry)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "verifyAudit", Method: http.MethodGet, Path: "/v1/audit/verify", Tag: "audit",
		Summary: "Verify the audit trail", Permission: account.AuditRead,
		Description: "Recomputes every hash of the caller's trail. A broken trail is an answer like another.",
	}, func(ctx context.Context, _ *struct{}) (*output[auditReportWire], error) {
		r, err := f.deps.Audit.Verify(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		return ok(showAuditReport(r)), nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "exportAudit", Method: http.MethodGet, Path: "/v1/audit/export", Tag: "audit", Produces: contentLines,
		Summary: "Export the audit trail", Permission: account.AuditRead,
		Description: "JSON Lines: a header with the count and the last hash, then every entry from the first on, or behind `after`. `bureau audit verify FILE` " +
			"checks the file without the server.",
	}, func(ctx context.Context, in *exportAuditInput) (httpx.Stream, error) {
		sc := httpx.Scope(ctx)
		if in.After > 0 {
			chain, err := f.deps.Audit.Chain(ctx, sc)
			if err != nil {
				return nil, err
			}
			if in.After > chain.Count {
				return nil, audit.ErrAfter
			}
		}
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentLines)
			w.Header().Set("Content-Disposition", `attachment; filename="audit.jsonl"`)
			if err := f.deps.Audit.Export(r.Context(), sc, in.After, w); err != nil {
				f.deps.Logger.WarnContext(r.Context(), "an audit export was cut off", slog.Any("error", err))
				panic(http.ErrAbortHandler) // the caller must not take a part for the whole
			}
		}, nil
	})

	f.registerCheckpoints()
	f.registerReplay()

	httpx.Register(f.Face, httpx.Op{
		ID: "getAuditEntry", Method: http.MethodGet, Path: "/v1/audit/{entry_id}", Tag: "audit",
		Summary: "Read an audit entry", Permission: account.AuditRead,
	}, func(ctx context.Context, in *auditEntryInput) (*output[auditEntryWire], error) {
		entry, err := id.Parse[id.AuditEntryKind](in.EntryID)
		if err != nil {
			return nil, err
		}
		e, err := f.deps.Audit.Get(ctx, httpx.Scope(ctx), entry)
		if err != nil {
			return nil, err
		}
		return ok(showAuditEntry(e)), nil
	})
}
