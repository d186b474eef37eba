package native

import (
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/id"
)

// remoteWire is a remote agent as it is answered. Every field is always there but the text of the card, which lists leave out.
type remoteWire struct {
	ID                string                `json:"id" doc:"remote_..."`
	Type              string                `json:"type" enum:"remote_agent"`
	AgentID           string                `json:"agent_id" doc:"The agent that stands for it: what is said to that one in a session is said to the remote agent."`
	Name              string                `json:"name" doc:"Also that of its tool."`
	Description       *string               `json:"description"`
	URL               string                `json:"url" doc:"As it was registered."`
	RequireValid      bool                  `json:"require_valid" doc:"It is called only while its card is valid."`
	Credential        *remoteCredentialWire `json:"credential" doc:"Without the secret, which is never shown."`
	Card              remoteCardWire        `json:"card"`
	Suspicion         *string               `json:"suspicion" doc:"How the card's signature differs from the one that it had; null: it does not."`
	CheckedAt         stamp                 `json:"checked_at" doc:"When the card was fetched last."`
	ChangedAt         stamp                 `json:"changed_at" doc:"When it was found to be another one."`
	NextCheckAt       stamp                 `json:"next_check_at"`
	UnreachableSince  *stamp                `json:"unreachable_since"`
	UnreachableReason *string               `json:"unreachable_reason"`
	CreatedAt         stamp                 `json:"created_at"`
	UpdatedAt         stamp                 `json:"updated_at"`
}

type remoteCredentialWire struct {
	Type      string  `json:"type" enum:"bearer,api_key"`
	Header    *string `json:"header" doc:"Of api_key."`
	AnyOrigin bool    `json:"any_origin"`
}

type remoteCardWire struct {
	URL           string              `json:"url" doc:"Where it is."`
	Legacy        bool                `json:"legacy" doc:"It is at the path that it had before A2A 0.3."`
	Digest        string              `json:"digest" doc:"sha256:..."`
	ETag          *string             `json:"etag"`
	MaxAgeSeconds *int64              `json:"max_age_seconds" doc:"How long its server says that it may be believed; null: it does not say."`
	Name          string              `json:"name"`
	Endpoint      *string             `json:"endpoint" doc:"Where its agent is reached first."`
	Elsewhere     bool                `json:"elsewhere" doc:"The endpoint is at another origin than the card."`
	Version       string              `json:"version" doc:"Of the protocol whose rules it was held to."`
	Valid         bool                `json:"valid"`
	Score         int                 `json:"score"`
	Errors        int                 `json:"errors"`
	Warnings      int                 `json:"warnings"`
	Findings      []remoteFindingWire `json:"findings" nullable:"false" doc:"The first 50, errors before warnings."`
	Signature     *remoteSignature    `json:"signature" doc:"null: it is not signed."`
	Text          string              `json:"text,omitempty" doc:"As it was fetched; not in lists."`
}

type remoteFindingWire struct {
	Severity string `json:"severity" enum:"error,warning"`
	Code     string `json:"code"`
	Path     string `json:"path"`
	Message  string `json:"message"`
}

type remoteSignature struct {
	State string  `json:"state" enum:"trusted,unknown,wrong,malformed"`
	KeyID *string `json:"key_id"`
}

func showSignature(s remote.Signature) *remoteSignature {
	if s.State == "" {
		return nil
	}
	return &remoteSignature{string(s.State), textOrNull(s.KeyID)}
}

