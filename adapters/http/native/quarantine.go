package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/skill/scan"
)

// skillHoldWire is why a content may not be used.
type skillHoldWire struct {
	Type      string  `json:"type" enum:"skill_hold"`
	SHA256    string  `json:"sha256"`
	Scope     string  `json:"scope" enum:"tenant,server" doc:"server: the operator has blocked it for everybody."`
	SkillID   *string `json:"skill_id" doc:"Null when the operator named the digest alone."`
	Kind      *string `json:"kind" enum:"plugin,instructions,structured"`
	Name      *string `json:"name"`
	Reason    string  `json:"reason"`
	HeldBy    *string `json:"held_by" doc:"The key that did it."`
	CreatedAt stamp   `json:"created_at"`
}

func showSkillHold(h skill.Hold) skillHoldWire {
	w := skillHoldWire{
		Type: "skill_hold", SHA256: h.Digest, Scope: "tenant", Kind: textOrNull(string(h.Kind)), Name: textOrNull(h.Name), Reason: h.Reason,
		SkillID: textOrNull(h.Skill.String()), HeldBy: textOrNull(h.By.String()), CreatedAt: stampOf(h.At),
	}
	if h.Tenant.IsZero() {
		w.Scope = "server"
	}
	return w
}

// blastWire is what a content in quarantine has touched.
type blastWire struct {
	Type     string          `json:"type" enum:"skill_quarantine"`
	SHA256   string          `json:"sha256"`
	Holds    []skillHoldWire `json:"holds" nullable:"false" doc:"None when it was released."`
	Agents   int             `json:"agents" doc:"That have it installed; see .../quarantine/agents."`
	Sessions int             `json:"sessions" doc:"That used it; see .../quarantine/sessions."`
	Payments int             `json:"payments" doc:"Payments and transfers of these sessions after the first use; see .../quarantine/payments."`
	Moved    []moneyWire     `json:"moved" nullable:"false" doc:"What these come to, one for each currency."`
}

func showBlast(b skill.Blast) blastWire {
	w := blastWire{
		Type: "skill_quarantine", SHA256: b.Digest, Holds: []skillHoldWire{}, Agents: b.Agents, Sessions: b.Sessions, Payments: b.Moves, Moved: []moneyWire{},
	}
	for _, h := range b.Holds {
		w.Holds = append(w.Holds, showSkillHold(h))
	}
	for _, m := range b.Extent.Moved {
		w.Moved = append(w.Moved, moneyWire{Amount: m.Decimal(), Currency: string(m.Currency)})
	}
	return w
}

type touchedAgentWire struct {
	Type        string `json:"type" enum:"skill_installation"`
	ID          string `json:"id" doc:"Of the installation."`
	AgentID     string `json:"agent_id"`
	SkillID     string `json:"skill_id"`
	SHA256      string `json:"sha256"`
	InstalledAt stamp  `json:"installed_at"`
}

type touchedSessionWire struct {
	Type        string `json:"type" enum:"skill_use"`
	SessionID   string `json:"session_id" doc:"A run has the same UUID."`
	AgentID     string `json:"agent_id"`
	SkillID     string `json:"skill_id"`
	SHA256      string `json:"sha256"`
	Manner      string `json:"manner" enum:"called,read,mounted" doc:"How it was used first: a plugin's tool was called, instructions were read, files were mounted into a sandbox."`
	FirstUsedAt stamp  `json:"first_used_at"`
}

type touchedPaymentWire struct {
	Type        string `json:"type" enum:"skill_payment"`
	ActID       string `json:"act_id"`
	AgentID     string `json:"agent_id"`
	SessionID   string `json:"session_id"`
	Action      string `json:"action" enum:"payment,transfer"`
	Amount      string `json:"amount" doc:"Decimal."`
	Currency    string `json:"currency"`
	Payee       string `json:"payee"`
	Description string `json:"description"`
	At          stamp  `json:"at"`
}

type quarantineInput struct {
	SkillID string `path:"skill_id" doc:"The id, the handle, or a plugin's name."`
	Body    struct {
		Digest string `json:"digest,omitempty" maxLength:"64" doc:"The sha256 of the content; what the marketplace offers, or was handed in last, when left out."`
		Reason string `json:"reason" minLength:"1" maxLength:"2000"`
	}
}

type quarantinedInput struct {
	SkillID string `path:"skill_id" doc:"The id, the handle, or a plugin's name."`
	Digest  string `query:"digest" maxLength:"64" doc:"One of its contents."`
}

type touchedInput struct {
	httpx.PageQuery
	SkillID string `path:"skill_id" doc:"The id, the handle, or a plugin's name."`
	Digest  string `query:"digest" maxLength:"64" doc:"One of its contents; what was put into quarantine last when left out."`
}

