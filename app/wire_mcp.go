package app

import (
	"context"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/tool/mcp"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/egress"
)

func mcpModule() fx.Option {
	return fx.Module("mcp", fx.Provide(provideMCP))
}

// maxMCPAnswer bounds one answer of an MCP server, in bytes; streams are answers too.
const maxMCPAnswer = 64 << 20

func provideMCP(
	lc fx.Lifecycle, b base, cfg Config, secrets *secret.Service, environments *environment.Service, sandboxes *sandbox.Service,
) (*mcp.Source, error) {
	guarded, err := egress.New(egress.Config{Allow: cfg.EgressAllow, Timeout: -1, MaxBody: maxMCPAnswer})
	if err != nil {
		return nil, err
	}
	s, err := mcp.NewSource(mcp.Deps{
		Clock: b.Clock, Logger: b.Logger, Client: guarded.HTTPClient(), Credentials: secrets, Reach: mcpReach{environments}, Launcher: sandboxes,
	}, mcp.Config{Version: Version()})
	if err != nil {
		return nil, err
	}
	background(lc, s.Run)
	return s, nil
}

// mcpReach holds a session's environment against the MCP servers of its agent.
type mcpReach struct{ environments *environment.Service }

// CheckMCP implements mcp.Reach. Programs are in the sandbox, whose network is limited already.
func (r mcpReach) CheckMCP(ctx context.Context, sc account.Scope, sess session.Session, server agent.MCPServer) error {
	if sess.Environment.IsZero() || server.Stdio != nil {
		return nil
	}
	e, err := r.environments.Get(ctx, sc, sess.Environment)
	if err != nil {
		return err
	}
	return e.Config.Networking.CheckMCP(server.URL)
}
