package native

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// requirementWire is something that whoever uses a skill must have.
type requirementWire struct {
	Name string `json:"name" minLength:"1" maxLength:"200" doc:"Slack Bot Token, for example."`
	Type string `json:"type" minLength:"1" maxLength:"50" doc:"credential, for example."`
}

// StructuredWire is what a structured skill consists of. It is exported because others embed it.
type StructuredWire struct {
	DescriptionMD  string            `json:"description_md" doc:"Markdown."`
	Requirements   []requirementWire `json:"requirements" nullable:"false"`
	PromptTemplate string            `json:"prompt_template"`
	CodeSnippet    string            `json:"code_snippet"`
	ConfigSchema   json.RawMessage   `json:"config_schema" doc:"A JSON Schema; null is none."`
}

func showStructured(s skill.Structured) StructuredWire {
	w := StructuredWire{
		DescriptionMD: s.Description, Requirements: []requirementWire{}, PromptTemplate: s.PromptTemplate, CodeSnippet: s.CodeSnippet,
		ConfigSchema: json.RawMessage("null"),
	}
	for _, r := range s.Requirements {
		w.Requirements = append(w.Requirements, requirementWire(r))
	}
	if s.ConfigSchema != nil {
		w.ConfigSchema = s.ConfigSchema
	}
	return w
}

// scanWire is what the security scan found.
type scanWire struct {
	Score    int           `json:"score" doc:"0 to 100, the higher the better."`
	Verdict  string        `json:"verdict" enum:"pass,review,warn,malicious"`
	Risk     string        `json:"risk" enum:"low,medium,high" doc:"What the skill could reach, whatever the verdict."`
	Findings []findingWire `json:"findings" nullable:"false" doc:"The most severe first."`
	Omitted  int           `json:"omitted" doc:"Findings beyond those."`
	Rules    int           `json:"rules" doc:"The version of the rules."`
}

type findingWire struct {
	Code     string  `json:"code" doc:"suspicious.... or malicious...."`
	Severity string  `json:"severity" enum:"info,low,medium,high,critical"`
	Path     *string `json:"path" doc:"The field or the file; null is the skill as a whole."`
	Line     int     `json:"line" doc:"From 1; 0 is the whole of it."`
	Excerpt  string  `json:"excerpt" doc:"Secrets in it are masked."`
	Message  string  `json:"message"`
}

func showScan(r *scan.Report) *scanWire {
	if r == nil {
		return nil
	}
	w := &scanWire{Score: r.Score, Verdict: string(r.Verdict), Risk: string(r.Risk), Findings: []findingWire{}, Omitted: r.Omitted, Rules: r.Rules}
	for _, f := range r.Findings {
		w.Findings = append(w.Findings, findingWire{
			Code: string(f.Code), Severity: string(f.Severity), Path: textOrNull(f.Path), Line: f.Line, Excerpt: f.Excerpt, Message: f.Message,
		})
	}
	return w
}

// submissionWire is a version of a structured skill as reviewers see it.
type submissionWire struct {
	ID        string   `json:"id" doc:"skill_..., the same for all versions."`
	Type      string   `json:"type" enum:"skill_submission"`
	AgentID   string   `json:"agent_id" doc:"Who has handed it in."`
	Key       string   `json:"key"`
	Name      string   `json:"name"`
	Summary   string   `json:"summary"`
	Category  string   `json:"category"`
	Tags      []string `json:"tags" nullable:"false"`
	Version   *string  `json:"version" doc:"The author's; null is none."`
	VersionID string   `json:"version_id" doc:"skillver_..."`
	SHA256    string   `json:"sha256" doc:"Of the content; an approval may name it."`
	Status    string   `json:"status" enum:"pending,approved,denied"`
	StructuredWire
	Scan           *scanWire `json:"scan" doc:"Null when it was not scanned."`
	Reason         *string   `json:"reason" doc:"The reviewer's."`
	ReviewedBy     *string   `json:"reviewed_by" doc:"The reviewer's key."`
	ReviewedAt     *stamp    `json:"reviewed_at"`
	ApprovedSHA256 *string   `json:"approved_sha256" doc:"The content that is on the market; null when none is."`
	CreatedAt      stamp     `json:"created_at" doc:"When this version was handed in."`
}

