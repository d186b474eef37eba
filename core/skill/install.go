package skill

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Held is a skill that an agent has, of whatever kind.
type Held struct {
	Installation
	Handle      string // by which the skill can be named beside its id; "" for none
	Name        string
	Description string
	Label       string // the author's version of what is pinned
	Outdated    bool   // the marketplace offers another content; installing again takes it
	Problem     string // why the agent cannot use it; "" when it can
	// NeedsRestart says, of what Install and Uninstall return, that the agent runs with what it had before.
	NeedsRestart bool
	// Plugin is set for ContentPlugin.
	Plugin *Installed
	// Structured is the pinned version of ContentStructured, nil when it is gone; Guide and GuideVersion are those of ContentInstructions.
	Structured   *SubmissionVersion
	Guide        Guide
	GuideVersion GuideVersion
}

// Install gives a skill of the marketplace to an agent, by its id, its handle or a plugin's name, and pins what is offered now: a later version
// does not change what the agent runs until it is installed again. Instructions that come with the server follow its version. A turn that is
// under way is not changed by it.
//
// Errors are ErrSkillNotFound, also for what is not approved, a fault.NotFound for the agent, ErrLimit, and ErrQuarantined.
func (m *Market) Install(ctx context.Context, sc account.Scope, agent id.Agent, ref string) (Held, error) {
	return m.InstallAt(ctx, sc, agent, ref, "")
}

// InstallAt is Install at a level of trust; "" is whatever the skill has. TrustVerified is ErrUnverified for a skill that is not, TrustCommunity
// keeps a verified skill from what Trust says.
func (m *Market) InstallAt(ctx context.Context, sc account.Scope, agent id.Agent, ref string, level Trust) (Held, error) {
	if err := m.d.Agents.Exists(ctx, sc, agent); err != nil {
		return Held{}, err
	}
	var out Held
	err := m.d.TX.Do(ctx, func(ctx context.Context) error {
		o, err := m.Get(ctx, sc, ref)
		if err != nil {
			return err
		}
		if held, err := m.held(ctx, sc, o.Digest); err != nil {
			return err
		} else if held {
			return ErrQuarantined
		}
		if level == TrustVerified && o.Trust() != TrustVerified {
			return ErrUnverified
		}
		if o.Kind == ContentPlugin {
			in, err := m.d.Plugins.installOnAgent(ctx, sc, agent, o.ID.String(), level)
			if err != nil {
				return err
			}
			out = pluginHeld(in)
			return m.changed(ctx, sc, agent, &out)
		}
		if err := room(ctx, m.d.Installations, sc, agent, o.ID); err != nil {
			return err
		}
		now := m.now()
		in, err := m.d.Installations.Save(ctx, sc, Installation{
			ID: id.New[id.InstalledSkillKind](m.d.IDs), Tenant: sc.Tenant, Agent: agent, Skill: o.ID, Kind: o.Kind, Version: o.Version, Digest: o.Digest, Level: level,
			CreatedAt: now, UpdatedAt: now,
		})
		if err != nil {
			return err
		}
		out = o.held(in)
		if err := m.changed(ctx, sc, agent, &out); err != nil {
			return err
		}
		return m.record(ctx, sc, "skill_installed", agent, auditInstallation(out))
	})
	return out, err
}

// changed tells whoever hosts the agent that its skills are others.
func (m *Market) changed(ctx context.Context, sc account.Scope, agent id.Agent, h *Held) (err error) {
	if m.hosting != nil {
		h.NeedsRestart, err = m.hosting.Changed(ctx, sc, agent)
	}
	return err
}

// held is the offer as an agent has it.
func (o Offer) held(in Installation) Held {
	h := Held{Installation: in, Handle: o.Handle, Name: o.Key, Description: o.Summary, Label: o.Label, Structured: o.Structured}
	if o.Guide != nil {
		h.Guide, h.GuideVersion = *o.Guide, *o.Guide.Latest
		h.Name = h.GuideVersion.Name
	}
	return h
}

