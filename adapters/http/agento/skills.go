package agento

import (
	"cmp"
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// SkillWire is a skill of the marketplace. It is exported because others embed it.
type SkillWire struct {
	ID            string `json:"id" doc:"By which it is installed: its short name where it has one, else a UUID."`
	Name          string `json:"name"`
	Description   string `json:"description"`
	Author        string `json:"author" doc:"bureau for what comes with the server, operator for other plugins, you for what was uploaded, else the agent that handed it in."`
	Category      string `json:"category"`
	InstallCount  int    `json:"installCount" doc:"Agents that have it."`
	LatestVersion string `json:"latestVersion"`
	SecurityScore int    `json:"securityScore" doc:"The security scan's, 0 to 100."`
}

// skillDetailWire is a skill with everything that is known of it.
type skillDetailWire struct {
	SkillWire
	EnhancedDescription string   `json:"enhancedDescription"`
	Tags                []string `json:"tags" nullable:"false"`
	UseCases            []string `json:"useCases" nullable:"false" doc:"What its author lists under the heading Use cases."`
	ToolCount           int      `json:"toolCount" doc:"Tools that it gives an agent; what is made of words gives none."`
}

func showSkill(l skill.Listing) SkillWire {
	return SkillWire{
		ID: skillRef(l.ID, l.Handle), Name: l.Name, Description: cmp.Or(l.Summary, l.Name), Author: l.Author(), Category: l.Category,
		InstallCount: l.Installs, LatestVersion: skill.SemVer(l.Label), SecurityScore: l.Score(),
	}
}

// skillRef is how a skill is named on this face.
func skillRef(of id.Skill, handle string) string { return cmp.Or(handle, of.UUID().String()) }

func showOffer(o skill.Offer) skillDetailWire {
	w := skillDetailWire{SkillWire: showSkill(o.Listing), Tags: append([]string{}, o.Tags...), UseCases: []string{}}
	w.EnhancedDescription = w.Description
	switch {
	case o.Plugin != nil:
		w.ToolCount = 1
	case o.Structured != nil:
		w.EnhancedDescription = cmp.Or(o.Structured.Content.Description, w.Description)
		w.UseCases = append(w.UseCases, o.Structured.Content.UseCases()...)
	}
	return w
}

// installedWire is a skill that an agent has.
type installedWire struct {
	ID               string `json:"id" doc:"as_..."`
	SkillID          string `json:"skillId"`
	Name             string `json:"name"`
	InstalledVersion string `json:"installedVersion"`
	TrustLevel       string `json:"trustLevel" enum:"verified,clawhub" doc:"clawhub keeps a skill from secrets, sandboxes, and paying without a confirmation."`
	IsEnabled        bool   `json:"isEnabled" doc:"False while the agent is not offered the skill."`
	InstalledAt      stamp  `json:"installedAt"`
}

// installationWire is what installing answers.
type installationWire struct {
	ID               string `json:"id" doc:"as_..."`
	SkillID          string `json:"skillId"`
	Name             string `json:"name"`
	InstalledVersion string `json:"installedVersion"`
	TrustLevel       string `json:"trustLevel" enum:"verified,clawhub"`
	IsEnabled        bool   `json:"isEnabled"`
	NeedsRestart     bool   `json:"needsRestart" doc:"The agent runs with what it had before."`
}

func showInstalled(h skill.Held) installedWire {
	return installedWire{
		ID: h.ID.String(), SkillID: skillRef(h.Skill, h.Handle), Name: h.Title(), InstalledVersion: skill.SemVer(h.Label),
		TrustLevel: string(h.Trust()), IsEnabled: h.Problem == "", InstalledAt: stampOf(h.CreatedAt),
	}
}

type uninstalledWire struct {
	SkillID      string `json:"skillId"`
	Uninstalled  bool   `json:"uninstalled"`
	NeedsRestart bool   `json:"needsRestart"`
}

type listSkillsInput struct {
	Search   string `query:"search" maxLength:"200" doc:"A part of the name or the description."`
	Category string `query:"category" maxLength:"100" doc:"Only this category."`
	Page     int    `query:"page" minimum:"1" maximum:"1000000" default:"1" doc:"From 1."`
	PageSize int    `query:"pageSize" minimum:"1" maximum:"100" default:"20" doc:"Skills on a page."`
}

type skillInput struct {
	SkillID string `path:"skill_id" doc:"The skill's short name, or its id in any spelling."`
}

type installedInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
	Limit   int    `query:"limit" minimum:"0" maximum:"1000" doc:"Skills on a page; all of them when left out."`
	Offset  int    `query:"offset" minimum:"0" maximum:"1000000" doc:"Skills to pass over."`
}

type installInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
	Body    struct {
		SkillID    string `json:"skillId" minLength:"1" maxLength:"128" doc:"The skill's short name, or its id."`
		TrustLevel string `json:"trustLevel" enum:"verified,clawhub" doc:"verified is a conflict for a skill that is not."`
	}
}

type uninstallInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
	SkillID string `path:"skill_id" doc:"The skill's short name, its id, or the installation's id."`
}

func (f *face) registerSkills() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listSkills", Method: http.MethodGet, Path: "/v1/skills", Tag: "skills", Summary: "Browse the marketplace, newest first",
		Permission: account.Skills,
	}, func(ctx context.Context, in *listSkillsInput) (*listOutput[SkillWire], error) {
		req := page.Request{Limit: in.PageSize, Offset: (in.Page - 1) * in.PageSize, Count: true}
		found, err := f.deps.Market.Browse(ctx, httpx.Scope(ctx), skill.ListingRequest{Search: in.Search, Category: in.Category, Page: req})
		if err != nil {
			return nil, err
		}
		return listOf(req, found, showSkill), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getSkill", Method: http.MethodGet, Path: "/v1/skills/{skill_id}", Tag: "skills", Summary: "Read a skill of the marketplace",
		Permission: account.Skills,
	}, func(ctx context.Context, in *skillInput) (*output[skillDetailWire], error) {
		o, err := f.deps.Market.Get(ctx, httpx.Scope(ctx), in.SkillID)
		if err != nil {
			return nil, err
		}
		return ok(showOffer(o)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listAgentSkills", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/skills", Tag: "skills",
		Summary: "List the skills that an agent has, oldest first", Permission: account.Skills,
	}, func(ctx context.Context, in *installedInput) (*listOutput[installedWire], error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		have, err := f.deps.Market.Installed(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		total := len(have)
		have = have[min(in.Offset, total):]
		if in.Limit > 0 {
			have = have[:min(in.Limit, len(have))]
		}
		return listOf(page.Request{Limit: in.Limit, Offset: in.Offset}, page.Page[skill.Held]{Items: have, Total: total}, showInstalled), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "installSkill", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/skills", Tag: "skills", Status: http.StatusCreated,
		Example: `{"skillId":"calculator","trustLevel":"verified"}`, Summary: "Install a skill on an agent",
		Description: "What is offered now is pinned. Installing a skill that the agent has takes what is offered now. A skill at the level clawhub is " +
			"read, and not run: a plugin's calls wait for a person's confirmation and get no secrets, files do not come into the sandbox, and the " +
			"agent pays with a person's confirmation only.",
		Permission: account.Skills, Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *installInput) (*output[installationWire], error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		level, err := skill.ParseTrust(in.Body.TrustLevel)
		if err != nil {
			return nil, err
		}
		h, err := f.deps.Market.InstallAt(ctx, httpx.Scope(ctx), of, in.Body.SkillID, level)
		if err != nil {
			return nil, err
		}
		w := showInstalled(h)
		return ok(installationWire{w.ID, w.SkillID, w.Name, w.InstalledVersion, w.TrustLevel, w.IsEnabled, h.NeedsRestart}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "uninstallSkill", Method: http.MethodDelete, Path: "/v1/agents/{agent_id}/skills/{skill_id}", Tag: "skills",
		Summary: "Take a skill from an agent", Permission: account.Skills,
	}, func(ctx context.Context, in *uninstallInput) (*output[uninstalledWire], error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		h, err := f.deps.Market.Uninstall(ctx, httpx.Scope(ctx), of, in.SkillID)
		if err != nil {
			return nil, err
		}
		return ok(uninstalledWire{skillRef(h.Skill, h.Handle), true, h.NeedsRestart}), nil
	})
}