func showReviewed(r skill.Reviewed) submissionWire {
	v := r.Version
	w := submissionWire{
		ID: r.ID.String(), Type: "skill_submission", AgentID: r.Agent.String(), Key: r.Key, Name: v.Content.Name, Summary: v.Content.Summary,
		Category: v.Content.Category, Tags: listed(v.Content.Tags), Version: textOrNull(v.Label), VersionID: v.ID.String(), SHA256: v.Digest,
		Status: string(v.Status), StructuredWire: showStructured(v.Content), Scan: showScan(v.Scan), Reason: textOrNull(v.Reason),
		ReviewedBy: textOrNull(v.ReviewedBy.String()), ReviewedAt: stampPtr(v.ReviewedAt), CreatedAt: stampOf(v.CreatedAt),
	}
	if r.Approved != nil {
		w.ApprovedSHA256 = &r.Approved.Digest
	}
	return w
}

// ListingWire is a skill of the marketplace, whatever it is made of. It is exported because others embed it.
type ListingWire struct {
	ID        string   `json:"id" doc:"skill_..."`
	Type      string   `json:"type" enum:"marketplace_skill"`
	Kind      string   `json:"kind" enum:"plugin,instructions,structured"`
	Handle    *string  `json:"handle" doc:"By which it can be named, too."`
	AgentID   *string  `json:"agent_id" doc:"Who has handed it in; null for what is not structured."`
	Key       string   `json:"key"`
	Name      string   `json:"name"`
	Summary   string   `json:"summary"`
	Category  string   `json:"category"`
	Tags      []string `json:"tags" nullable:"false"`
	Version   *string  `json:"version"`
	VersionID *string  `json:"version_id" doc:"Null for plugins and what comes with the server."`
	SHA256    *string  `json:"sha256" doc:"What an installation pins; null for a plugin that is being built."`
	Installs  int      `json:"installs" doc:"Agents that have it."`
	Author    string   `json:"author" doc:"The agent that handed it in, by its UUID; bureau for what comes with the server, operator for other plugins, you for what was uploaded."`
	Score     int      `json:"score" doc:"The security scan's, 0 to 100; 100 for plugins and what comes with the server, which the operator answers for."`
	Trust     string   `json:"trust_level" enum:"verified,clawhub" doc:"At which level it can be installed."`
	ListedAt  stamp    `json:"listed_at"`
}

func showListing(l skill.Listing) ListingWire {
	return ListingWire{
		ID: l.ID.String(), Type: "marketplace_skill", Kind: string(l.Kind), Handle: textOrNull(l.Handle), AgentID: textOrNull(l.Agent.String()),
		Key: l.Key, Name: l.Name, Summary: l.Summary, Category: l.Category, Tags: listed(l.Tags), Version: textOrNull(l.Label),
		VersionID: textOrNull(l.Version.String()), SHA256: textOrNull(l.Digest), Installs: l.Installs, Author: l.Author(), Score: l.Score(),
		Trust: string(l.Trust()), ListedAt: stampOf(l.ListedAt),
	}
}

// offerWire is a ListingWire with what the skill is made of.
type offerWire struct {
	ListingWire
	Structured  *StructuredWire `json:"structured" doc:"Of a structured skill."`
	Scan        *scanWire       `json:"scan" doc:"Likewise; null when it was not scanned."`
	Files       []skillFileWire `json:"files" doc:"Of instructions."`
	InputSchema json.RawMessage `json:"input_schema" doc:"Of a plugin; null until it is ready."`
}

