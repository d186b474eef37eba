package a2a

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"time"

	vendor "github.com/a2aproject/a2a-go/a2a"
	"github.com/a2aproject/a2a-go/a2aclient"
	"github.com/a2aproject/a2a-go/a2aclient/agentcard"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
	"github.com/bureau-agents/bureau/ports/llm"
)

// Config says which agent, and how to talk to it.
type Config struct {
	Name             string            // what Name returns; "" is "a2a"
	BaseURL          string            // below which its card is
	Token            string            // sent as a bearer token; "" sends none
	FirstByteTimeout time.Duration     // how long to wait for a first byte; 0 is 60 s
	IdleTimeout      time.Duration     // how long to wait between two; 0 is 120 s
	Transport        http.RoundTripper // nil is http.DefaultTransport
}

// Provider asks one agent. It is safe for concurrent use.
type Provider struct {
	config Config
	client *http.Client
	cards  *http.Client // of cards, which are small

	mu      sync.Mutex
	waiting map[string]vendor.TaskID // by conversation: the task that asked for more
}

var _ llm.Provider = (*Provider)(nil)

// maxWaiting bounds how many conversations' questions are remembered: of those that are forgotten, an answer begins a new task.
const maxWaiting = 10_000

// cardPaths are where agents have their cards, since A2A 0.3 and before it.
var cardPaths = []string{"/.well-known/agent-card.json", "/.well-known/agent.json"}

// New returns a Provider. It makes no request.
func New(config Config) (*Provider, error) {
	if config.BaseURL == "" {
		return nil, errors.New("a2a: Config.BaseURL is required")
	}
	config.Name = cmp.Or(config.Name, "a2a")
	header := http.Header{}
	if config.Token != "" {
		header.Set("Authorization", "Bearer "+config.Token)
	}
	transport := &wire.Transport{
		Base: config.Transport, FirstByte: config.FirstByteTimeout, Idle: config.IdleTimeout, Header: header,
	}
	return &Provider{
		config: config, waiting: map[string]vendor.TaskID{}, client: wire.Client(transport), cards: wire.Client(small{transport}),
	}, nil
}

// maxCard is how large a card may be, in bytes: it is read as a whole.
const maxCard = 1 << 20

// small cuts answers off that are larger than a card.
type small struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s small) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.base.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxCard)
	}
	return resp, err
}

// Name returns the configured name.
func (p *Provider) Name() string { return p.config.Name }

// Generate sends the newest message and streams what the agent says. Tools and earlier messages are not sent; the system prompt is not
// either, since A2A has no place for one.
func (p *Provider) Generate(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		message, err := p.message(req)
		if err != nil {
			yield(llm.Event{}, err)
			return
		}
		calling, cancel := context.WithCancel(ctx)
		defer cancel()
		calling, exchange := wire.WithExchange(calling)
		card, err := p.card(calling)
		if err != nil {
			yield(llm.Event{}, failure(ctx, err, exchange, false))
			return
		}
		client, err := a2aclient.NewFromCard(calling, card, a2aclient.WithDefaultsDisabled(), a2aclient.WithJSONRPCTransport(p.client))
		if err != nil {
			yield(llm.Event{}, llm.ErrRefusedRequest.Withf("the agent does not speak A2A over JSON-RPC").Wrap(err))
			return
		}
		a := &answer{said: map[vendor.ArtifactID]bool{}}
		for event, err := range client.SendStreamingMessage(calling, &vendor.MessageSendParams{Message: message}) {
			if err != nil {
				yield(llm.Event{}, failure(ctx, err, exchange, a.text.Len() > 0))
				return
			}
			if more := a.take(event); more != "" && !yield(llm.Event{Text: more}, nil) {
				p.abandon(ctx, client, a)
				return
			}
		}
		p.remember(req.Conversation, a)
		resp, err := a.response(card.Name)
		yield(llm.Event{Response: resp}, err)
	}
}

// card reads what the agent says of itself. It is read for each message: agents are started anew, and their cards change.
func (p *Provider) card(ctx context.Context) (*vendor.AgentCard, error) {
	resolver := agentcard.NewResolver(p.cards)
	var first error
	for _, path := range cardPaths {
		card, err := resolver.Resolve(ctx, p.config.BaseURL, agentcard.WithPath(path))
		if err == nil {
			return card, nil
		}
		if first == nil {
			first = err
		}
		if missing := (*agentcard.ErrStatusNotOK)(nil); !errors.As(err, &missing) || missing.StatusCode != http.StatusNotFound {
			break
		}
	}
	return nil, first
}

// message is the newest of a request.
func (p *Provider) message(req llm.Request) (*vendor.Message, error) {
	if len(req.Messages) == 0 {
		return nil, llm.ErrRefusedRequest.Withf("there is no message")
	}
	var parts []vendor.Part
	for _, b := range req.Messages[len(req.Messages)-1].Blocks {
		switch {
		case b.Text != "":
			parts = append(parts, vendor.TextPart{Text: b.Text})
		case b.ToolResult != nil:
			parts = append(parts, vendor.TextPart{Text: b.ToolResult.Text})
		case b.Media != nil:
			return nil, llm.ErrRefusedRequest.Withf("the agent is sent text only")
		}
	}
	m := vendor.NewMessage(vendor.MessageRoleUser, parts...)
	m.ContextID = req.Conversation
	p.mu.Lock()
	defer p.mu.Unlock()
	m.TaskID = p.waiting[req.Conversation]
	return m, nil
}