func showRemote(r remote.Remote) remoteWire {
	c, v := r.Card, r.Card.Verdict
	w := remoteWire{
		ID: r.ID.String(), Type: "remote_agent", AgentID: r.Agent.String(), Name: r.Name, Description: textOrNull(r.Description), URL: r.URL,
		RequireValid: r.RequireValid, Suspicion: textOrNull(r.Suspicion), CheckedAt: stampOf(r.CheckedAt), ChangedAt: stampOf(r.ChangedAt),
		NextCheckAt: stampOf(r.NextCheckAt), UnreachableSince: stampOrNull(r.UnreachableSince), UnreachableReason: textOrNull(r.Trouble),
		CreatedAt: stampOf(r.CreatedAt), UpdatedAt: stampOf(r.UpdatedAt),
		Card: remoteCardWire{
			URL: c.URL, Legacy: c.Legacy, Digest: c.Digest, ETag: textOrNull(c.ETag), Name: c.Name, Endpoint: textOrNull(c.Endpoint),
			Elsewhere: c.Elsewhere(), Version: string(v.Version), Valid: v.Valid, Score: v.Score, Errors: v.Errors, Warnings: v.Warnings,
			Findings: []remoteFindingWire{}, Signature: showSignature(v.Signature),
		},
	}
	if c.MaxAge >= 0 {
		w.Card.MaxAgeSeconds = ptr(int64(c.MaxAge / time.Second))
	}
	for _, f := range v.Findings {
		severity := "warning"
		if f.Error {
			severity = "error"
		}
		w.Card.Findings = append(w.Card.Findings, remoteFindingWire{severity, f.Code, f.Path, f.Message})
	}
	if k := r.Credential; k.Kind != "" {
		w.Credential = &remoteCredentialWire{string(k.Kind), textOrNull(k.Header), k.AnyOrigin}
	}
	return w
}

// showWholeRemote shows the text of the card, too.
func showWholeRemote(r remote.Remote) remoteWire {
	w := showRemote(r)
	w.Card.Text = string(r.Card.Text)
	return w
}

type remoteChangeWire struct {
	Type      string           `json:"type" enum:"remote_agent_change"`
	At        stamp            `json:"at"`
	Digest    string           `json:"digest"`
	Version   string           `json:"version"`
	Valid     bool             `json:"valid"`
	Score     int              `json:"score"`
	Errors    int              `json:"errors"`
	Warnings  int              `json:"warnings"`
	Signature *remoteSignature `json:"signature"`
	Suspicion *string          `json:"suspicion"`
	Text      string           `json:"text" doc:"The card as it was."`
}

func showChange(c remote.Change) remoteChangeWire {
	return remoteChangeWire{
		Type: "remote_agent_change", At: stampOf(c.At), Digest: c.Digest, Version: string(c.Version), Valid: c.Valid, Score: c.Score,
		Errors: c.Errors, Warnings: c.Warnings, Signature: showSignature(c.Signature), Suspicion: textOrNull(c.Suspicion), Text: string(c.Text),
	}
}

type registerRemoteInput struct {
	Body struct {
		URL          string                 `json:"url" minLength:"1" maxLength:"2048" doc:"Of a card, when its path ends in .json; otherwise of an agent, below which the card is looked for."`
		Name         string                 `json:"name,omitempty" maxLength:"64" doc:"Letters, digits, '_' and '-'; unique. Made of the card's when left out."`
		Description  string                 `json:"description,omitempty" maxLength:"2048" doc:"Of its tool; the card's when left out."`
		RequireValid *bool                  `json:"require_valid,omitempty" doc:"true when left out: a card that is not valid is a 400 that names its errors, and an agent whose card becomes invalid is not called. false registers and calls it all the same."`
		Credential   *remoteCredentialInput `json:"credential,omitempty" doc:"What the agent is called with. It is sealed and never shown."`
	}
}

type remoteCredentialInput struct {
	Type      string `json:"type" enum:"bearer,api_key"`
	Header    string `json:"header,omitempty" maxLength:"100" doc:"Of api_key; X-API-Key when left out."`
	Secret    string `json:"secret" minLength:"1" maxLength:"8192"`
	AnyOrigin bool   `json:"any_origin,omitempty" doc:"Send it to whatever address the card names. Otherwise it goes to the card's own origin and to no other."`
}

