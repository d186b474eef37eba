package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Message is something that a client says to an agent.
type Message struct {
	Agent   id.Agent
	Session id.Session // zero: where the peer goes on
	Peer    string     // "": the caller's API key
	Text    string     // 1 to MaxMessage characters
	Context string     // what the agent is told beside it, as ParseContext returns it; "": nothing
	// Key makes the message unique among those of the caller's API key for the agent: said again, it begins no second turn, and the answer
	// is that of the first, from its beginning. "": none. Keys are kept for KeepRequests.
	Key string
}

func (m Message) check() error {
	var f check.Faults
	f.Given("message", m.Text, MaxMessage)
	f.Text("context", m.Context, MaxContext)
	checkPeer(&f, "peer", m.Peer)
	if len(m.Key) > MaxKey || strings.ContainsFunc(m.Key, func(r rune) bool { return r < ' ' || r > '~' }) {
		f.Addf("header.Idempotency-Key", "must have at most %d printable ASCII characters", MaxKey)
	}
	return f.Err(ErrInvalid)
}

// Send says something to an agent and returns its answer, which the caller must Close. The turn goes on whether or not anybody follows it.
//
// It returns ErrInvalid, id.NotFound for the agent, or for a session that is not the peer's, agent.ErrFrozen, ErrRepeated, what Hosting
// says of an agent that does not run, session.ErrArchived, session.ErrQueueFull or session.ErrTooManyStreams; then nothing was said.
func (s *Service) Send(ctx context.Context, sc account.Scope, m Message) (*Answer, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	if err := s.admit(ctx, sc, m.Agent); err != nil {
		return nil, err
	}
	who := whoOf(sc, m.Agent, m.Peer)
	content := contentOf(m.Text, m.Context)
	if m.Key == "" {
		return s.say(ctx, sc, who, m.Session, content)
	}
	digest := sha256.Sum256([]byte(strings.Join([]string{m.Session.String(), string(who.Kind), who.Name, m.Context, m.Text}, "\x00")))
	r := Request{Who: who, Key: sc.Key.UUID().String() + "/" + m.Key, Digest: hex.EncodeToString(digest[:])}
	r, err := s.ask(ctx, sc, r, m.Session, content)
	if err != nil {
		return nil, err
	}
	return s.answer(ctx, sc, r.Session, r.Event, r.AfterSeq)
}

// say queues a message without a name of its own. Whoever follows its answer is there before the turn begins.
func (s *Service) say(ctx context.Context, sc account.Scope, who Who, given id.Session, content []session.Block) (*Answer, error) {
	for again := given.IsZero(); ; again = false {
		of, err := s.reach(ctx, sc, who, given)
		if err != nil {
			return nil, err
		}
		v, err := s.d.Talks.Get(ctx, sc, of)
		if err != nil {
			return nil, err
		}
		st, err := s.stream(ctx, sc, of, v.LastSeq)
		if err != nil {
			return nil, err
		}
		sent, err := s.d.Talks.Send(ctx, sc, of, []session.Input{{Type: session.UserMessage, Content: content}})
		if err == nil {
			return s.follow(sc, of, sent[0].ID, v.LastSeq, st), nil
		}
		st.Close()
		if gone := fault.KindOf(err); !again || gone != fault.NotFound && gone != fault.Conflict {
			return nil, err
		}
		// The session where they went on was archived or deleted this moment: they get another one.
		if v, lost := s.d.Talks.Get(ctx, sc, of); lost == nil && v.ArchivedAt == nil {
			return nil, err
		}
	}
}

// ask queues a message with a name of its own, unless that has been done, and returns what became of it.
func (s *Service) ask(ctx context.Context, sc account.Scope, r Request, given id.Session, content []session.Block) (Request, error) {
	var out Request
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		known, there, err := s.d.Requests.Find(ctx, sc, r.Agent, r.Channel, r.Key)
		switch {
		case err != nil:
			return err
		case there && known.Digest != r.Digest:
			return ErrRepeated
		case there:
			out = known
			return nil
		}
		// The peer's row is locked first: of two who come at once, the second finds the request.
		if _, err := s.meet(ctx, sc, r.Who); err != nil {
			return err
		}
		if known, there, err = s.d.Requests.Find(ctx, sc, r.Agent, r.Channel, r.Key); err != nil || there {
			out = known
			return err
		}
		if r.Session, err = s.reach(ctx, sc, r.Who, given); err != nil {
			return err
		}
		v, err := s.d.Talks.Get(ctx, sc, r.Session)
		if err != nil {
			return err
		}
		sent, err := s.d.Talks.Send(ctx, sc, r.Session, []session.Input{{Type: session.UserMessage, Content: content}})
		if err != nil {
			return err
		}
		r.Event, r.AfterSeq, r.CreatedAt = sent[0].ID, v.LastSeq, clock.Stored(s.d.Clock.Now())
		out = r
		added, err := s.d.Requests.Insert(ctx, sc, r)
		if err == nil && !added {
			return ErrRepeated // somebody else's message, for another peer, came under this name at the same moment
		}
		return err
	})
	return out, err
}
