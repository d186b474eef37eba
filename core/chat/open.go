package chat

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// NewSession asks for a session.
type NewSession struct {
	Agent id.Agent
	Peer  string // "": the caller's API key
	Name  string // at most MaxName characters; "": none
}

// New begins a session, which is the one where the peer goes on from now on. It returns ErrInvalid, or why the agent cannot be talked to.
func (s *Service) New(ctx context.Context, sc account.Scope, n NewSession) (Session, error) {
	var f check.Faults
	checkPeer(&f, "peer", n.Peer)
	f.Text("name", n.Name, MaxName)
	if err := f.Err(ErrInvalid); err != nil {
		return Session{}, err
	}
	if err := s.admit(ctx, sc, n.Agent); err != nil {
		return Session{}, err
	}
	return s.begin(ctx, sc, whoOf(sc, n.Agent, n.Peer), n.Name)
}

// begin makes a session and sends its peer there.
func (s *Service) begin(ctx context.Context, sc account.Scope, who Who, name string) (out Session, err error) {
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		p, err := s.meet(ctx, sc, who)
		if err != nil {
			return err
		}
		out, err = s.open(ctx, sc, p, name)
		return err
	})
	return out, err
}

// current returns the session where somebody goes on, which is made if there is none. Of callers that come at once one makes it.
func (s *Service) current(ctx context.Context, sc account.Scope, who Who) (id.Session, error) {
	p, _, err := s.d.Peers.Find(ctx, sc, who)
	if err != nil {
		return id.Session{}, err
	}
	if goes, err := s.goesOn(ctx, sc, p); goes || err != nil {
		return p.Session, err
	}
	var out id.Session
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		p, err := s.meet(ctx, sc, who)
		if err != nil {
			return err
		}
		if goes, err := s.goesOn(ctx, sc, p); goes || err != nil {
			out = p.Session
			return err
		}
		made, err := s.open(ctx, sc, p, "")
		out = made.ID
		return err
	})
	return out, err
}

// goesOn reports whether a peer's session can be gone on with: it was neither deleted nor archived.
func (s *Service) goesOn(ctx context.Context, sc account.Scope, p Peer) (bool, error) {
	if p.Session.IsZero() {
		return false, nil
	}
	v, err := s.d.Talks.Get(ctx, sc, p.Session)
	if fault.KindOf(err) == fault.NotFound {
		return false, nil
	}
	return err == nil && v.ArchivedAt == nil, err
}

// meet returns somebody, locked, whom the agent may never have talked to, with a memory of their own. It must run in a transaction.
func (s *Service) meet(ctx context.Context, sc account.Scope, who Who) (Peer, error) {
	p, err := s.d.Peers.Lock(ctx, sc, Peer{Who: who, CreatedAt: clock.Stored(s.d.Clock.Now())})
	if err != nil || !p.Store.IsZero() {
		return p, err
	}
	st, err := s.d.Memory.CreateStore(ctx, sc, memory.NewStore{
		Name:        "Notes on this customer",
		Description: "What you remember about whom you talk to in this conversation, and nobody else.",
		Metadata:    map[string]string{"agent_id": who.Agent.String(), "chat_channel": string(who.Channel), "chat_" + string(who.Kind): who.Name},
	})
	if err != nil {
		return Peer{}, err
	}
	p.Store = st.ID
	return p, s.d.Peers.Save(ctx, sc, p)
}

// open makes a session for a locked peer.
func (s *Service) open(ctx context.Context, sc account.Scope, p Peer, name string) (Session, error) {
	v, err := s.d.Talks.Create(ctx, sc, session.CreateRequest{
		Agent: p.Agent, Private: true, Title: name,
		Resources: []session.NewResource{{Type: session.ResourceMemoryStore, Store: p.Store}},
	})
	if err != nil {
		return Session{}, err
	}
	out := Session{ID: v.ID, Who: p.Who, Name: name, StartedAt: v.CreatedAt}
	if err := s.d.Sessions.Add(ctx, sc, out); err != nil {
		return Session{}, err
	}
	p.Session = v.ID
	return out, s.d.Peers.Save(ctx, sc, p)
}

// reach returns the session that somebody speaks in: the given one, which must be theirs, or where they go on.
func (s *Service) reach(ctx context.Context, sc account.Scope, who Who, given id.Session) (id.Session, error) {
	if given.IsZero() {
		return s.current(ctx, sc, who)
	}
	v, err := s.d.Sessions.Get(ctx, sc, who.Agent, given)
	if err == nil && v.Who != who {
		err = id.NotFound[id.SessionKind](given.String())
	}
	return given, err
}

// ListSessions asks for a page of an agent's sessions, the newest first.
type ListSessions struct {
	page.Request
	Agent   id.Agent
	Peer    string  // of this peer alone; "": of everybody
	Channel Channel // where Peer is; "" is API
}

// List lists the sessions of an agent, also of one that does not run. It returns id.NotFound of the agent, or ErrInvalid.
func (s *Service) List(ctx context.Context, sc account.Scope, req ListSessions) (page.Page[Session], error) {
	who, err := s.watched(ctx, sc, req.Agent, req.Channel, req.Peer)
	if err != nil {
		return page.Page[Session]{}, err
	}
	return s.d.Sessions.List(ctx, sc, SessionQuery{Request: req.Request, Agent: req.Agent, Who: who})
}

// watched returns whose conversations are asked for, nil for everybody's, of an agent that is there.
func (s *Service) watched(ctx context.Context, sc account.Scope, of id.Agent, channel Channel, peer string) (*Who, error) {
	var f check.Faults
	checkPeer(&f, "peer", peer)
	if err := f.Err(ErrInvalid); err != nil {
		return nil, err
	}
	if channel == "" {
		channel = API
	}
	if _, err := ParseChannel(string(channel)); err != nil {
		return nil, err
	}
	if _, err := s.d.Agents.Get(ctx, sc, of); err != nil {
		return nil, err
	}
	if peer == "" {
		return nil, nil //nolint:nilnil // nil is everybody
	}
	return &Who{of, channel, KindPeer, peer}, nil
}

// Peers lists whom an agent has talked to, the newest first.
func (s *Service) Peers(ctx context.Context, sc account.Scope, of id.Agent, req page.Request) (page.Page[Peer], error) {
	if _, err := s.d.Agents.Get(ctx, sc, of); err != nil {
		return page.Page[Peer]{}, err
	}
	return s.d.Peers.List(ctx, sc, of, req)
}