type quarantinesWire struct {
	Data []blastWire `json:"data" nullable:"false"`
}

type blockDigestInput struct {
	Body struct {
		Digest string `json:"digest" minLength:"64" maxLength:"64" doc:"The sha256 of a plugin's binary, of another skill's content, or of one of its files."`
		Reason string `json:"reason" minLength:"1" maxLength:"2000"`
	}
}

type unblockDigestInput struct {
	Digest string `query:"digest" required:"true" maxLength:"64" doc:"The SHA-256 that was blocked."`
}

type blockedWire struct {
	Data []skillHoldWire `json:"data" nullable:"false"`
}

type scanCodeWire struct {
	Code        string `json:"code"`
	Title       string `json:"title"`
	Explanation string `json:"explanation"`
}

type scanCodesWire struct {
	Rules int            `json:"rules" doc:"The version of the rules."`
	Data  []scanCodeWire `json:"data" nullable:"false"`
}

type acceptSkillVersionInput struct {
	SkillID string `path:"skill_id" doc:"The id, or the handle."`
	Version string `path:"version" doc:"Its id, its number, or latest."`
	Body    struct {
		Reason string `json:"reason" minLength:"1" maxLength:"2000"`
	}
}

const quarantineHelp = "From the moment it is answered no turn is offered the content, the next call of a turn that has it is refused, it is not on the " +
	"market and cannot be installed, and handing it in or uploading it again is refused with 409. Agents that have it installed keep it, unusable, until it " +
	"is released. Other contents of the skill, such as an older version that agents have pinned, stay as they are: `digest` names one of them. " +
	"What an agent handed in may be put into quarantine by users who are linked to the agent, everything by administrators, for their tenant; the operator's " +
	"quarantine of a plugin is everybody's. The answer counts what the content has touched."

func (f *face) registerQuarantine() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listSkillScanCodes", Method: http.MethodGet, Path: "/v1/skills/scan_codes", Tag: "skills",
		Summary: "Explain what the security scan of skills finds", Permission: account.Skills,
	}, func(context.Context, *struct{}) (*output[scanCodesWire], error) {
		w := scanCodesWire{Rules: scan.RulesVersion}
		for _, e := range scan.Codes() {
			w.Data = append(w.Data, scanCodeWire{string(e.Code), e.Title, e.Text})
		}
		return ok(w), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "acceptSkillVersion", Method: http.MethodPost, Path: "/v1/skills/{skill_id}/versions/{version}/accept", Tag: "skills",
		Summary: "List a version that the security scan calls malicious", Permission: account.Admin, Example: `{"reason":"It tests such scans."}`,
		Description: "Such a version is stored, and withheld from the marketplace until then.",
	}, func(ctx context.Context, in *acceptSkillVersionInput) (*output[skillVersionWire], error) {
		g, v, err := f.deps.Library.Accept(ctx, httpx.Scope(ctx), in.SkillID, in.Version, in.Body.Reason)
		if err != nil {
			return nil, err
		}
		return ok(showSkillVersion(g)(v)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "quarantineSkill", Method: http.MethodPost, Path: "/v1/skills/{skill_id}/quarantine", Tag: "skills",
		Summary: "Pull a skill from every agent at once", Description: quarantineHelp, Permission: account.Skills,
		Example: `{"reason":"It sends what it reads to a stranger."}`,
	}, func(ctx context.Context, in *quarantineInput) (*output[blastWire], error) {
		b, err := f.deps.Quarantines.Quarantine(ctx, httpx.Scope(ctx), in.SkillID, skill.QuarantineRequest{Digest: in.Body.Digest, Reason: in.Body.Reason})
		if err != nil {
			return nil, err
		}
		return ok(showBlast(b)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getSkillQuarantine", Method: http.MethodGet, Path: "/v1/skills/{skill_id}/quarantine", Tag: "skills",
		Summary: "Show which contents of a skill are in quarantine, and what they have touched", Permission: account.Skills,
	}, func(ctx context.Context, in *quarantinedInput) (*output[quarantinesWire], error) {
		found, err := f.deps.Quarantines.Of(ctx, httpx.Scope(ctx), in.SkillID)
		if err != nil {
			return nil, err
		}
		w := quarantinesWire{Data: []blastWire{}}
		for _, b := range found {
			if in.Digest == "" || in.Digest == b.Digest {
				w.Data = append(w.Data, showBlast(b))
			}
		}
		return ok(w), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "releaseSkill", Method: http.MethodDelete, Path: "/v1/skills/{skill_id}/quarantine", Tag: "skills",
		Summary: "Let agents use a skill again", Permission: account.Admin,
		Description: "All its contents, unless digest names one. What the operator has blocked only the operator releases.",
	}, func(ctx context.Context, in *quarantinedInput) (*output[httpx.Deleted], error) {
		if err := f.deps.Quarantines.Release(ctx, httpx.Scope(ctx), in.SkillID, in.Digest); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: in.SkillID, Type: "skill_quarantine_deleted"}), nil
	})
	f.registerTouched()
	f.registerBlocks()
}

