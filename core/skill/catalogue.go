package skill

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Skills lists the catalogue: the enabled skills, by name. It is the same for every tenant.
func (s *Service) Skills(ctx context.Context, _ account.Scope, search string, req page.Request) (page.Page[Plugin], error) {
	return s.Repository.List(ctx, ListRequest{Kind: KindSkill, Enabled: true, Search: search, Page: req})
}

// Skill returns one skill of the catalogue by its name or id; ErrSkillNotFound.
func (s *Service) Skill(ctx context.Context, _ account.Scope, ref string) (Plugin, error) {
	p, err := s.find(ctx, ref)
	if errors.Is(err, ErrNotFound) || err == nil && (p.Kind != KindSkill || !p.Enabled) {
		return Plugin{}, ErrSkillNotFound.Withf("no skill %q", cut(ref))
	}
	return p, err
}

// InstallOnAgent gives a skill of the catalogue, by its name or id, to an agent and pins the release in force. An agent that
// has the skill already gets the release in force now. A turn that is under way is not changed by it.
//
// Returns ErrSkillNotFound, a fault.NotFound for the agent, ErrLimit, or ErrQuarantined.
func (s *Service) InstallOnAgent(ctx context.Context, sc account.Scope, agent id.Agent, ref string) (Installed, error) {
	return s.installOnAgent(ctx, sc, agent, ref, "")
}

func (s *Service) installOnAgent(ctx context.Context, sc account.Scope, agent id.Agent, ref string, level Trust) (Installed, error) {
	if err := s.Agents.Exists(ctx, sc, agent); err != nil {
		return Installed{}, err
	}
	var out Installed
	err := s.TX.Do(ctx, func(ctx context.Context) error {
		p, err := s.Skill(ctx, sc, ref)
		if err != nil {
			return err
		}
		if err := room(ctx, s.Installations, sc, agent, p.Skill()); err != nil {
			return err
		}
		now := clock.Stored(s.Clock.Now())
		in := Installation{
			ID: id.New[id.InstalledSkillKind](s.IDs), Tenant: sc.Tenant, Agent: agent, Skill: p.Skill(), Kind: ContentPlugin,
			Level: level, CreatedAt: now, UpdatedAt: now,
		}
		if p.Release != nil {
			in.Digest = p.Release.Digest()
			if err := s.Ward.check(ctx, sc, in.Digest); err != nil {
				return err
			}
		}
		if in, err = s.Installations.Save(ctx, sc, in); err != nil {
			return err
		}
		out = Installed{Installation: in, Of: p, Release: p.Release}
		return s.record(ctx, sc, "skill_installed", agent, p, in.Digest)
	})
	return out, err
}

// room returns ErrLimit when the plan has none for a skill that the agent does not have.
func room(ctx context.Context, repo InstallationRepository, sc account.Scope, agent id.Agent, of id.Skill) error {
	have, err := repo.Pins(ctx, sc, agent)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(have, func(in Installation) bool { return in.Skill == of }) {
		return nil
	}
	if most := sc.Plan.Limits().SkillsPerAgent; most >= 0 && len(have) >= most {
		return ErrLimit.Withf("the plan %q allows %d skills on an agent", sc.Plan, most)
	}
	return nil
}

// UninstallFromAgent takes a plugin's skill, named by its name, its id or the installation's id, from an agent; ErrNotInstalled.
func (s *Service) UninstallFromAgent(ctx context.Context, sc account.Scope, agent id.Agent, ref string) error {
	if err := s.Agents.Exists(ctx, sc, agent); err != nil {
		return err
	}
	return s.TX.Do(ctx, func(ctx context.Context) error {
		have, err := s.Installations.List(ctx, sc, agent)
		if err != nil {
			return err
		}
		for _, in := range have {
			if !in.named(ref) {
				continue
			}
			if err := s.Installations.Delete(ctx, sc, agent, in.Skill); err != nil {
				return err
			}
			return s.record(ctx, sc, "skill_uninstalled", agent, in.Of, in.Digest)
		}
		return ErrNotInstalled.Withf("the agent has no skill %q", cut(ref))
	})
}

func (in Installed) named(ref string) bool {
	if in.Of.Name == ref {
		return true
	}
	if u, err := id.Parse[id.InstalledSkillKind](ref); err == nil && u == in.ID {
		return true
	}
	if u, err := id.Parse[id.SkillKind](ref); err == nil && u == in.Of.Skill() {
		return true
	}
	u, err := id.Parse[id.PluginKind](ref)
	return err == nil && u == in.Plugin()
}

