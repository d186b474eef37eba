package valar

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/id"
)

type requirementWire struct {
	Name string `json:"name" minLength:"1" maxLength:"200"`
	Type string `json:"type" minLength:"1" maxLength:"50" doc:"credential, for example."`
}

// skillWire is a skill. What stands after config_schema in it is beyond the Valar API.
type skillWire struct {
	ID             string            `json:"id"`
	AgentID        *string           `json:"agent_id" doc:"Who has handed it in; null for what comes from elsewhere."`
	Key            string            `json:"key"`
	Name           string            `json:"name"`
	Summary        *string           `json:"summary"`
	Category       string            `json:"category"`
	Tags           []string          `json:"tags" nullable:"false"`
	Version        *string           `json:"version"`
	Status         string            `json:"status" enum:"pending,approved,denied"`
	DescriptionMD  *string           `json:"description_md,omitempty" doc:"This and the four after it are left out of the marketplace's list."`
	Requirements   []requirementWire `json:"requirements,omitempty"`
	PromptTemplate *string           `json:"prompt_template,omitempty"`
	CodeSnippet    *string           `json:"code_snippet,omitempty"`
	ConfigSchema   object            `json:"config_schema,omitempty"`
	Kind           string            `json:"kind" enum:"structured,instructions,plugin"`
	SHA256         *string           `json:"sha256" doc:"Of the content; an approval may name it."`
	Installs       *int              `json:"installs,omitempty" doc:"Agents that have it; of skills in the marketplace."`
	Reason         *string           `json:"reason,omitempty" doc:"The reviewer's."`
	Scan           *skillScanWire    `json:"scan,omitempty" doc:"What the security scan found."`
	CreatedAt      stamp             `json:"created_at"`
}

type skillScanWire struct {
	Score    int                `json:"score" doc:"0 to 100, the higher the better."`
	Verdict  string             `json:"verdict" enum:"pass,review,warn,malicious"`
	Findings []skillFindingWire `json:"findings" nullable:"false"`
}

type skillFindingWire struct {
	Code     string `json:"code"`
	Severity string `json:"severity" enum:"info,low,medium,high,critical"`
	Path     string `json:"path"`
	Line     int    `json:"line"`
	Excerpt  string `json:"excerpt"`
	Message  string `json:"message"`
}

func showSkillScan(r *scan.Report) *skillScanWire {
	if r == nil {
		return nil
	}
	w := &skillScanWire{Score: r.Score, Verdict: string(r.Verdict), Findings: []skillFindingWire{}}
	for _, f := range r.Findings {
		w.Findings = append(w.Findings, skillFindingWire{string(f.Code), string(f.Severity), f.Path, f.Line, f.Excerpt, f.Message})
	}
	return w
}

func showSubmitted(v skill.SubmissionVersion) skillWire {
	c := v.Content
	agentID := v.Agent.UUID().String()
	w := skillWire{
		ID: v.Skill.UUID().String(), AgentID: &agentID, Key: c.Key, Name: c.Name, Summary: textPtr(c.Summary), Category: c.Category,
		Tags: append([]string{}, c.Tags...), Version: textPtr(v.Label), Status: string(v.Status), DescriptionMD: textPtr(c.Description),
		PromptTemplate: textPtr(c.PromptTemplate), CodeSnippet: textPtr(c.CodeSnippet), ConfigSchema: object(c.ConfigSchema),
		Kind: string(skill.ContentStructured), SHA256: textPtr(v.Digest), Reason: textPtr(v.Reason), Scan: showSkillScan(v.Scan), CreatedAt: stampOf(v.CreatedAt),
	}
	for _, r := range c.Requirements {
		w.Requirements = append(w.Requirements, requirementWire(r))
	}
	return w
}

func showReviewed(r skill.Reviewed) skillWire { return showSubmitted(r.Version) }

func showListing(l skill.Listing) skillWire {
	w := skillWire{
		ID: l.ID.UUID().String(), Key: l.Key, Name: l.Name, Summary: textPtr(l.Summary), Category: l.Category, Tags: append([]string{}, l.Tags...),
		Version: textPtr(l.Label), Status: string(skill.ReviewApproved), Kind: string(l.Kind), SHA256: textPtr(l.Digest), Installs: &l.Installs,
		CreatedAt: stampOf(l.ListedAt),
	}
	if !l.Agent.IsZero() {
		w.AgentID = textPtr(l.Agent.UUID().String())
	}
	return w
}

func showOffer(o skill.Offer) skillWire {
	if o.Structured == nil {
		return showListing(o.Listing)
	}
	w := showSubmitted(*o.Structured)
	w.Installs = &o.Installs
	return w
}

