package a2a

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Send gives a message to an agent. It begins a task, or goes on with m.Task when that waits for input; a message that was sent before
// returns its task again. A frozen agent's tasks are rejected, and are tasks nonetheless.
//
// It returns ErrInvalid, ErrContentType, ErrRepeated, ErrTaskOver, ErrTaskBusy, id.NotFound for the agent or the task, or what the session
// says, such as session.ErrQueueFull or account.ErrForbidden for an approval that the key may not give; then nothing was said.
func (s *Service) Send(ctx context.Context, sc account.Scope, m Message) (Task, error) {
	t, _, err := s.send(ctx, sc, m, false)
	return t, err
}

// Stream is Send, followed from the beginning. The caller must Close the Follow.
func (s *Service) Stream(ctx context.Context, sc account.Scope, m Message) (Task, *Follow, error) {
	t, st, err := s.send(ctx, sc, m, true)
	if err != nil {
		return Task{}, nil, err
	}
	if st == nil { // it was sent before, was rejected, or goes on with a task
		f, err := s.follow(ctx, sc, t, true)
		return t, f, err
	}
	return t, newFollow(s, sc, t, st, true), nil
}

func (s *Service) send(ctx context.Context, sc account.Scope, m Message, follow bool) (Task, *session.Stream, error) {
	if err := m.check(); err != nil {
		return Task{}, nil, err
	}
	blocks, err := content(m.Parts)
	if err != nil {
		return Task{}, nil, err
	}
	a, err := s.d.Agents.Get(ctx, sc, m.Agent)
	if err == nil && a.Standing == agent.Archived {
		err = session.ErrAgentArchived.Withf("agent %s is archived", a.ID)
	}
	if err != nil {
		return Task{}, nil, err
	}
	raw, err := m.stored()
	if err != nil {
		return Task{}, nil, err
	}
	said := Stored{Who: Who{m.Agent, sc.Key}, Name: m.ID, Digest: m.digest(), Body: raw, CreatedAt: clock.Stored(s.d.Clock.Now())}
	if !m.Task.IsZero() {
		t, err := s.reply(ctx, sc, m, said, blocks)
		return t, nil, err
	}
	referred, err := s.referred(ctx, sc, m)
	if err != nil {
		return Task{}, nil, err
	}
	var out Task
	var st *session.Stream
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if st != nil { // of a run of this closure that came to nothing
			st.Close()
			st = nil
		}
		p, err := s.meet(ctx, sc, said.Who)
		if err != nil {
			return err
		}
		known, err := s.known(ctx, sc, said)
		if err != nil || !known.ID.IsZero() {
			out = known
			return err
		}
		out = Task{
			ID: id.New[id.TurnKind](s.d.IDs), Who: said.Who, Context: m.Context, State: Submitted, Metadata: m.TaskMetadata,
			CreatedAt: said.CreatedAt, UpdatedAt: said.CreatedAt,
		}
		if a.Standing == agent.Frozen {
			out.State, out.Reason, out.Rule = Rejected, "the agent is frozen and does nothing", policy.RuleFrozen
			if out.Context == "" {
				out.Context = id.New[id.SessionKind](s.d.IDs).String()
			}
		} else if st, err = s.begin(ctx, sc, p, &out, append(referred, blocks...), follow); err != nil {
			return err
		}
		if err := s.d.Tasks.Insert(ctx, sc, out); err != nil {
			return err
		}
		said.Task = out.ID
		if _, err := s.d.Messages.Insert(ctx, sc, said); err != nil {
			return err
		}
		if m.Then != nil {
			if err := m.Then(ctx, out); err != nil {
				return err
			}
		}
		return s.changed(ctx, sc, out)
	})
	if err != nil && st != nil {
		st.Close()
		st = nil
	}
	return out, st, err
}

