package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/channel"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Tokens are the secrets of agents that their channels need. app wires core/secret.
type Tokens interface {
	// ChannelTokens returns those of an agent's secrets that have one of the names.
	ChannelTokens(ctx context.Context, sc account.Scope, agent id.Agent, names []string) (map[string]string, error)
}

// Journal is where an agent's own log is written. app wires core/hosting.
type Journal interface {
	// Log adds a line to the log of an agent's instance; one that cannot be written is lost.
	Log(ctx context.Context, sc account.Scope, agent id.Agent, level slog.Level, text string)
}

// ChannelDeps is what Channels needs; all but Journal are required.
type ChannelDeps struct {
	Logger      *slog.Logger
	Chat        *Service
	Connections Connections
	Tokens      Tokens
	Services    []channel.Channel
	Journal     Journal // nil: agents' logs are not told
}

// Channels connects agents with the services in which people write to them, from their start to their stop. Whoever hosts an agent tells
// the Channels of one process alone, so that its messages are received once. It is safe for concurrent use.
type Channels struct {
	d ChannelDeps

	mu      sync.Mutex
	open    map[id.Agent]*connection
	stopped bool
}

// connection is an agent's channels.
type connection struct {
	end  context.CancelFunc
	done sync.WaitGroup
}

// NewChannels returns Channels, or an error that names the missing dependency.
func NewChannels(d ChannelDeps) (*Channels, error) {
	switch {
	case d.Logger == nil:
		return nil, errors.New("chat: ChannelDeps.Logger is required")
	case d.Chat == nil:
		return nil, errors.New("chat: ChannelDeps.Chat is required")
	case d.Connections == nil:
		return nil, errors.New("chat: ChannelDeps.Connections is required")
	case d.Tokens == nil:
		return nil, errors.New("chat: ChannelDeps.Tokens is required")
	}
	return &Channels{d: d, open: map[id.Agent]*connection{}}, nil
}

// Started connects an agent that runs from now on in this process's care: with every service whose tokens it has. What it was connected
// with before is ended first. It returns before anything is received.
func (c *Channels) Started(ctx context.Context, sc account.Scope, of id.Agent) {
	c.Stopped(ctx, sc, of)
	run, end := context.WithCancel(context.WithoutCancel(ctx))
	conn := &connection{end: end}
	c.mu.Lock()
	if _, there := c.open[of]; there || c.stopped {
		c.mu.Unlock()
		end()
		return
	}
	c.open[of] = conn
	for _, service := range c.d.Services {
		conn.done.Go(func() { c.connect(run, account.System(sc.Tenant), of, service) })
	}
	c.mu.Unlock()
}

// Stopped ends the channels of an agent, and returns once nothing is received or said for it any more.
func (c *Channels) Stopped(_ context.Context, _ account.Scope, of id.Agent) {
	c.mu.Lock()
	conn := c.open[of]
	delete(c.open, of)
	c.mu.Unlock()
	if conn != nil {
		conn.end()
		conn.done.Wait()
	}
}

// Stop ends all channels of this process. Agents that are started later are not connected.
func (c *Channels) Stop(context.Context) error {
	c.mu.Lock()
	all := c.open
	c.open, c.stopped = map[id.Agent]*connection{}, true
	c.mu.Unlock()
	for _, conn := range all {
		conn.end()
	}
	for _, conn := range all {
		conn.done.Wait()
	}
	return nil
}

// connect runs one channel of an agent until ctx ends, or its tokens are of no use.
func (c *Channels) connect(ctx context.Context, sc account.Scope, of id.Agent, service channel.Channel) {
	in := &inbox{c: c, sc: sc, agent: of, name: Channel(service.Name())}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := c.run(ctx, in, service)
		if ctx.Err() != nil || err == nil {
			return
		}
		in.Trouble(ctx, err)
		if errors.Is(err, channel.ErrTokens) || !rest(ctx, pause) {
			return // other tokens come with a restart
		}
	}
}