type newSkillWire struct {
	Key            string            `json:"key" minLength:"1" maxLength:"100" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$" patternDescription:"a letter or a digit, then letters, digits, '.', '_' and '-'" doc:"Names the skill among those of the agent."`
	Name           string            `json:"name" minLength:"1" maxLength:"200"`
	Category       string            `json:"category" minLength:"1" maxLength:"100"`
	Summary        *string           `json:"summary,omitempty" maxLength:"500"`
	DescriptionMD  *string           `json:"description_md,omitempty" maxLength:"50000"`
	Tags           []string          `json:"tags,omitempty" maxItems:"20"`
	Requirements   []requirementWire `json:"requirements,omitempty" maxItems:"50"`
	PromptTemplate *string           `json:"prompt_template,omitempty" maxLength:"50000"`
	CodeSnippet    *string           `json:"code_snippet,omitempty" maxLength:"50000"`
	ConfigSchema   object            `json:"config_schema,omitempty" doc:"A JSON Schema that refers to no other document."`
	Version        *string           `json:"version,omitempty" maxLength:"64" doc:"Another content needs another one."`
}

func (n newSkillWire) read() skill.NewSubmission {
	out := skill.NewSubmission{Label: deref(n.Version), Structured: skill.Structured{
		Key: n.Key, Name: n.Name, Summary: deref(n.Summary), Description: deref(n.DescriptionMD), Category: n.Category, Tags: n.Tags,
		PromptTemplate: deref(n.PromptTemplate), CodeSnippet: deref(n.CodeSnippet), ConfigSchema: n.ConfigSchema.raw(),
	}}
	for _, r := range n.Requirements {
		out.Requirements = append(out.Requirements, skill.Requirement(r))
	}
	return out
}

type ingestSkillsInput struct {
	Body struct {
		AgentID string         `json:"agent_id" doc:"Whose skills they are."`
		Skills  []newSkillWire `json:"skills" nullable:"false" doc:"1 to 50."`
	}
}

type ingestedWire struct {
	Ingested int                 `json:"ingested"`
	Skills   []ingestedSkillWire `json:"skills" nullable:"false" doc:"In the order in which they were sent."`
}

type ingestedSkillWire struct {
	ID      string  `json:"id"`
	Key     string  `json:"key"`
	Version *string `json:"version"`
	Status  string  `json:"status" enum:"pending,approved,denied"`
}

type reviewInput struct {
	PageQuery
	Status string `query:"status" enum:"pending,approved,denied" default:"pending"`
}

type skillInput struct {
	SkillID string `path:"skill_id" doc:"The skill's id, in any spelling."`
}

type approveInput struct {
	SubmissionID string `path:"submission_id" doc:"The skill's id, in any spelling."`
	Body         *struct {
		Digest     *string `json:"digest,omitempty" maxLength:"64" doc:"The sha256 of what you have seen; 409 when it has changed meanwhile."`
		Reason     *string `json:"reason,omitempty" maxLength:"2000"`
		AcceptRisk *bool   `json:"accept_risk,omitempty" doc:"Approve what the security scan calls malicious; for administrators, with a reason."`
	} `required:"false"`
}

type denyInput struct {
	SubmissionID string `path:"submission_id" doc:"The skill's id, in any spelling."`
	Body         *struct {
		Digest *string `json:"digest,omitempty" maxLength:"64" doc:"The sha256 of what you have seen."`
		Reason *string `json:"reason,omitempty" maxLength:"2000"`
	} `required:"false"`
}

type marketInput struct {
	PageQuery
	Search   string `query:"search" maxLength:"200" doc:"A part of the name, the key, the summary or the description."`
	Category string `query:"category" maxLength:"100"`
	Tag      string `query:"tag" maxLength:"50"`
}

type promptWire struct {
	Prompt string `json:"prompt" doc:"Ready to paste into another agent."`
}

const ingestExample = `{"agent_id":"01890000-0000-7000-8000-000000000001","skills":[{"key":"send-slack-dm","name":"Send Slack DM",` +
	`"category":"messaging","tags":["slack"],"requirements":[{"name":"Slack Bot Token","type":"credential"}],"version":"1.0.0"}]}`

