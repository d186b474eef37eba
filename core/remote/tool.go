package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

// ToolTimeout bounds a call of a remote agent as a tool: agents work before they answer.
const ToolTimeout = 10 * time.Minute

// Line is how a remote agent is reached.
type Line struct {
	Name   string
	Card   []byte // its text, judged
	Origin string // of the card
	// Credential is zero for none; Secret belongs to it.
	Credential Credential
	Secret     secret.Value
	// Lack says why a credential that a vault has is of no use, when there is no other; "" otherwise.
	Lack string
}

// Line returns how r is reached in a session that has vaults: with r's own credential, or, where it has none, with that of a vault. The
// addresses of r count in their order: as it was registered, of its card, of its endpoint, their origin; for each of them the first vault
// that has a credential. One that has expired, or cannot be refreshed, is passed over, since the agent may want none, or another. What
// comes of a vault goes to the origin of the card alone.
func (s *Service) Line(ctx context.Context, sc account.Scope, r Remote, vaults []id.Vault) (Line, error) {
	l := Line{Name: r.Name, Card: r.Card.Text, Origin: Origin(r.Card.URL), Credential: r.Credential}
	if r.Credential.Kind != "" || len(vaults) == 0 {
		var err error
		l.Secret, err = s.Secret(ctx, r)
		return l, err
	}
	for _, address := range r.addresses() {
		t, ok, err := s.d.Vaults.Bearer(ctx, sc, vaults, address)
		switch {
		case errors.Is(err, secret.ErrExpired), errors.Is(err, secret.ErrRefresh):
			if why, known := fault.As(err); known && l.Lack == "" {
				l.Lack = why.Message
			}
		case err != nil:
			return Line{}, err
		case ok:
			l.Credential, l.Secret, l.Lack = Credential{Kind: Bearer}, t.Value, ""
			return l, nil
		}
	}
	return l, nil
}

// addresses are those by which a vault may know r: as it was registered, of its card, of its endpoint, and their origin. What is at
// another origin than the card is not its own.
func (r Remote) addresses() []string {
	home := Origin(r.Card.URL)
	var out []string
	for _, address := range []string{r.URL, r.Card.URL, r.Card.Endpoint, home} {
		if Origin(address) == home && !slices.Contains(out, address) {
			out = append(out, address)
		}
	}
	return out
}

// Answer is what a remote agent answers to a message.
type Answer struct {
	Text         string // with files and data named
	Media        []tool.Media
	Conversation Conversation
	Failed       bool // the task has failed, or was refused; Text says why
}

// Caller sends messages to remote agents.
type Caller interface {
	// Ask sends a message in a conversation, which is new when it is zero, and waits for the answer, or until the agent wants to know more.
	// When ctx ends first, the task is cancelled there.
	Ask(ctx context.Context, line Line, c Conversation, message string) (Answer, error)
}

// Holder is who has a remote agent as a tool.
type Holder struct {
	Agent   id.Agent
	Session id.Session // in which it has it
	Vaults  []id.Vault // of the session
}

// agentTool is a remote agent as a tool of a session.
type agentTool struct {
	s      *Service
	caller Caller
	sc     account.Scope
	r      Remote
	in     Holder
}

var _ tool.Tool = agentTool{}

// Tool returns a remote agent as a tool that an agent has in a session.
func (s *Service) Tool(sc account.Scope, r Remote, caller Caller, in Holder) tool.Tool {
	return agentTool{s, caller, sc, r, in}
}

var toolSchema = json.RawMessage(`{"type":"object","properties":{` +
	`"message":{"type":"string","minLength":1,"maxLength":200000,"description":"What to say to the agent; it knows nothing else of this conversation."},` +
	`"context_id":{"type":"string","maxLength":400,"description":"That of an earlier answer of this agent, to go on with that conversation; leave it out to begin a new one."}` +
	`},"required":["message"],"additionalProperties":false}`)

// Spec implements tool.Tool.
func (t agentTool) Spec() tool.Spec {
	what := t.r.Description
	if what == "" {
		var own struct {
			Description string `json:"description"`
		}
		if json.Unmarshal(t.r.Card.Text, &own) == nil {
			what = cut(own.Description, MaxDescription)
		}
	}
	return tool.Spec{
		Name:        t.r.Name,
		Description: strings.TrimSpace("Sends a message to another agent, outside of this system, and returns its answer. What the agent says of itself: " + what),
		InputSchema: toolSchema,
	}
}

// Call implements tool.Tool.
func (t agentTool) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	var in struct {
		Message string `json:"message"`
		Context string `json:"context_id"`
	}
	if err := json.Unmarshal(call.Input, &in); err != nil {
		return tool.Result{Text: "the input must be an object with a message", IsError: true}, nil //nolint:nilerr // the model mends it
	}
	// The gate has judged the card that was there when the turn began. Another one has to be judged before anybody is called by it.
	now, err := t.s.d.Remotes.Get(ctx, t.sc, t.r.ID)
	if err != nil {
		return tool.Result{}, err
	}
	if now.Card.Digest != t.r.Card.Digest {
		return tool.Result{Text: "the agent's card has just changed: it can be called again in the next turn", IsError: true}, nil
	}
	var c Conversation
	if in.Context != "" {
		var known bool
		if c, known, err = t.s.d.Conversations.Load(ctx, t.sc, t.in.Agent, t.named(in.Context)); err != nil {
			return tool.Result{}, err
		}
		if !known {
			return tool.Result{Text: "no answer of this agent in this session had that context_id; leave it out to begin anew", IsError: true}, nil
		}
	}
	line, err := t.s.Line(ctx, t.sc, now, t.in.Vaults)
	if err != nil {
		return tool.Result{}, err
	}
	a, err := t.caller.Ask(ctx, line, c, in.Message)
	if err != nil {
		return tool.Result{}, err
	}
	res := tool.Result{Text: a.Text, Media: a.Media, IsError: a.Failed}
	if a.Conversation.Context == "" || len(a.Conversation.Context) > maxContext {
		return res, nil
	}
	a.Conversation.UsedAt = t.s.now()
	if err := t.s.d.Conversations.Save(ctx, t.sc, t.in.Agent, t.named(a.Conversation.Context), a.Conversation); err != nil {
		return tool.Result{}, err
	}
	note := ""
	if a.Conversation.Waiting {
		note = "The agent waits for an answer. "
	}
	res.Text = strings.TrimSpace(res.Text + fmt.Sprintf("\n\n[%sTo go on with this conversation, use context_id %q.]", note, a.Conversation.Context))
	return res, nil
}

// maxContext is how long a context's name may be that is kept, in bytes.
const maxContext = 400

// named names a conversation of the tool: what one session says to the agent is not another's to go on with.
func (t agentTool) named(context string) string {
	return t.r.ID.UUID().String() + "/" + t.in.Session.UUID().String() + "/" + context
}

// Conversation returns what is kept of a conversation that an agent's sessions have with the one that it stands for, or that it is as a
// program; zero when nothing is.
func (s *Service) Conversation(ctx context.Context, sc account.Scope, of id.Agent, name string) (Conversation, error) {
	c, _, err := s.d.Conversations.Load(ctx, sc, of, name)
	return c, err
}

// Remember keeps a conversation for Conversation.
func (s *Service) Remember(ctx context.Context, sc account.Scope, of id.Agent, name string, c Conversation) error {
	c.UsedAt = s.now()
	return s.d.Conversations.Save(ctx, sc, of, name, c)
}