func showOffer(o skill.Offer) offerWire {
	w := offerWire{ListingWire: showListing(o.Listing), InputSchema: json.RawMessage("null")}
	switch {
	case o.Structured != nil:
		s := showStructured(o.Structured.Content)
		w.Structured, w.Scan = &s, showScan(o.Structured.Scan)
	case o.Guide != nil:
		w.Files = showFiles(o.Guide.Latest)
	case o.Plugin != nil && o.Plugin.Release != nil && len(o.Plugin.Release.Manifest.Schema) > 0:
		w.InputSchema = o.Plugin.Release.Manifest.Schema
	}
	return w
}

type newSkillWire struct {
	Key            string            `json:"key" minLength:"1" maxLength:"100" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$" patternDescription:"a letter or a digit, then letters, digits, '.', '_' and '-'" doc:"Names the skill among those of the agent."`
	Name           string            `json:"name" minLength:"1" maxLength:"200"`
	Category       string            `json:"category" minLength:"1" maxLength:"100"`
	Summary        string            `json:"summary,omitempty" maxLength:"500"`
	DescriptionMD  string            `json:"description_md,omitempty" maxLength:"50000"`
	Tags           []string          `json:"tags,omitempty" maxItems:"20"`
	Requirements   []requirementWire `json:"requirements,omitempty" maxItems:"50"`
	PromptTemplate string            `json:"prompt_template,omitempty" maxLength:"50000"`
	CodeSnippet    string            `json:"code_snippet,omitempty" maxLength:"50000"`
	ConfigSchema   json.RawMessage   `json:"config_schema,omitempty" doc:"A JSON Schema that refers to no other document, up to 32 KiB."`
	Version        string            `json:"version,omitempty" maxLength:"64" doc:"The author's. Another content needs another one."`
}

func (n newSkillWire) read() skill.NewSubmission {
	out := skill.NewSubmission{Label: n.Version, Structured: skill.Structured{
		Key: n.Key, Name: n.Name, Summary: n.Summary, Description: n.DescriptionMD, Category: n.Category, Tags: n.Tags,
		PromptTemplate: n.PromptTemplate, CodeSnippet: n.CodeSnippet, ConfigSchema: n.ConfigSchema,
	}}
	for _, r := range n.Requirements {
		out.Requirements = append(out.Requirements, skill.Requirement(r))
	}
	return out
}

type ingestSkillsInput struct {
	Body struct {
		AgentID string         `json:"agent_id" minLength:"1" maxLength:"128" doc:"Whose skills they are."`
		Skills  []newSkillWire `json:"skills" nullable:"false" doc:"1 to 50."`
	}
}

type ingestedWire struct {
	Ingested int                 `json:"ingested" doc:"How many were sent."`
	Skills   []ingestedSkillWire `json:"skills" nullable:"false" doc:"In the order in which they were sent."`
}

type ingestedSkillWire struct {
	ID        string  `json:"id" doc:"skill_..."`
	Type      string  `json:"type" enum:"skill_submission"`
	Key       string  `json:"key"`
	Version   *string `json:"version"`
	VersionID string  `json:"version_id"`
	SHA256    string  `json:"sha256"`
	Status    string  `json:"status" enum:"pending,approved,denied"`
	New       bool    `json:"new" doc:"False when it was there already."`
	Verdict   *string `json:"verdict" doc:"The security scan's: pass, review, warn or malicious."`
}

type reviewQueueInput struct {
	httpx.PageQuery
	Status string `query:"status" enum:"pending,approved,denied" default:"pending" doc:"approved is what is on the market."`
}

type approveSkillInput struct {
	SubmissionID string `path:"submission_id" doc:"The skill's id, or that of its version."`
	Body         *struct {
		Digest     string `json:"digest,omitempty" maxLength:"64" doc:"The sha256 of what the reviewer has seen. 409 when it has changed meanwhile."`
		Reason     string `json:"reason,omitempty" maxLength:"2000"`
		AcceptRisk bool   `json:"accept_risk,omitempty" doc:"Approve what the security scan calls malicious; for administrators, with a reason."`
	} `required:"false"`
}