func (in *registerRemoteInput) request() remote.New {
	b := in.Body
	n := remote.New{URL: b.URL, Name: b.Name, Description: b.Description, AllowInvalid: b.RequireValid != nil && !*b.RequireValid}
	if c := b.Credential; c != nil {
		n.Credential = &remote.NewCredential{
			Kind: remote.CredentialKind(c.Type), Header: c.Header, Secret: secret.NewValue(c.Secret), AnyOrigin: c.AnyOrigin,
		}
	}
	return n
}

type updateRemoteInput struct {
	RemoteAgentID string `path:"remote_agent_id" doc:"The remote agent's id."`
	Body          struct {
		Name         httpx.Opt[string]                `json:"name,omitempty" minLength:"1" maxLength:"64" doc:"Letters, digits, '_' and '-'; unique. That of its tool, from the next turn on. null leaves it."`
		Description  httpx.Opt[string]                `json:"description,omitempty" maxLength:"2048" doc:"Of its tool; null or empty is the card's."`
		RequireValid *bool                            `json:"require_valid,omitempty" doc:"It is called only while its card is valid."`
		Credential   httpx.Opt[remoteCredentialPatch] `json:"credential,omitempty" doc:"What the agent is called with; a part that is left out stays as it is. null: it is called without one."`
	}
}

// remoteCredentialPatch is remoteCredentialInput in an update: every part may be left out.
type remoteCredentialPatch struct {
	Type      *string `json:"type,omitempty" enum:"bearer,api_key"`
	Header    *string `json:"header,omitempty" maxLength:"100" doc:"Of api_key; X-API-Key when empty."`
	Secret    *string `json:"secret,omitempty" minLength:"1" maxLength:"8192" doc:"It is sealed, and never shown."`
	AnyOrigin *bool   `json:"any_origin,omitempty" doc:"Send it to whatever address the card names. Otherwise it goes to the card's own origin and to no other."`
}

func (in *updateRemoteInput) request() remote.Update {
	b := &in.Body
	u := remote.Update{Name: b.Name.Given(), Description: b.Description.Change(), RequireValid: b.RequireValid}
	if !b.Credential.Set {
		return u
	}
	c := b.Credential.Value
	u.Credential = &remote.CredentialUpdate{Remove: b.Credential.Null, Header: c.Header, AnyOrigin: c.AnyOrigin}
	if c.Type != nil {
		u.Credential.Kind = ptr(remote.CredentialKind(*c.Type))
	}
	if c.Secret != nil {
		u.Credential.Secret = ptr(secret.NewValue(*c.Secret))
	}
	return u
}

type remoteInput struct {
	RemoteAgentID string `path:"remote_agent_id" doc:"The remote agent's id."`
}

type listRemotesInput struct{ httpx.PageQuery }

type listRemoteChangesInput struct {
	RemoteAgentID string `path:"remote_agent_id" doc:"The remote agent's id."`
	httpx.PageQuery
}

type refreshRemoteInput struct {
	RemoteAgentID string `path:"remote_agent_id" doc:"The remote agent's id."`
	Body          struct {
		AcceptSignature bool `json:"accept_signature,omitempty" doc:"Take the card's signature for right from now on, however it was signed before."`
	}
}

