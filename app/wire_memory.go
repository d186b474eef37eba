package app

import (
	"context"
	"io"
	"strings"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/embedding"
)

func memoryModule() fx.Option {
	return fx.Module("memory", fx.Provide(
		provideMemory,
		fx.Annotate(func(m *memory.Service) sandbox.Mounter { return memoryMounter{m} }, fx.ResultTags(`group:"mounters"`)),
	))
}

func provideMemory(b base, s *bunstore.Store, e embedding.Embedder, agents *agent.Service) (*memory.Service, error) {
	store := s.Memory()
	return memory.NewService(memory.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Stores: store, Memories: store, Index: store, Versions: store, Embedder: e,
		Agents: agents,
	}, memory.Config{})
}

// attachMemory returns the memory stores of a session.
func attachMemory(ctx context.Context, m *memory.Service, sc account.Scope, sess session.Session, a agent.Agent) ([]memory.Attached, error) {
	var given []memory.Given
	for _, r := range sess.Resources {
		if r.Type == session.ResourceMemoryStore {
			given = append(given, memory.Given{Store: r.Store, Mount: r.Mount, ReadOnly: r.ReadOnly, Instructions: r.Instructions})
		}
	}
	if sess.Private {
		return m.AttachPrivate(ctx, sc, a, given, session.MemoryDir)
	}
	return m.Attach(ctx, sc, a, given, session.MemoryDir)
}

// memoryTools offers every agent its memory.
type memoryTools struct{ memory *memory.Service }

func (t memoryTools) Tools(ctx context.Context, sc account.Scope, env run.Env) ([]run.BoundTool, error) {
	have, err := attachMemory(ctx, t.memory, sc, env.Session, env.Agent)
	if err != nil {
		return nil, err
	}
	tools, err := t.memory.Tools(sc, have)
	return bind(tools), err
}

// memoryPrompt tells an agent of the memory stores of its session.
type memoryPrompt struct{ memory *memory.Service }

func (p memoryPrompt) Prompt(ctx context.Context, sc account.Scope, env run.Env) (string, error) {
	have, err := attachMemory(ctx, p.memory, sc, env.Session, env.Agent)
	if err != nil {
		return "", err
	}
	return memory.Prompt(have, hasSandbox(env.Agent.Config)), nil
}

// memoryMounter shows the memory stores of a session in its sandbox, and stores what programs change.
type memoryMounter struct{ memory *memory.Service }

var _ sandbox.Mounter = memoryMounter{}

// Mounts implements sandbox.Mounter.
func (m memoryMounter) Mounts(ctx context.Context, sc account.Scope, sess session.Session, a agent.Agent) ([]sandbox.Mount, error) {
	have, err := attachMemory(ctx, m.memory, sc, sess, a)
	if err != nil {
		return nil, err
	}
	var out []sandbox.Mount
	for _, at := range have {
		snap, err := m.memory.Snapshot(ctx, sc, at)
		if err != nil {
			return nil, err
		}
		mount := sandbox.Mount{
			Path: at.Mount, Version: snap.Version, ReadOnly: at.ReadOnly,
			Load: func(context.Context) ([]sandbox.File, error) { return m.files(sc, snap), nil },
		}
		if !at.ReadOnly {
			mount.Sync = func(ctx context.Context, changes []sandbox.Change) error {
				back := make([]memory.Change, len(changes))
				for i, c := range changes {
					back[i] = memory.Change{Path: "/" + c.Path, Content: string(c.Data), Removed: c.Removed}
				}
				return m.memory.TakeBack(ctx, sc, at, snap, back, memory.Actor{Session: sess.ID})
			}
		}
		out = append(out, mount)
	}
	return out, nil
}

func (m memoryMounter) files(sc account.Scope, snap memory.Snapshot) []sandbox.File {
	out := make([]sandbox.File, len(snap.Memories))
	for i, of := range snap.Memories {
		out[i] = sandbox.File{Path: strings.TrimPrefix(of.Path, "/"), Open: func(ctx context.Context) (io.ReadCloser, error) {
			now, err := m.memory.Memory(ctx, sc, snap.Store, of.ID)
			if err != nil {
				return nil, err
			}
			return io.NopCloser(strings.NewReader(now.Content)), nil
		}}
	}
	return out
}