type denySkillInput struct {
	SubmissionID string `path:"submission_id" doc:"The skill's id, or that of its version."`
	Body         *struct {
		Digest string `json:"digest,omitempty" maxLength:"64" doc:"The sha256 of what the reviewer has seen; that of what is on the market takes it off."`
		Reason string `json:"reason,omitempty" maxLength:"2000"`
	} `required:"false"`
}

type marketInput struct {
	httpx.PageQuery
	Search   string `query:"search" maxLength:"200" doc:"A part of the name, the key, the summary or the description."`
	Category string `query:"category" maxLength:"100" doc:"Only this category."`
	Tag      string `query:"tag" maxLength:"50" doc:"Only what has this tag."`
	Kind     string `query:"kind" enum:"plugin,instructions,structured" doc:"Only those."`
	Sort     string `query:"sort" enum:"newest,installs" default:"newest" doc:"What comes first: the latest, or what most agents have."`
}

type promptWire struct {
	Prompt string `json:"prompt" doc:"Ready to paste into another agent."`
}

const ingestExample = `{"agent_id":"agent_01h455vb4pex5vsknk084sn02q","skills":[{"key":"send-slack-dm","name":"Send Slack DM","category":"messaging",` +
	`"summary":"Send a direct message via Slack","tags":["slack"],"requirements":[{"name":"Slack Bot Token","type":"credential"}],` +
	`"prompt_template":"To send a Slack DM, use the bot token and the user's id.","version":"1.0.0"}]}`

// skillID reads the id of a skill or of a version of one.
func skillID(text string) (id.Skill, error) {
	of, err := id.Parse[id.SkillKind](text)
	if err == nil {
		return of, nil
	}
	if version, verr := id.Parse[id.SkillVersionKind](text); verr == nil {
		return id.Of[id.SkillKind](version.UUID()), nil
	}
	return of, err
}