// Tools returns the agent's installed and enabled skills as tools, in the order of installation. Nothing is started. A skill
// whose manifest does not bear the operator's signature is left out and logged; one that is still being built is there, and its
// calls return tool.ErrUnavailable. The agent is not looked up: one that does not exist has no tools.
func (s *Service) Tools(ctx context.Context, sc account.Scope, agent id.Agent) ([]Offered, error) {
	have, err := s.Installations.List(ctx, sc, agent)
	if err != nil {
		return nil, err
	}
	digests := make([]string, 0, len(have))
	for _, in := range have {
		digests = append(digests, in.Digest)
	}
	held, err := s.Ward.Held(ctx, sc, digests)
	if err != nil {
		return nil, err
	}
	tools := make([]Offered, 0, len(have))
	offer := func(in Installed, t tool.Tool) {
		if in.Level == TrustCommunity {
			tools = append(tools, Offered{secretless{t}, true})
			return
		}
		tools = append(tools, Offered{Tool: t})
	}
	for _, in := range have {
		switch {
		case !in.Of.Enabled:
		case in.Release == nil:
			offer(in, pending{s, in.Of})
		default:
			if err := s.checkSigned(ctx, in.Of, *in.Release); err != nil {
				s.Logger.ErrorContext(ctx, "a skill is not offered", "plugin", in.Of.Name, "agent", agent.String(), "error", err)
				continue
			}
			m := in.Release.Manifest
			if held[in.Digest] {
				continue
			}
			offer(in, guarded{s, in.Plugin(), m.Digest, s.Launcher.Tool(s.binary(m.Name, m.Digest, m.Size), m)})
		}
	}
	return tools, nil
}

// guarded asks the registry and the ward before each call, so that disabling a plugin and a quarantine reach turns that hold its tool already.
type guarded struct {
	s      *Service
	plugin id.Plugin
	digest string
	tool.Tool
}

func (g guarded) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	p, err := g.s.Repository.ByID(ctx, g.plugin)
	if errors.Is(err, ErrNotFound) || err == nil && p.Removed {
		return tool.Result{}, tool.ErrUnavailable.Withf("the skill %q was removed", g.Spec().Name)
	} else if err != nil {
		return tool.Result{}, err
	}
	if !p.Enabled {
		return tool.Result{}, tool.ErrUnavailable.Withf("the skill %q is disabled", p.Name)
	}
	if err := g.s.admit(ctx, p, g.digest, call); errors.Is(err, ErrQuarantined) {
		return tool.Result{}, tool.ErrUnavailable.Withf("the skill %q is in quarantine", p.Name).Wrap(err)
	} else if err != nil {
		return tool.Result{}, err
	}
	return g.Tool.Call(ctx, call)
}

// admit lets a plugin be called, or returns ErrQuarantined.
func (s *Service) admit(ctx context.Context, p Plugin, digest string, call tool.Call) error {
	tenant, _ := id.Parse[id.TenantKind](call.TenantID)    // zero on nobody's behalf; what is blocked for all is blocked then, too
	session, _ := id.Parse[id.SessionKind](call.SessionID) // zero outside of one
	agent, _ := id.Parse[id.AgentKind](call.AgentID)
	return s.Ward.Admit(ctx, account.System(tenant), Use{Session: session, Agent: agent, Skill: p.Skill(), Digest: digest, Manner: UseCalled})
}

// pending is a shipped skill before its binary exists.
type pending struct {
	s *Service
	p Plugin
}

func (t pending) Spec() tool.Spec {
	return tool.Spec{Name: t.p.Name, Description: t.p.Description, InputSchema: []byte(`{"type":"object"}`), Idempotent: true}
}

func (t pending) Call(context.Context, tool.Call) (tool.Result, error) {
	if err := t.s.failure(t.p.Name); err != nil {
		return tool.Result{}, tool.ErrUnavailable.Withf("the skill %q could not be built", t.p.Name).Wrap(err)
	}
	return tool.Result{}, tool.ErrUnavailable.Withf("the skill %q is being built", t.p.Name)
}

// Rule returns the judge that policies call name. The scope does not matter: rules belong to the server.
//
// Returns a fault.NotFound with the code rule_not_found, rule.ErrStarting while a shipped rule is being built, and
// rule.ErrUnavailable for one that is disabled, could not be built, or was changed after it was signed.
func (s *Service) Rule(ctx context.Context, _ account.Scope, name string) (rule.Evaluator, error) {
	if !validName(name) {
		return nil, ruleNotFound(name)
	}
	p, err := s.Repository.ByName(ctx, name)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && (p.Removed || p.Kind != KindRule):
		return nil, ruleNotFound(name)
	case err != nil:
		return nil, err
	case !p.Enabled:
		return nil, rule.ErrUnavailable.Withf("the rule %q is disabled", name)
	case p.Release == nil:
		if err := s.failure(name); err != nil {
			return nil, rule.ErrUnavailable.Withf("the rule %q could not be built", name).Wrap(err)
		}
		return nil, rule.ErrStarting.Withf("the rule %q is being built", name)
	}
	if err := s.checkSigned(ctx, p, *p.Release); err != nil {
		return nil, rule.ErrUnavailable.Withf("the rule %q was changed after it was signed", name).Wrap(err)
	}
	m := p.Release.Manifest
	return s.Launcher.Rule(s.binary(m.Name, m.Digest, m.Size), m), nil
}

func ruleNotFound(name string) error {
	return fault.New(fault.NotFound, "rule_not_found", "no such rule").Withf("no rule %q is installed", cut(name))
}