// registerTouched serves the lists of what a content has touched.
func (f *face) registerTouched() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listQuarantinedAgents", Method: http.MethodGet, Path: "/v1/skills/{skill_id}/quarantine/agents", Tag: "skills",
		Summary: "List the agents that have a skill in quarantine installed", Permission: account.Skills,
	}, func(ctx context.Context, in *touchedInput) (*output[httpx.List[touchedAgentWire]], error) {
		found, err := f.deps.Quarantines.Agents(ctx, httpx.Scope(ctx), in.SkillID, in.Digest, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, func(in skill.Installation) touchedAgentWire {
			return touchedAgentWire{"skill_installation", in.ID.String(), in.Agent.String(), in.Skill.String(), in.Digest, stampOf(in.UpdatedAt)}
		})), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listQuarantinedSessions", Method: http.MethodGet, Path: "/v1/skills/{skill_id}/quarantine/sessions", Tag: "skills",
		Summary: "List the sessions and runs that used a skill in quarantine", Permission: account.Skills,
	}, func(ctx context.Context, in *touchedInput) (*output[httpx.List[touchedSessionWire]], error) {
		found, err := f.deps.Quarantines.Uses(ctx, httpx.Scope(ctx), in.SkillID, in.Digest, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, func(u skill.Use) touchedSessionWire {
			return touchedSessionWire{"skill_use", u.Session.String(), u.Agent.String(), u.Skill.String(), u.Digest, string(u.Manner), stampOf(u.FirstAt)}
		})), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listQuarantinedPayments", Method: http.MethodGet, Path: "/v1/skills/{skill_id}/quarantine/payments", Tag: "skills",
		Summary:     "List the payments and transfers that were made after a skill in quarantine was used",
		Description: "By the same session or run; that the skill had to do with them is for people to judge. The key needs `wallets:read`, too.",
		Permission:  account.Skills,
	}, func(ctx context.Context, in *touchedInput) (*output[httpx.List[touchedPaymentWire]], error) {
		found, err := f.deps.Quarantines.Moves(ctx, httpx.Scope(ctx), in.SkillID, in.Digest, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, func(m skill.Move) touchedPaymentWire {
			return touchedPaymentWire{
				"skill_payment", m.Act.String(), m.Agent.String(), m.Session.String(), m.Action, m.Amount.Decimal(), string(m.Amount.Currency), m.Payee, m.Description,
				stampOf(m.At),
			}
		})), nil
	})
}

// registerBlocks serves the operator's list of digests.
func (f *face) registerBlocks() {
	httpx.Register(f.Face, httpx.Op{
		ID: "blockSkillDigest", Method: http.MethodPost, Path: "/v1/skills/blocked_digests", Tag: "skills", Status: http.StatusCreated,
		Summary: "Put a digest into everybody's quarantine", Permission: account.Operator,
		Description: "Whether anybody has it or not. The security scan knows it from then on, also as that of a single file.",
		Example:     `{"digest":"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","reason":"Seen in an attack."}`,
	}, func(ctx context.Context, in *blockDigestInput) (*output[blastWire], error) {
		b, err := f.deps.Quarantines.Block(ctx, httpx.Scope(ctx), in.Body.Digest, in.Body.Reason)
		if err != nil {
			return nil, err
		}
		return ok(showBlast(b)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listBlockedSkillDigests", Method: http.MethodGet, Path: "/v1/skills/blocked_digests", Tag: "skills",
		Summary: "List the digests that are in everybody's quarantine, the latest first", Permission: account.Operator,
	}, func(ctx context.Context, _ *struct{}) (*output[blockedWire], error) {
		found, err := f.deps.Quarantines.Blocked(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		w := blockedWire{Data: []skillHoldWire{}}
		for _, h := range found {
			w.Data = append(w.Data, showSkillHold(h))
		}
		return ok(w), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "unblockSkillDigest", Method: http.MethodDelete, Path: "/v1/skills/blocked_digests", Tag: "skills",
		Summary: "Take a digest out of everybody's quarantine", Permission: account.Operator, Statuses: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *unblockDigestInput) (*output[httpx.Deleted], error) {
		if err := f.deps.Quarantines.Unblock(ctx, httpx.Scope(ctx), in.Digest); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: in.Digest, Type: "blocked_digest_deleted"}), nil
	})
}
