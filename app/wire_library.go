package app

import (
	"context"
	"fmt"
	"path"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/id"
)

func provideLibrary(b base, s *bunstore.Store, blobs blob.Store, ward *skill.Ward, trail *audit.Service) (*skill.Library, error) {
	return skill.NewLibrary(skill.LibraryDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: s.Guides(), Acceptor: s.Guides(), Blobs: blobs, Plugins: s.Skills(),
		Ward: ward, Holds: s.Quarantine(), Audit: skillTrail(trail),
	})
}

// skillCheck tells agents which skills there are.
type skillCheck struct{ library *skill.Library }

func (c skillCheck) CheckSkills(ctx context.Context, sc account.Scope, refs []agent.SkillRef) ([]agent.SkillRef, error) {
	checked, err := c.library.CheckRefs(ctx, sc, skillRefs(refs))
	if err != nil {
		return nil, err
	}
	out := make([]agent.SkillRef, len(checked))
	for i, r := range checked {
		out[i] = agent.SkillRef(r)
	}
	return out, nil
}

func skillRefs(refs []agent.SkillRef) []skill.Ref {
	out := make([]skill.Ref, len(refs))
	for i, r := range refs {
		out[i] = skill.Ref(r)
	}
	return out
}

// guidesOf looks up the skills of an agent that are read: those of its configuration, and what is installed on it.
func guidesOf(
	ctx context.Context, sc account.Scope, library *skill.Library, market *skill.Market, of id.Agent, c agent.Config,
) ([]skill.Attached, error) {
	have, err := library.Attach(ctx, sc, skillRefs(c.Skills))
	if err != nil {
		return nil, err
	}
	return market.Attach(ctx, sc, of, have)
}

// libraryTools offers an agent the tool that reads its skills.
type libraryTools struct {
	library *skill.Library
	market  *skill.Market
}

func (t libraryTools) Tools(ctx context.Context, sc account.Scope, env run.Env) ([]run.BoundTool, error) {
	have, err := guidesOf(ctx, sc, t.library, t.market, env.Agent.ID, env.Agent.Config)
	if err != nil || len(have) == 0 {
		return nil, err
	}
	read, err := t.library.Tool(sc, have)
	if err != nil {
		return nil, err
	}
	return []run.BoundTool{{Tool: read}}, nil
}

// libraryPrompt tells an agent of the skills that it can read.
type libraryPrompt struct {
	library *skill.Library
	market  *skill.Market
}

func (p libraryPrompt) Prompt(ctx context.Context, sc account.Scope, env run.Env) (string, error) {
	have, err := guidesOf(ctx, sc, p.library, p.market, env.Agent.ID, env.Agent.Config)
	if err != nil {
		return "", err
	}
	dir := ""
	if hasSandbox(env.Agent.Config) {
		dir = session.SkillsDir
	}
	return skill.Prompt(have, dir), nil
}

// hasSandbox reports whether an agent has tools that see the files of a sandbox.
func hasSandbox(c agent.Config) bool {
	set, ok := c.Toolset()
	if !ok {
		return false
	}
	bash, _ := set.Lookup("bash")
	read, _ := set.Lookup("read")
	return bash || read
}

// libraryMounter shows the skills that an agent can read in its sandbox.
type libraryMounter struct {
	library *skill.Library
	market  *skill.Market
}

var _ sandbox.Mounter = libraryMounter{}

// Mounts implements sandbox.Mounter.
func (m libraryMounter) Mounts(ctx context.Context, sc account.Scope, sess session.Session, a agent.Agent) ([]sandbox.Mount, error) {
	have, err := guidesOf(ctx, sc, m.library, m.market, a.ID, a.Config)
	if err != nil {
		return nil, err
	}
	var out []sandbox.Mount
	for _, h := range have {
		if h.Problem != "" || h.Unverified {
			continue
		}
		out = append(out, sandbox.Mount{
			Path: path.Join(session.SkillsDir, h.Name), Version: fmt.Sprintf("%s/%d", h.Guide.Ref(), h.Version.Number), ReadOnly: true,
			Load: func(ctx context.Context) ([]sandbox.File, error) {
				if err := m.library.Admit(ctx, sc, h, sess.ID, a.ID, skill.UseMounted); err != nil {
					return nil, err
				}
				var files []sandbox.File
				for _, f := range m.library.Files(sc, h) {
					files = append(files, sandbox.File{Path: f.Path, Open: f.Open})
				}
				return files, nil
			},
		})
	}
	return out, nil
}