// AnnounceShipped enters the plugins that come with the server into the registry, at once and without building any, so that
// agents can be given them. InstallShipped does it too; a server that starts calls this before it takes requests.
func (s *Service) AnnounceShipped(ctx context.Context) error {
	_, err := s.announce(ctx, false)
	return err
}

// announce returns the shipped plugins whose binaries are still to be installed.
func (s *Service) announce(ctx context.Context, restore bool) ([]ShippedPlugin, error) {
	if s.Shipped == nil {
		return nil, nil
	}
	list, err := s.Shipped.List(ctx)
	if err != nil {
		return nil, err
	}
	var todo []ShippedPlugin
	err = s.TX.Do(ctx, func(ctx context.Context) error {
		todo = nil
		for _, sp := range list {
			want, err := s.announceOne(ctx, sp, restore)
			if err != nil {
				return err
			}
			if want {
				todo = append(todo, sp)
			}
		}
		return nil
	})
	return todo, err
}

func (s *Service) announceOne(ctx context.Context, sp ShippedPlugin, restore bool) (want bool, err error) {
	now := clock.Stored(s.Clock.Now())
	p, err := s.Repository.ByName(ctx, sp.Name)
	switch {
	case errors.Is(err, ErrNotFound):
		return true, s.Repository.Create(ctx, Plugin{
			ID: id.New[id.PluginKind](s.IDs), Name: sp.Name, Kind: sp.Kind, Description: sp.Description, Enabled: true, Shipped: true,
			CreatedAt: now, UpdatedAt: now,
		})
	case err != nil:
		return false, err
	case !p.Shipped: // the operator has put something else under the name
		return false, nil
	case p.Removed && !restore:
		return false, nil
	case p.Removed:
		p.Removed, p.Enabled, p.UpdatedAt = false, true, now
		return true, s.Repository.Update(ctx, p)
	}
	return p.Release == nil || p.Release.Manifest.Source != sp.Source, nil
}

// InstallShipped installs what comes with the server and is not installed yet, building it where needed; it may take minutes.
// With restore, plugins that the operator removed come back. One that fails does not keep the others from being installed; the
// error names every one that did, and until the next try their calls say that they are unavailable.
func (s *Service) InstallShipped(ctx context.Context, restore bool) error {
	todo, err := s.announce(ctx, restore)
	if err != nil {
		return err
	}
	var errs []error
	for _, sp := range todo {
		err := s.installShipped(ctx, sp)
		if ctx.Err() != nil {
			return ctx.Err() // the server ends: nothing has failed, and the next start goes on
		}
		s.mu.Lock()
		if delete(s.failed, sp.Name); err != nil {
			s.failed[sp.Name] = err
		}
		s.mu.Unlock()
		if err != nil {
			s.Logger.ErrorContext(ctx, "a shipped plugin is not available", "plugin", sp.Name, "error", err)
			errs = append(errs, fmt.Errorf("%s: %w", sp.Name, err))
		}
	}
	return errors.Join(errs...)
}

// RestoreShipped is InstallShipped with restore, on behalf of the operator, who alone may.
func (s *Service) RestoreShipped(ctx context.Context, sc account.Scope) error {
	if err := sc.Require(account.Operator); err != nil {
		return err
	}
	if err := s.InstallShipped(ctx, true); err != nil {
		return ErrBuild.Withf("not every shipped plugin could be installed: %v", err).Wrap(err)
	}
	return nil
}

func (s *Service) installShipped(ctx context.Context, sp ShippedPlugin) error {
	bin, err := s.Shipped.Open(ctx, sp.Name)
	if err != nil {
		return err
	}
	r, err := bin.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	p, err := s.install(ctx, installation{
		digest: bin.Digest, name: sp.Name, binary: r, shipped: true, source: sp.Source, keepForeign: true,
		audit: func(context.Context, Plugin) error { return nil }, // the server itself, on nobody's behalf
	})
	if err != nil {
		return err
	}
	return s.prune(ctx, p)
}

// prune drops releases of a shipped plugin that are neither in force nor pinned by an agent: each start of a server from changed
// sources would leave one.
func (s *Service) prune(ctx context.Context, p Plugin) error {
	if !p.Shipped { // the operator's own, put under the name meanwhile
		return nil
	}
	rels, err := s.Releases.Releases(ctx, p.ID)
	if err != nil {
		return err
	}
	for _, r := range rels {
		if p.Release == nil || r.Digest() == p.Release.Digest() {
			continue
		}
		dropped := false
		err := s.TX.Do(ctx, func(ctx context.Context) error {
			_, pinned, err := s.Releases.Holders(ctx, r.Digest())
			if dropped = err == nil && pinned == 0; !dropped {
				return err
			}
			return s.Releases.Remove(ctx, p.ID, r.Digest())
		})
		if err != nil {
			return err
		}
		if dropped {
			s.dropUnused(ctx, r.Digest())
		}
	}
	return nil
}

func (s *Service) failure(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed[name]
}