// begin queues the message of a task in the session of its context.
func (s *Service) begin(ctx context.Context, sc account.Scope, p Peer, t *Task, blocks []session.Block, follow bool) (*session.Stream, error) {
	v, err := s.reach(ctx, sc, p, t.Context)
	if err != nil {
		return nil, err
	}
	if t.Session = v.ID; t.Context == "" {
		t.Context = v.ID.String()
		if err := s.d.Peers.SetSession(ctx, sc, p.Who, t.Context, v.ID); err != nil {
			return nil, err
		}
	}
	var st *session.Stream
	if follow { // whoever follows is there before the turn begins
		st, err = s.d.Talks.Stream(ctx, sc, v.ID, session.StreamOptions{Chunks: true, Replay: true, AfterSeq: v.LastSeq})
		if err != nil {
			return nil, err
		}
	}
	sent, err := s.d.Talks.Send(ctx, sc, v.ID, []session.Input{{Type: session.UserMessage, Content: blocks, Turn: t.ID}})
	if err != nil {
		if st != nil {
			st.Close()
		}
		return nil, err
	}
	t.Event = sent[0].ID
	return st, nil
}

// reach returns the session in which a context of a locked peer goes on. One that was deleted or archived is followed by a new one.
func (s *Service) reach(ctx context.Context, sc account.Scope, p Peer, name string) (session.Session, error) {
	if name != "" {
		of, there, err := s.d.Peers.Session(ctx, sc, p.Who, name)
		if err != nil {
			return session.Session{}, err
		}
		if there {
			v, err := s.d.Talks.Get(ctx, sc, of)
			if err == nil && v.ArchivedAt == nil {
				return v, nil
			}
			if err != nil && fault.KindOf(err) != fault.NotFound {
				return session.Session{}, err
			}
		}
	}
	v, err := s.d.Talks.Create(ctx, sc, session.CreateRequest{
		Agent: p.Agent, Private: true, Resources: []session.NewResource{{Type: session.ResourceMemoryStore, Store: p.Store}},
	})
	if err != nil || name == "" {
		return v, err
	}
	return v, s.d.Peers.SetSession(ctx, sc, p.Who, name, v.ID)
}

// meet returns a peer, locked, with a memory of its own. It must run in a transaction.
func (s *Service) meet(ctx context.Context, sc account.Scope, who Who) (Peer, error) {
	p, err := s.d.Peers.Lock(ctx, sc, Peer{Who: who, CreatedAt: clock.Stored(s.d.Clock.Now())})
	if err != nil || !p.Store.IsZero() {
		return p, err
	}
	st, err := s.d.Memory.CreateStore(ctx, sc, memory.NewStore{
		Name:        "Notes on this peer",
		Description: "What you remember about the agent or program you talk to in this conversation, and nobody else.",
		Metadata:    map[string]string{"agent_id": who.Agent.String(), "a2a_key": who.Key.String()},
	})
	if err != nil {
		return Peer{}, err
	}
	p.Store = st.ID
	return p, s.d.Peers.Save(ctx, sc, p)
}

// known returns the task that a message belongs to which was sent before; the zero Task when it was not.
func (s *Service) known(ctx context.Context, sc account.Scope, said Stored) (Task, error) {
	first, there, err := s.d.Messages.Find(ctx, sc, said.Who, said.Name)
	switch {
	case err != nil || !there:
		return Task{}, err
	case first.Digest != said.Digest:
		return Task{}, ErrRepeated
	}
	return s.d.Tasks.Get(ctx, sc, first.Task)
}

// maxReferred bounds what an agent is shown of a task that a message refers to, in characters.
const maxReferred = 8000

// referred tells the agent what came of the tasks that a message refers to. Those of the same context are in its log already.
func (s *Service) referred(ctx context.Context, sc account.Scope, m Message) ([]session.Block, error) {
	var out []session.Block
	for i, r := range m.References {
		t, err := s.own(ctx, sc, m.Agent, r)
		if err != nil {
			if fault.KindOf(err) == fault.NotFound {
				err = invalid(fmt.Sprintf("message.referenceTaskIds[%d]", i), "names no task of yours with this agent")
			}
			return nil, err
		}
		if m.Context != "" && t.Context == m.Context {
			continue
		}
		c, err := s.Content(ctx, sc, t, ContentOptions{Answer: true})
		if err != nil {
			return nil, err
		}
		if c.Answer == nil {
			continue
		}
		text := c.Answer.Text
		if utf8.RuneCountInString(text) > maxReferred {
			text = string([]rune(text)[:maxReferred]) + "…"
		}
		out = append(out, session.Block{Type: session.BlockText, Title: "task referred to", Text: "[The message refers to task " + t.ID.String() +
			", in which you answered the following.]\n> " + strings.ReplaceAll(text, "\n", "\n> ") + "\n[End of that answer.]"})
	}
	return out, nil
}