// remember keeps the task that asked for more, for what is said next.
func (p *Provider) remember(conversation string, a *answer) {
	if conversation == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, conversation)
	if a.state == vendor.TaskStateInputRequired && len(p.waiting) < maxWaiting {
		p.waiting[conversation] = a.task
	}
}

// cancelWait bounds the request that ends an abandoned task.
const cancelWait = 5 * time.Second

// abandon tells the agent that nobody waits for its task any more.
func (p *Provider) abandon(ctx context.Context, client *a2aclient.Client, a *answer) {
	if a.task == "" || a.state.Terminal() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelWait)
	defer cancel()
	_, _ = client.CancelTask(ctx, &vendor.TaskIDParams{ID: a.task}) // it may have ended, or know no cancelling
}

// failure tells what an error means.
func failure(ctx context.Context, err error, x *wire.Exchange, began bool) error {
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return llm.ErrRefusedRequest.Withf("the agent's card is larger than %d bytes", large.Limit)
	}
	if status := (*agentcard.ErrStatusNotOK)(nil); errors.As(err, &status) {
		return wire.Status(status.StatusCode, "its card cannot be read", http.Header{})
	}
	if !began && x.Status >= http.StatusBadRequest {
		return wire.Status(x.Status, "the agent answered with an error", x.Header)
	}
	for _, refused := range []error{
		vendor.ErrInvalidParams, vendor.ErrInvalidRequest, vendor.ErrMethodNotFound, vendor.ErrUnsupportedOperation, vendor.ErrTaskNotFound,
		vendor.ErrUnsupportedContentType,
	} {
		if errors.Is(err, refused) {
			return llm.ErrRefusedRequest.Withf("the agent refused the message: %v", err).Wrap(err)
		}
	}
	return wire.Broken(ctx, err, began)
}

// answer gathers what an agent says.
type answer struct {
	text  strings.Builder
	said  map[vendor.ArtifactID]bool // artifacts that have begun
	task  vendor.TaskID
	state vendor.TaskState
	last  string // of the last status
}

// take returns the text that an event adds.
func (a *answer) take(event vendor.Event) string {
	switch e := event.(type) {
	case *vendor.Message:
		return a.say(textOf(e.Parts), true)
	case *vendor.Task:
		a.task, a.state = e.ID, e.Status.State
		more := ""
		for _, artifact := range e.Artifacts {
			if !a.said[artifact.ID] {
				a.said[artifact.ID] = true
				more += a.say(textOf(artifact.Parts), true)
			}
		}
		return more + a.status(e.Status)
	case *vendor.TaskArtifactUpdateEvent:
		a.task = e.TaskID
		begins := !a.said[e.Artifact.ID]
		a.said[e.Artifact.ID] = true
		return a.say(textOf(e.Artifact.Parts), begins)
	case *vendor.TaskStatusUpdateEvent:
		a.task, a.state = e.TaskID, e.Status.State
		return a.status(e.Status)
	}
	return ""
}

// status returns the text of a status that says something to the user; what an agent says while it works is not its answer.
func (a *answer) status(s vendor.TaskStatus) string {
	if s.Message == nil {
		return ""
	}
	a.last = textOf(s.Message.Parts)
	if s.State == vendor.TaskStateCompleted || s.State == vendor.TaskStateInputRequired {
		return a.say(a.last, true)
	}
	return ""
}

// say adds text, in a paragraph of its own when it begins something.
func (a *answer) say(text string, begins bool) string {
	if text == "" {
		return ""
	}
	if begins && a.text.Len() > 0 {
		text = "\n\n" + text
	}
	a.text.WriteString(text)
	return text
}

func textOf(parts []vendor.Part) string {
	var b strings.Builder
	for _, part := range parts {
		switch p := part.(type) {
		case vendor.TextPart:
			b.WriteString(p.Text)
		case *vendor.TextPart:
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// response is the whole answer. A task that failed is an error.
func (a *answer) response(model string) (*llm.Response, error) {
	switch a.state {
	case vendor.TaskStateFailed, vendor.TaskStateRejected, vendor.TaskStateAuthRequired, vendor.TaskStateCanceled:
		return nil, llm.ErrRefusedRequest.Withf("the agent's task is %s: %s", a.state, cmp.Or(a.last, "it does not say why"))
	}
	if a.text.Len() == 0 {
		return nil, llm.ErrCutStream.Wrap(fmt.Errorf("a2a: the task is %q and says nothing", a.state))
	}
	return &llm.Response{
		Blocks: []llm.Block{{Text: a.text.String()}}, StopReason: llm.StopEnd, Model: model, ProviderID: string(a.task),
	}, nil
}