func (f *face) registerMarketplace() {
	httpx.Register(f.Face, httpx.Op{
		ID: "ingestSkills", Method: http.MethodPost, Path: "/v1/skills/ingest", Tag: "skills", Status: http.StatusCreated,
		Summary: "Hand in skills of an agent", Permission: account.Skills, Example: ingestExample,
		Statuses: []int{http.StatusConflict, http.StatusTooManyRequests},
		Description: "All or none of them wait for a review by a user who is linked to the agent. The same key, version and content again changes " +
			"nothing; a new version waits while the approved one stays on the market. An agent may hand in 50 new ones in an hour.",
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
			v := m.Version
			w.Skills[i] = ingestedSkillWire{
				ID: m.Skill.String(), Type: "skill_submission", Key: v.Content.Key, Version: textOrNull(v.Label), VersionID: v.ID.String(),
				SHA256: v.Digest, Status: string(v.Status), New: m.New,
			}
			if v.Scan != nil {
				w.Skills[i].Verdict = textOrNull(string(v.Scan.Verdict))
			}
		}
		return ok(w), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listSkillReviews", Method: http.MethodGet, Path: "/v1/skills/review", Tag: "skills",
		Summary: "List the skills that wait for a review, newest first", Permission: account.Skills,
		Description: "Those of the agents that the caller is linked to; an administrator sees those of every agent.",
	}, func(ctx context.Context, in *reviewQueueInput) (*output[httpx.List[submissionWire]], error) {
		found, err := f.deps.Market.Queue(ctx, httpx.Scope(ctx), skill.ReviewStatus(in.Status), in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showReviewed)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "approveSkill", Method: http.MethodPost, Path: "/v1/skills/{submission_id}/approve", Tag: "skills",
		Summary: "Put the last version of a skill on the market", Permission: account.Skills, Statuses: []int{http.StatusConflict},
		Example: `{"reason":"It does what it says."}`,
		Description: "For users who are linked to the agent and for administrators. What the security scan calls malicious only an administrator may " +
			"approve, with accept_risk and a reason.",
	}, func(ctx context.Context, in *approveSkillInput) (*output[submissionWire], error) {
		var r skill.Review
		if b := in.Body; b != nil {
			r = skill.Review{Digest: b.Digest, Reason: b.Reason, AcceptRisk: b.AcceptRisk}
		}
		return f.reviewed(ctx, in.SubmissionID, r, f.deps.Market.Approve)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "denySkill", Method: http.MethodPost, Path: "/v1/skills/{submission_id}/deny", Tag: "skills",
		Summary: "Keep the last version of a skill from the market, or take one off", Permission: account.Skills,
		Statuses: []int{http.StatusConflict}, Example: `{"reason":"It is not documented."}`,
	}, func(ctx context.Context, in *denySkillInput) (*output[submissionWire], error) {
		var r skill.Review
		if b := in.Body; b != nil {
			r = skill.Review{Digest: b.Digest, Reason: b.Reason}
		}
		return f.reviewed(ctx, in.SubmissionID, r, f.deps.Market.Deny)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listMarketplaceSkills", Method: http.MethodGet, Path: "/v1/marketplace/skills", Tag: "skills",
		Summary: "List what the marketplace offers", Permission: account.Skills,
		Description: "Approved skills of agents, uploaded instructions, those that come with the server, and plugins.",
	}, func(ctx context.Context, in *marketInput) (*output[httpx.List[ListingWire]], error) {
		found, err := f.deps.Market.Browse(ctx, httpx.Scope(ctx), skill.ListingRequest{
			Kind: skill.ContentKind(in.Kind), Search: in.Search, Category: in.Category, Tag: in.Tag, Sort: skill.ListingSort(in.Sort), Page: in.Request(),
		})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showListing)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getMarketplaceSkill", Method: http.MethodGet, Path: "/v1/marketplace/skills/{skill_id}", Tag: "skills",
		Summary: "Read a skill of the marketplace", Permission: account.Skills,
	}, func(ctx context.Context, in *skillInput) (*output[offerWire], error) {
		o, err := f.deps.Market.Get(ctx, httpx.Scope(ctx), in.SkillID)
		if err != nil {
			return nil, err
		}
		return ok(showOffer(o)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getSkillInstallPrompt", Method: http.MethodGet, Path: "/v1/marketplace/skills/{skill_id}/install-prompt", Tag: "skills",
		Summary: "Write a text that gives a skill to another agent", Permission: account.Skills,
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
) (*output[submissionWire], error) {
	of, err := skillID(ref)
	if err != nil {
		return nil, err
	}
	out, err := decide(ctx, httpx.Scope(ctx), of, r)
	if err != nil {
		return nil, err
	}
	return ok(showReviewed(out)), nil
}

// structuredPage lists the structured skills of the marketplace as skills that agents can be given.
func (f *face) structuredPage(ctx context.Context, sc account.Scope, search string, req page.Request) (page.Page[skillWire], error) {
	found, err := f.deps.Market.Browse(ctx, sc, skill.ListingRequest{Kind: skill.ContentStructured, Search: search, Page: req})
	return pageAs(found, showListedSkill), err
}

// showListedSkill writes a structured skill beside those of the other kinds.
func showListedSkill(l skill.Listing) skillWire {
	return skillWire{
		ID: l.ID.String(), Type: "skill", Name: l.Key, DisplayName: l.Name, DisplayTitle: l.Name, Description: l.Summary, Kind: string(l.Kind),
		Source: skillSourceWire{"agent"}, State: string(skill.StateReady), Version: textOrNull(l.Label), LatestVersion: textOrNull(l.Digest),
		LatestVersionID: l.Version.String(), InputSchema: json.RawMessage("null"), Domains: []string{}, Secrets: []string{},
		CreatedAt: stampOf(l.ListedAt), UpdatedAt: stampOf(l.ListedAt),
	}
}