func (f *face) registerSkills() {
	httpx.Register(f.Face, httpx.Op{
		ID: "ingestSkills", Method: http.MethodPost, Path: "/skills/ingest", Tag: "skills", Status: http.StatusCreated, Example: ingestExample,
		Summary: "Hand in skills of an agent", Permission: account.Skills, Statuses: []int{http.StatusConflict, http.StatusTooManyRequests},
		Description: "All or none. The same key, version and content again changes nothing. 50 new ones in an hour.",
	}, func(ctx context.Context, in *ingestSkillsInput) (*output[ingestedWire], error) {
		agentID, err := id.Parse[id.AgentKind](in.Body.AgentID)
		if err != nil {
			return nil, err
		}
		list := make([]skill.NewSubmission, len(in.Body.Skills))
		for i, n := range in.Body.Skills {
			list[i] = n.read()
		}
		made, err := f.deps.Market.Ingest(ctx, httpx.Scope(ctx), agentID, list)
		if err != nil {
			return nil, err
		}
		w := ingestedWire{Ingested: len(made), Skills: make([]ingestedSkillWire, len(made))}
		for i, m := range made {
			w.Skills[i] = ingestedSkillWire{m.Skill.UUID().String(), m.Version.Content.Key, textPtr(m.Version.Label), string(m.Version.Status)}
		}
		return ok(w), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listSkillReviews", Method: http.MethodGet, Path: "/skills/review", Tag: "skills", Permission: account.Skills,
		Summary: "List the skills of the agents that you are linked to, by the state of their review",
	}, func(ctx context.Context, in *reviewInput) (*listOutput[skillWire], error) {
		found, err := f.deps.Market.Queue(ctx, httpx.Scope(ctx), skill.ReviewStatus(in.Status), in.request())
		if err != nil {
			return nil, err
		}
		return listOf(found, showReviewed), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "approveSkill", Method: http.MethodPost, Path: "/skills/{submission_id}/approve", Tag: "skills", Permission: account.Skills,
		Summary: "Put a skill into the marketplace", Statuses: []int{http.StatusConflict}, Example: `{"reason":"It does what it says."}`,
	}, func(ctx context.Context, in *approveInput) (*output[skillWire], error) {
		var r skill.Review
		if b := in.Body; b != nil {
			r = skill.Review{Digest: deref(b.Digest), Reason: deref(b.Reason), AcceptRisk: b.AcceptRisk != nil && *b.AcceptRisk}
		}
		return f.reviewed(ctx, in.SubmissionID, r, f.deps.Market.Approve)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "denySkill", Method: http.MethodPost, Path: "/skills/{submission_id}/deny", Tag: "skills", Permission: account.Skills,
		Summary: "Keep a skill out of the marketplace", Statuses: []int{http.StatusConflict}, Example: `{"reason":"It is not documented."}`,
	}, func(ctx context.Context, in *denyInput) (*output[skillWire], error) {
		var r skill.Review
		if b := in.Body; b != nil {
			r = skill.Review{Digest: deref(b.Digest), Reason: deref(b.Reason)}
		}
		return f.reviewed(ctx, in.SubmissionID, r, f.deps.Market.Deny)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listMarketplaceSkills", Method: http.MethodGet, Path: "/marketplace/skills", Tag: "skills", Permission: account.Skills,
		Summary: "List approved skills, newest first",
	}, func(ctx context.Context, in *marketInput) (*listOutput[skillWire], error) {
		found, err := f.deps.Market.Browse(ctx, httpx.Scope(ctx), skill.ListingRequest{
			Search: in.Search, Category: in.Category, Tag: in.Tag, Page: in.request(),
		})
		if err != nil {
			return nil, err
		}
		return listOf(found, showListing), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getMarketplaceSkill", Method: http.MethodGet, Path: "/marketplace/skills/{skill_id}", Tag: "skills", Permission: account.Skills,
		Summary: "Read an approved skill",
	}, func(ctx context.Context, in *skillInput) (*output[skillWire], error) {
		o, err := f.deps.Market.Get(ctx, httpx.Scope(ctx), in.SkillID)
		if err != nil {
			return nil, err
		}
		return ok(showOffer(o)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getInstallPrompt", Method: http.MethodGet, Path: "/marketplace/skills/{skill_id}/install-prompt", Tag: "skills",
		Permission: account.Skills, Summary: "Write a text that gives a skill to another agent",
	}, func(ctx context.Context, in *skillInput) (*output[promptWire], error) {
		o, err := f.deps.Market.Get(ctx, httpx.Scope(ctx), in.SkillID)
		if err != nil {
			return nil, err
		}
		text, err := f.deps.Market.InstallPrompt(ctx, httpx.Scope(ctx), o)
		if err != nil {
			return nil, err
		}
		return ok(promptWire{text}), nil
	})
}

func (f *face) reviewed(
	ctx context.Context, ref string, r skill.Review, decide func(context.Context, account.Scope, id.Skill, skill.Review) (skill.Reviewed, error),
) (*output[skillWire], error) {
	of, err := id.Parse[id.SkillKind](ref)
	if err != nil {
		return nil, err
	}
	out, err := decide(ctx, httpx.Scope(ctx), of, r)
	if err != nil {
		return nil, err
	}
	return ok(showReviewed(out)), nil
}