func auditInstallation(h Held) map[string]any {
	return map[string]any{
		"skill_id": h.Skill.UUID().String(), "kind": string(h.Kind), "name": h.Name, "version": h.Label, "sha256": h.Digest,
		"trust_level": string(h.Trust()),
	}
}

func pluginHeld(in Installed) Held {
	h := Held{
		Installation: in.Installation, Handle: in.Of.Name, Name: in.Of.Name, Description: in.Of.Description, Plugin: &in,
		Outdated: in.Of.Release != nil && in.Digest != "" && in.Of.Release.Digest() != in.Digest,
	}
	if in.Release != nil {
		h.Label, h.Description = in.Release.Manifest.Version, in.Release.Manifest.Description
	}
	if !in.Of.Enabled {
		h.Problem = "the operator has disabled it"
	}
	return h
}

// Uninstall takes a skill from an agent and returns what it was. It is named by its id, its name or its handle, or by the id of the
// installation; ErrNotInstalled.
func (m *Market) Uninstall(ctx context.Context, sc account.Scope, agent id.Agent, ref string) (Held, error) {
	var out Held
	err := m.d.TX.Do(ctx, func(ctx context.Context) error {
		have, err := m.Installed(ctx, sc, agent)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(have, func(h Held) bool { return h.named(ref) })
		switch {
		case i < 0:
			return ErrNotInstalled.Withf("the agent has no skill %q", cut(ref))
		}
		out = have[i]
		if err := m.changed(ctx, sc, agent, &out); err != nil {
			return err
		}
		if out.Kind == ContentPlugin {
			return m.d.Plugins.UninstallFromAgent(ctx, sc, agent, out.ID.String())
		}
		h := out
		if err := m.d.Installations.Delete(ctx, sc, agent, h.Skill); err != nil {
			return err
		}
		if h.Kind == ContentStructured {
			if err := m.d.Contents.Prune(ctx, sc, h.Version); err != nil {
				return err
			}
		}
		return m.record(ctx, sc, "skill_uninstalled", agent, auditInstallation(h))
	})
	return out, err
}

func (h Held) named(ref string) bool {
	if ref != "" && (ref == h.Handle || ref == h.Name) {
		return true
	}
	if in, err := id.Parse[id.InstalledSkillKind](ref); err == nil && in == h.ID {
		return true
	}
	of, err := id.Parse[id.SkillKind](ref)
	return err == nil && of == h.Skill || h.Plugin != nil && h.Plugin.named(ref)
}

// Installed returns what an agent has, oldest first, also what it cannot use at the moment.
func (m *Market) Installed(ctx context.Context, sc account.Scope, agent id.Agent) ([]Held, error) {
	if err := m.d.Agents.Exists(ctx, sc, agent); err != nil {
		return nil, err
	}
	pins, err := m.d.Installations.Pins(ctx, sc, agent)
	if err != nil {
		return nil, err
	}
	plugins, err := m.d.Installations.List(ctx, sc, agent)
	if err != nil {
		return nil, err
	}
	others, err := m.others(ctx, sc, pins)
	if err != nil {
		return nil, err
	}
	var out []Held
	for _, in := range pins {
		if in.Kind != ContentPlugin {
			h := others[0]
			others = others[1:]
			if h.Outdated, err = m.outdated(ctx, sc, in); err != nil {
				return nil, err
			}
			out = append(out, h)
			continue
		}
		if i := slices.IndexFunc(plugins, func(p Installed) bool { return p.ID == in.ID }); i >= 0 {
			out = append(out, pluginHeld(plugins[i]))
		}
	}
	return out, nil
}

// outdated reports whether the marketplace offers another content of a skill than the one that is pinned.
func (m *Market) outdated(ctx context.Context, sc account.Scope, in Installation) (bool, error) {
	o, err := m.Get(ctx, sc, in.Skill.String())
	if errors.Is(err, ErrSkillNotFound) {
		return false, nil
	}
	return err == nil && !o.Version.IsZero() && o.Digest != in.Digest, err
}

