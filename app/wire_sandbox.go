package app

import (
	"context"
	"io"
	"path"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/adapters/tool/web"
	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

func sandboxModule() fx.Option {
	return fx.Module("sandbox",
		fx.Provide(provideSandboxes),
		fx.Invoke(func(lc fx.Lifecycle, s *sandbox.Service, sessions *session.Service) {
			sessions.OnEnd(s.Ended)
			background(lc, s.Run)
		}))
}

// sandboxParts are what sandboxes stand on. Mounters is a group, so that whoever has files for sandboxes brings them.
type sandboxParts struct {
	fx.In

	Config       Config
	Store        *bunstore.Store
	Runtime      runtime.Runtime
	Sessions     *session.Service
	Journal      *session.Journal
	Environments *environment.Service
	Library      *skill.Library
	Market       *skill.Market
	Secrets      *secret.Service
	Files        *file.Service
	Peers        *a2a.Service
	Mounters     []sandbox.Mounter `group:"mounters"`
}

func provideSandboxes(b base, lc fx.Lifecycle, p sandboxParts) (*sandbox.Service, error) {
	pages, err := web.New(web.Config{EgressAllow: p.Config.EgressAllow})
	if err != nil {
		return nil, err
	}
	s, err := sandbox.NewService(sandbox.Deps{
		Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Runtime: p.Runtime, Sessions: p.Store.Sessions(), Environments: p.Environments,
		Journal: p.Journal, Repository: p.Store.Sandboxes(), Tokens: p.Sessions, Variables: sandboxVariables{p.Secrets},
		Outputs: sandboxOutputs{p.Files, p.Peers}, Web: pages,
		Mounters: append([]sandbox.Mounter{fileMounter{p.Files}, libraryMounter{p.Library, p.Market}}, p.Mounters...),
	}, sandbox.Config{
		Limits: p.Config.Runtime.Limits, Timeout: p.Config.Runtime.Timeout, MaxOutput: p.Config.Runtime.MaxOutput, Env: p.Config.Runtime.Env,
	})
	if err != nil {
		return nil, err
	}
	lc.Append(fx.Hook{OnStop: s.Stop})
	return s, nil
}

// sandboxTools offers agents the toolset of their configuration.
type sandboxTools struct{ sandboxes *sandbox.Service }

func (t sandboxTools) Tools(ctx context.Context, sc account.Scope, env run.Env) ([]run.BoundTool, error) {
	offers, err := t.sandboxes.Tools(ctx, sc, env.Session, env.Agent)
	if err != nil {
		return nil, err
	}
	bound := make([]run.BoundTool, len(offers))
	for i, o := range offers {
		bound[i] = run.BoundTool{Tool: o.Tool, Spec: o.Spec, Ask: o.Ask, Toolset: true, Timeout: o.Timeout}
	}
	return bound, nil
}

// sandboxPrompt tells agents about their sandbox.
type sandboxPrompt struct{ sandboxes *sandbox.Service }

func (p sandboxPrompt) Prompt(ctx context.Context, sc account.Scope, env run.Env) (string, error) {
	return p.sandboxes.Prompt(ctx, sc, env.Session, env.Agent)
}

// sandboxVariables gives programs the environment variables of a session's vaults.
type sandboxVariables struct{ secrets *secret.Service }

func (v sandboxVariables) Variables(ctx context.Context, sc account.Scope, vaults []id.Vault) ([]sandbox.Variable, error) {
	list, err := v.secrets.EnvironmentVariables(ctx, sc, vaults)
	if err != nil {
		return nil, err
	}
	out := make([]sandbox.Variable, len(list))
	for i, one := range list {
		out[i] = sandbox.Variable{
			Name: one.Name, Value: one.Value.Reveal(), Limited: one.Networking.Limited, Hosts: one.Networking.AllowedHosts,
		}
	}
	return out, nil
}

// sandboxOutputs keeps what sandboxes made as files of their sessions.
type sandboxOutputs struct {
	files *file.Service
	peers *a2a.Service
}

func (o sandboxOutputs) Save(ctx context.Context, sc account.Scope, n sandbox.NewOutput, body io.Reader) (id.File, error) {
	f, err := o.files.Create(ctx, sc, file.New{
		Name: path.Base(n.Path), Path: n.Path, Session: n.Session, Output: true, Downloadable: true,
		// What was made for an A2A peer is a part of its task, and kept as such or not at all.
		Then: func(ctx context.Context, f file.File) error { return o.peers.OutputMade(ctx, sc, f) },
	}, body)
	return f.ID, err
}

// fileMounter shows the files that a session was given.
type fileMounter struct{ files *file.Service }

var _ sandbox.Mounter = fileMounter{}

// Mounts implements sandbox.Mounter.
func (m fileMounter) Mounts(ctx context.Context, sc account.Scope, sess session.Session, _ agent.Agent) ([]sandbox.Mount, error) {
	var out []sandbox.Mount
	for _, r := range sess.Resources {
		if r.Type != session.ResourceFile {
			continue
		}
		about := "a file"
		if f, err := m.files.Get(ctx, sc, r.File); err == nil { // otherwise Load says what is wrong
			about = "the file " + f.Name
		}
		load := func(context.Context) ([]sandbox.File, error) {
			return []sandbox.File{{Open: func(ctx context.Context) (io.ReadCloser, error) {
				_, content, err := m.files.Open(ctx, sc, r.File)
				return content, err
			}}}, nil
		}
		out = append(out, sandbox.Mount{Path: r.Mount, Version: r.File.String(), About: about, Load: load})
	}
	return out, nil
}
