package app

import (
	"context"
	"log/slog"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/channel"
	"github.com/bureau-agents/bureau/ports/id"
)

// chatModule lets people talk to hosted agents, over the API and over channels. Services in which people write to agents are in fx's group
// "channels".
func chatModule() fx.Option {
	return fx.Module("chat",
		fx.Provide(
			newRunningAgents,
			newAgentLogs,
			provideChat,
			provideChannels,
			fx.Annotate(func(c *chat.Channels) hosting.Watcher { return c }, fx.ResultTags(`group:"hosting_watchers"`)),
		),
		fx.Invoke(func(r *runningAgents, h *hosting.Service) { r.hosting = h }),
	)
}

// runningAgents says which agents run. The chat is told of their starts by what hosts them, so that hosting is made after it.
type runningAgents struct{ hosting *hosting.Service }

func newRunningAgents() *runningAgents { return &runningAgents{} }

// Running implements chat.Hosting.
func (r *runningAgents) Running(ctx context.Context, sc account.Scope, of id.Agent) error {
	return r.hosting.Running(ctx, sc, of)
}

// agentLogs are the logs of agents, once hosting is there to write them.
type agentLogs struct{ activity *hosting.Activity }

func newAgentLogs() *agentLogs { return &agentLogs{} }

// Log implements chat.Journal.
func (l *agentLogs) Log(ctx context.Context, sc account.Scope, of id.Agent, level slog.Level, text string) {
	if l.activity != nil {
		l.activity.Log(ctx, sc, of, level, text)
	}
}

func provideChat(
	b base, s *bunstore.Store, agents *agent.Service, hosts *runningAgents, sessions *session.Service, m *memory.Service,
) (*chat.Service, error) {
	return chat.NewService(chat.Deps{
		TX: b.TX, Clock: b.Clock, Logger: b.Logger, Peers: s.ChatPeers(), Sessions: s.ChatSessions(), Requests: s.ChatRequests(),
		Agents: agents, Hosting: hosts, Talks: sessions, Memory: m,
	})
}

// channelParts are what channels stand on.
type channelParts struct {
	fx.In

	Store    *bunstore.Store
	Chat     *chat.Service
	Secrets  *secret.AgentSecrets
	Logs     *agentLogs
	Services []channel.Channel `group:"channels"`
}

func provideChannels(b base, lc fx.Lifecycle, p channelParts) (*chat.Channels, error) {
	c, err := chat.NewChannels(chat.ChannelDeps{
		Logger: b.Logger, Chat: p.Chat, Connections: p.Store.ChatRequests(), Tokens: channelTokens{p.Secrets}, Services: p.Services,
		Journal: p.Logs,
	})
	if err == nil {
		lc.Append(fx.StopHook(c.Stop))
	}
	return c, err
}

// channelTokens are the secrets of agents by which their channels sign in.
type channelTokens struct{ secrets *secret.AgentSecrets }

// ChannelTokens implements chat.Tokens.
func (t channelTokens) ChannelTokens(ctx context.Context, sc account.Scope, of id.Agent, names []string) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range names {
		v, err := t.secrets.Token(ctx, sc, of, name)
		if err != nil {
			return nil, err
		}
		if !v.IsZero() {
			out[name] = v.Reveal()
		}
	}
	return out, nil
}
