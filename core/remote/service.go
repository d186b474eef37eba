package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Fetched is a card as a Fetcher found it.
type Fetched struct {
	URL         string        // where it is
	Text        []byte        // nil with NotModified
	ETag        string        // "": none
	MaxAge      time.Duration // -1: nothing was said
	NotModified bool          // it is the card of the ETag that was given
	Legacy      bool          // at the name that it had before A2A 0.3
}

// Fetcher fetches cards from addresses that tenants name, and from public ones only.
type Fetcher interface {
	// Fetch fetches the card at an address, or of the agent at it. Its faults are fit to be told.
	Fetch(ctx context.Context, address, etag string) (Fetched, error)
}

// Agents makes the agents that stand for remote ones; agent.Service does.
type Agents interface {
	Create(ctx context.Context, sc account.Scope, cfg agent.Config) (agent.Agent, error)
	Archive(ctx context.Context, sc account.Scope, agent id.Agent) (agent.Agent, error)
}

// Trail is where the service notes what became of remote agents; app wires core/audit.
type Trail interface {
	// Note adds an entry to the audit trail, in the transaction of ctx.
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}

// Notices is where the service tells that a card has changed; app wires core/webhook.
type Notices interface {
	// Publish stores a notice in the transaction in ctx.
	Publish(ctx context.Context, sc account.Scope, kind string, agent id.Agent, data map[string]any) error
}

// Vaults has what is in sessions' vaults; secret.Service does.
type Vaults interface {
	// Bearer returns the token for an address from the first of the vaults that has one; false when none has.
	Bearer(ctx context.Context, sc account.Scope, vaults []id.Vault, address string) (secret.Token, bool, error)
}

// NoticeChanged is the kind of the notice of a card that has changed.
const NoticeChanged = "remote_agent.card_changed"

// Deps is what a Service needs; all fields are required.
type Deps struct {
	TX            tx.Runner
	Clock         clock.Clock
	IDs           id.Generator
	Logger        *slog.Logger
	Keeper        keeper.Keeper
	Remotes       Repository
	History       History
	Conversations Conversations
	Agents        Agents
	Vaults        Vaults
	Fetcher       Fetcher
	Trail         Trail
	Notices       Notices
	// Judge judges a card; card.Validate with the keys that the operator trusts.
	Judge func(text []byte, now time.Time) card.Result
}

// Config tunes a Service; the zero value is the default.
type Config struct {
	// Interval is how often a card is fetched again though nobody uses it; 0 is 1 hour. Up to a tenth of it is added by chance, so that
	// cards which were registered at once are not fetched at once.
	Interval time.Duration
	// Patience bounds fetching a card on use; 0 is 10 s.
	Patience time.Duration
}

// Service keeps remote agents. It is safe for concurrent use.
type Service struct {
	d Deps
	c Config
}

// NewService returns a Service, or an error that names what is missing or wrong.
func NewService(d Deps, c Config) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil}, {"Keeper", d.Keeper == nil},
		{"Remotes", d.Remotes == nil}, {"History", d.History == nil}, {"Conversations", d.Conversations == nil}, {"Agents", d.Agents == nil},
		{"Vaults", d.Vaults == nil}, {"Fetcher", d.Fetcher == nil}, {"Trail", d.Trail == nil}, {"Notices", d.Notices == nil},
		{"Judge", d.Judge == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("remote: Deps.%s is required", f.name)
		}
	}
	if c.Interval < 0 || c.Patience < 0 {
		return nil, errors.New("remote: nothing in Config may be negative")
	}
	if c.Interval == 0 {
		c.Interval = time.Hour
	}
	if c.Patience == 0 {
		c.Patience = 10 * time.Second
	}
	return &Service{d: d, c: c}, nil
}

func (s *Service) now() time.Time { return clock.Stored(s.d.Clock.Now()) }

// Get returns a remote agent.
func (s *Service) Get(ctx context.Context, sc account.Scope, remote id.RemoteAgent) (Remote, error) {
	return s.d.Remotes.Get(ctx, sc, remote)
}

// List lists remote agents, newest first.
func (s *Service) List(ctx context.Context, sc account.Scope, r page.Request) (page.Page[Remote], error) {
	return s.d.Remotes.List(ctx, sc, r)
}

// Changes lists the history of a card, newest first: its first text, and each that it was changed to.
func (s *Service) Changes(ctx context.Context, sc account.Scope, remote id.RemoteAgent, r page.Request) (page.Page[Change], error) {
	if _, err := s.d.Remotes.Get(ctx, sc, remote); err != nil {
		return page.Page[Change]{}, err
	}
	return s.d.History.List(ctx, sc, remote, r)
}

// Remove removes a remote agent, and archives the agent that stands for it: what was said to it stays to be read.
func (s *Service) Remove(ctx context.Context, sc account.Scope, remote id.RemoteAgent) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		r, err := s.d.Remotes.Get(ctx, sc, remote)
		if err != nil {
			return err
		}
		if err := s.d.Remotes.Delete(ctx, sc, remote); err != nil {
			return err
		}
		if _, err := s.d.Agents.Archive(ctx, sc, r.Agent); err != nil {
			return err
		}
		return s.note(ctx, sc, "remote_agent_removed", r, nil)
	})
}

// ForgetAgent removes the remote agent that an agent stands for, and what is kept of the agent's own conversations, in the transaction of
// ctx. Having nothing is no error.
func (s *Service) ForgetAgent(ctx context.Context, sc account.Scope, of id.Agent) error {
	r, ok, err := s.d.Remotes.ByAgent(ctx, sc, of)
	if err == nil && ok {
		err = s.d.Remotes.Delete(ctx, sc, r.ID)
	}
	return errors.Join(err, s.d.Conversations.Forget(ctx, sc, of))
}

// note adds an entry to the audit trail. Neither the card nor the credential are in it.
func (s *Service) note(ctx context.Context, sc account.Scope, action string, r Remote, more map[string]any) error {
	m := map[string]any{
		"remote_agent_id": r.ID.UUID().String(), "name": r.Name, "url": bare(r.URL), "digest": r.Card.Digest, "score": r.Card.Verdict.Score,
		"valid": r.Card.Verdict.Valid,
	}
	if r.Suspicion != "" {
		m["suspicion"] = r.Suspicion
	}
	for name, v := range more {
		m[name] = v
	}
	return s.d.Trail.Note(ctx, sc, action, r.Agent, m)
}