func (f *face) registerRemotes() {
	httpx.Register(f.Face, httpx.Op{
		ID: "registerRemoteAgent", Method: http.MethodPost, Path: "/v1/remote_agents", Tag: "remote agents", Status: http.StatusCreated,
		Example: `{"url":"https://agents.example.com","name":"travel","credential":{"type":"bearer","secret":"s3cret"}}`,
		Summary: "Register a remote agent by its card",
		Description: "Fetches the card of an agent that speaks A2A, judges it and keeps it. An agent of yours is made that stands for it, which sessions, " +
			"policies and other agents treat like any other. The card is fetched again every hour, and before a call when it is older than its server allows; " +
			"a change is judged before anybody is called by it.",
		Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *registerRemoteInput) (*output[remoteWire], error) {
		r, err := f.deps.Remotes.Register(ctx, httpx.Scope(ctx), in.request())
		if err != nil {
			return nil, err
		}
		return ok(showWholeRemote(r)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listRemoteAgents", Method: http.MethodGet, Path: "/v1/remote_agents", Tag: "remote agents", Summary: "List remote agents, newest first",
		Permission: account.AgentsRead,
	}, func(ctx context.Context, in *listRemotesInput) (*output[httpx.List[remoteWire]], error) {
		found, err := f.deps.Remotes.List(ctx, httpx.Scope(ctx), in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showRemote)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getRemoteAgent", Method: http.MethodGet, Path: "/v1/remote_agents/{remote_agent_id}", Tag: "remote agents", Summary: "Read a remote agent",
		Permission: account.AgentsRead,
	}, func(ctx context.Context, in *remoteInput) (*output[remoteWire], error) {
		of, err := id.Parse[id.RemoteAgentKind](in.RemoteAgentID)
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Remotes.Get(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		return ok(showWholeRemote(r)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "updateRemoteAgent", Method: http.MethodPost, Path: "/v1/remote_agents/{remote_agent_id}", Tag: "remote agents",
		Example: `{"credential":{"secret":"n3w-s3cret"}}`, Summary: "Change a remote agent, or what it is called with",
		Description: "What is left out stays as it is. A new credential counts from the next call on, on every server; the audit trail says that it was " +
			"changed, and not what it is. The address cannot be changed: another address is another agent.",
		Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *updateRemoteInput) (*output[remoteWire], error) {
		of, err := id.Parse[id.RemoteAgentKind](in.RemoteAgentID)
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Remotes.Update(ctx, httpx.Scope(ctx), of, in.request())
		if err != nil {
			return nil, err
		}
		return ok(showWholeRemote(r)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listRemoteAgentChanges", Method: http.MethodGet, Path: "/v1/remote_agents/{remote_agent_id}/changes", Tag: "remote agents",
		Summary: "List what a remote agent's card was, newest first", Description: "The last 50.", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *listRemoteChangesInput) (*output[httpx.List[remoteChangeWire]], error) {
		of, err := id.Parse[id.RemoteAgentKind](in.RemoteAgentID)
		if err != nil {
			return nil, err
		}
		found, err := f.deps.Remotes.Changes(ctx, httpx.Scope(ctx), of, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showChange)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "refreshRemoteAgent", Method: http.MethodPost, Path: "/v1/remote_agents/{remote_agent_id}/refresh", Tag: "remote agents",
		Example: `{"accept_signature":true}`, Summary: "Fetch and judge a remote agent's card now",
		Description: "A card that cannot be fetched is a 503; the one that is kept stays.", Permission: account.AgentsWrite,
		Statuses: []int{http.StatusServiceUnavailable},
	}, func(ctx context.Context, in *refreshRemoteInput) (*output[remoteWire], error) {
		of, err := id.Parse[id.RemoteAgentKind](in.RemoteAgentID)
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Remotes.Refresh(ctx, httpx.Scope(ctx), of, in.Body.AcceptSignature)
		if err != nil {
			return nil, err
		}
		return ok(showWholeRemote(r)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "removeRemoteAgent", Method: http.MethodDelete, Path: "/v1/remote_agents/{remote_agent_id}", Tag: "remote agents",
		Summary: "Remove a remote agent", Description: "The agent that stands for it is archived; its sessions stay to be read.",
		Permission: account.AgentsWrite,
	}, func(ctx context.Context, in *remoteInput) (*output[httpx.Deleted], error) {
		of, err := id.Parse[id.RemoteAgentKind](in.RemoteAgentID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Remotes.Remove(ctx, httpx.Scope(ctx), of); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: of.String(), Type: "remote_agent_deleted"}), nil
	})
}