// others looks up the installations that are no plugins, in their order.
func (m *Market) others(ctx context.Context, sc account.Scope, pins []Installation) ([]Held, error) {
	var versions []id.SkillVersion
	var digests []string
	for _, in := range pins {
		if digests = append(digests, in.Digest); in.Kind == ContentStructured {
			versions = append(versions, in.Version)
		}
	}
	contents, err := m.d.Contents.Contents(ctx, sc, versions)
	if err != nil {
		return nil, err
	}
	var held map[string]bool
	if m.d.Quarantine != nil && len(digests) > 0 {
		if held, err = m.d.Quarantine.Held(ctx, sc, digests); err != nil {
			return nil, err
		}
	}
	var out []Held
	for _, in := range pins {
		h := Held{Installation: in}
		switch in.Kind {
		case ContentStructured:
			h.addContent(contents)
		case ContentInstructions:
			if err := m.addGuide(ctx, sc, &h); err != nil {
				return nil, err
			}
		default:
			continue
		}
		if held[in.Digest] {
			h.Problem = problemHeld
		}
		out = append(out, h)
	}
	return out, nil
}

func (h *Held) addContent(contents []SubmissionVersion) {
	i := slices.IndexFunc(contents, func(v SubmissionVersion) bool { return v.ID == h.Version })
	if i < 0 || contents[i].Digest != h.Digest {
		h.Name, h.Problem = h.Skill.String(), "it is not there any more"
		return
	}
	v := contents[i]
	h.Structured, h.Name, h.Label, h.Description = &v, v.Content.Key, v.Label, v.Content.Summary
	if h.Description == "" {
		h.Description = v.Content.Name
	}
}

func (m *Market) addGuide(ctx context.Context, sc account.Scope, h *Held) error {
	version := Latest // of those that come with the server
	if !h.Version.IsZero() {
		version = h.Version.String()
	}
	g, v, err := m.d.Library.Version(ctx, sc, h.Skill.String(), version)
	f, known := fault.As(err)
	switch {
	case err == nil:
		h.Guide, h.GuideVersion, h.Handle, h.Name, h.Description, h.Label = g, v, g.Handle, v.Name, v.Description, strconv.Itoa(v.Number)
	case known && f.Kind == fault.NotFound:
		h.Name, h.Problem = h.Skill.String(), f.Message
	default:
		return err
	}
	return nil
}

// Attach adds the installed instructions and structured skills of an agent to those of its configuration, which go first: a skill that is
// named there is not there twice. A structured skill is there as the one file SkillDoc. The agent is not looked up: one that does not exist has
// nothing.
func (m *Market) Attach(ctx context.Context, sc account.Scope, agent id.Agent, have []Attached) ([]Attached, error) {
	pins, err := m.d.Installations.Pins(ctx, sc, agent)
	if err != nil || len(pins) == 0 {
		return have, err
	}
	others, err := m.others(ctx, sc, pins)
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for _, a := range have {
		taken[a.Name] = true
	}
	for _, h := range others {
		if slices.ContainsFunc(have, func(a Attached) bool { return a.content == nil && a.Guide.Ref() != "" && a.Guide.Skill() == h.Skill }) {
			continue
		}
		a := h.attached()
		for name, n := a.Name, 2; taken[a.Name]; n++ {
			a.Name = name + "-" + strconv.Itoa(n)
		}
		taken[a.Name] = true
		have = append(have, a)
	}
	return have, nil
}

// attached is the skill as a turn sees it.
func (h Held) attached() Attached {
	a := Attached{Name: h.Name, Guide: h.Guide, Version: h.GuideVersion, Problem: h.Problem, Unverified: h.Trust() != TrustVerified}
	if h.Structured == nil {
		return a
	}
	text := []byte(document(*h.Structured))
	a.Guide = Guide{ID: h.Skill, Tenant: h.Tenant, Source: SourceCustom, DisplayName: h.Structured.Content.Name}
	a.Version = GuideVersion{
		ID: h.Version, Number: h.Structured.Number, Name: h.Name, Description: h.Description, Directory: h.Name, CreatedAt: h.Structured.CreatedAt,
		Files: []File{{Path: SkillDoc, Size: int64(len(text)), Digest: sha256.Sum256(text)}},
	}
	a.content, a.pinned = map[string][]byte{SkillDoc: text}, h.Digest
	return a
}
