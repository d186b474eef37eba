package a2a

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	vendor "github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
	"github.com/bureau-agents/bureau/ports/llm"
)

// Config says which agent, and how to talk to it.
type Config struct {
	Name    string // what Name returns; "" is "a2a"
	BaseURL string // below which its card is; required without Card
	// Card is its text, of an agent whose card was judged by others; nil: it is read for each message, since agents are started anew and
	// their cards change.
	Card   []byte
	Token  string      // sent as a bearer token; "" sends none
	Header http.Header // sent too
	// Origin is the only one to which Token and Header are sent, as "https://host:port"; "" is any.
	Origin string
	// Lack is told when the agent wants a credential and there is none: why not.
	Lack             string
	FirstByteTimeout time.Duration // how long to wait for a first byte; 0 is 60 s
	IdleTimeout      time.Duration // how long to wait between two; 0 is 120 s
	// Limit bounds an answer from the message to its end, however much comes meanwhile; 0 leaves that to the caller's context.
	Limit     time.Duration
	Transport http.RoundTripper // nil is http.DefaultTransport
	// Conversations keeps what is known of each; nil keeps it in memory, of 10,000 at most.
	Conversations Conversations
}

// Conversation is what is known of one: the context that the agent knows it by, and the task that goes on.
type Conversation struct {
	Context string
	Task    string // the one that is under way, or waits; "": none
	Waiting bool   // Task waits for more to be said
}

// Conversations keeps conversations by their names. Implementations are safe for concurrent use.
type Conversations interface {
	// Load returns what was saved; zero when nothing was.
	Load(ctx context.Context, name string) (Conversation, error)
	// Save keeps one in the place of what was there.
	Save(ctx context.Context, name string, c Conversation) error
}

// Provider asks one agent. It is safe for concurrent use.
type Provider struct {
	config Config
	client *http.Client
	cards  *http.Client // of cards, which are small
	keep   Conversations
}

var _ llm.Provider = (*Provider)(nil)

// New returns a Provider. It makes no request.
func New(config Config) (*Provider, error) {
	if config.BaseURL == "" && config.Card == nil {
		return nil, errors.New("a2a: Config.BaseURL or Config.Card is required")
	}
	config.Name = cmp.Or(config.Name, "a2a")
	header := config.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if config.Token != "" {
		header.Set("Authorization", "Bearer "+config.Token)
	}
	var base http.RoundTripper = &credentials{base: config.Transport, header: header, origin: config.Origin}
	transport := &wire.Transport{Base: base, FirstByte: config.FirstByteTimeout, Idle: config.IdleTimeout}
	p := &Provider{
		config: config, client: wire.Client(atMost{transport, maxAnswer}), cards: wire.Client(atMost{transport, maxCard}),
		keep: config.Conversations,
	}
	if p.keep == nil {
		p.keep = &memory{}
	}
	return p, nil
}

// Name returns the configured name.
func (p *Provider) Name() string { return p.config.Name }

// Generate sends the newest message with its files, which are refused where the agent's card does not name their type, and streams what the
// agent says. Tools and earlier messages are not sent; the system prompt is not either, since A2A has no place for one. When ctx or
// Config.Limit ends, the agent is silent for too long, or nobody reads on, the agent's task is cancelled.
func (p *Provider) Generate(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		pieces, err := piecesOf(req)
		if err != nil {
			yield(llm.Event{}, err)
			return
		}
		was, err := p.load(ctx, req.Conversation)
		if err != nil {
			yield(llm.Event{}, err)
			return
		}
		x := &exchange{p: p, name: req.Conversation, state: was, id: messageID(req), pieces: pieces}
		gone := false
		name, err := x.run(ctx, func(more string) bool {
			gone = !yield(llm.Event{Text: more}, nil)
			return !gone
		})
		switch {
		case gone:
			return
		case err != nil:
			yield(llm.Event{}, err)
			return
		}
		resp, err := x.answer.response(name)
		yield(llm.Event{Response: resp}, err)
	}
}

// Reply is what an agent answers to Ask.
type Reply struct {
	Text         string // with data as JSON, and files named
	Files        []File
	Conversation Conversation
	Failed       bool // the task has failed, was refused, or wants a person to sign in; Text says so
}

// File is a file that came with an answer.
type File struct {
	Name, MediaType string
	Data            []byte
}

// Ask sends a message in a conversation, which is new when it is zero, and returns the whole answer. The agent's task is cancelled
// as that of Generate is. Config.Conversations is not used.
func (p *Provider) Ask(ctx context.Context, c Conversation, message string) (Reply, error) {
	x := &exchange{p: p, state: c, id: vendor.NewMessageID(), pieces: []piece{textPiece(message)}}
	size := 0
	_, err := x.run(ctx, func(more string) bool {
		size += len(more)
		return size <= maxSaid
	})
	if err != nil {
		return Reply{}, err
	}
	r := Reply{Text: x.answer.text.String(), Files: x.answer.files, Conversation: x.state}
	if size > maxSaid {
		r.Text += "\n[cut: the agent says too much]"
	} else if _, err := x.answer.response(""); err != nil {
		r.Failed = true
		r.Text = refusalText(err)
	}
	return r, nil
}

// maxSaid is how much of an answer to Ask is kept, in bytes.
const maxSaid = 1 << 20

// messageID names a message by what is said and where, so that an agent which is sent it again, after a broken connection or by another
// server of ours, can tell.
func messageID(req llm.Request) string {
	if req.Conversation == "" {
		return vendor.NewMessageID()
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %d", req.Conversation, len(req.Messages))
	for _, m := range req.Messages[max(0, len(req.Messages)-2):] {
		for _, b := range m.Blocks {
			fmt.Fprintf(h, " %q", b.Text)
			if b.ToolResult != nil {
				fmt.Fprintf(h, " %q", b.ToolResult.Text)
			}
			if b.Media != nil {
				fmt.Fprintf(h, " %q %q %x", b.Media.MediaType, b.Media.URL, sha256.Sum256(b.Media.Data))
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func (p *Provider) load(ctx context.Context, name string) (Conversation, error) {
	if name == "" {
		return Conversation{}, nil
	}
	c, err := p.keep.Load(ctx, name)
	if c.Context == "" {
		c.Context = name // what the agent is asked to know the conversation by
	}
	return c, err
}