// run receives what comes for an agent on one channel. nil: it has no tokens for that, or ctx has ended.
func (c *Channels) run(ctx context.Context, in *inbox, service channel.Channel) error {
	tokens, err := c.d.Tokens.ChannelTokens(ctx, in.sc, in.agent, service.Tokens())
	if err != nil {
		return err
	}
	var missing []string
	for _, name := range service.Tokens() {
		if tokens[name] == "" {
			missing = append(missing, name)
		}
	}
	switch len(missing) {
	case 0:
	case len(service.Tokens()):
		return in.unused(ctx)
	default:
		return channel.ErrTokens.Withf("the secret %s is missing", strings.Join(missing, " and "))
	}
	with := channel.Account{Tokens: tokens}
	ctx, end := context.WithCancel(ctx)
	desk := c.d.Chat.NewDesk(ctx, in.sc, in.agent, in.name, func(ctx context.Context, chat, text string) error {
		return service.Send(ctx, with, chat, text)
	})
	desk.ShowTyping(func(ctx context.Context, chat string) error { return service.Typing(ctx, with, chat) })
	defer func() {
		end()
		desk.Wait()
	}()
	if err := desk.Resume(ctx); err != nil {
		return err
	}
	in.log(ctx, slog.LevelInfo, "channel "+string(in.name)+" begins")
	at := *in
	at.desk = desk
	return service.Run(ctx, with, &at)
}

// inbox takes what one channel of an agent receives.
type inbox struct {
	c     *Channels
	sc    account.Scope
	agent id.Agent
	name  Channel
	desk  *Desk
}

var _ channel.Inbox = (*inbox)(nil)

// Take implements channel.Inbox. What cannot be taken at all is let go, or it would be offered for ever.
func (in *inbox) Take(ctx context.Context, m channel.Message) error {
	err := in.desk.Deliver(ctx, Incoming{Peer: m.Peer, Chat: m.Chat, Author: m.Author, Group: m.Group, Text: m.Text, Key: m.Key})
	if fault.KindOf(err) == fault.Invalid && err != nil {
		in.log(ctx, slog.LevelWarn, fmt.Sprintf("channel %s: a message was not taken: %s", in.name, problem(err)))
		return nil
	}
	return err
}

// Trouble implements channel.Inbox: what is wrong stands in the agent's log, and in its channels until it is over.
func (in *inbox) Trouble(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = problem(err)
		in.log(ctx, slog.LevelWarn, fmt.Sprintf("channel %s: %s", in.name, text))
	}
	if err := in.c.d.Connections.SetProblem(ctx, in.sc, in.agent, in.name, text); err != nil && ctx.Err() == nil {
		in.c.d.Logger.WarnContext(ctx, "channel's problem not noted", "agent_id", in.agent, "channel", in.name, "error", err)
	}
}

// unused forgets what was wrong with a channel that the agent has no tokens for any more.
func (in *inbox) unused(ctx context.Context) error {
	was, err := in.c.Problems(ctx, in.sc, in.agent)
	if err != nil || was[in.name] == "" {
		return err
	}
	return in.c.d.Connections.SetProblem(ctx, in.sc, in.agent, in.name, "")
}

func (in *inbox) log(ctx context.Context, level slog.Level, text string) {
	in.c.d.Logger.Log(ctx, level, text, "tenant_id", in.sc.Tenant, "agent_id", in.agent)
	if in.c.d.Journal != nil {
		in.c.d.Journal.Log(ctx, in.sc, in.agent, level, text)
	}
}

// problem says what is wrong without inner details.
func problem(err error) string {
	if f, ok := fault.As(err); ok && f.Kind != fault.Internal {
		return f.Message
	}
	return "an internal error"
}

// Problems returns the channels that an agent was ever connected with, with what is wrong with each at the moment; "": nothing.
func (c *Channels) Problems(ctx context.Context, sc account.Scope, of id.Agent) (map[Channel]string, error) {
	return c.d.Connections.Problems(ctx, sc, of)
}
