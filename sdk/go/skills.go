package valar

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"
)

// Statuses of skills.
const (
	SkillPending  = "pending"
	SkillApproved = "approved"
	SkillDenied   = "denied"
)

// Skill is a skill. The list of the marketplace leaves the long texts out.
type Skill struct {
	ID             string          `json:"id"`
	AgentID        string          `json:"agent_id"` // "" when no agent has handed it in
	Key            string          `json:"key"`
	Name           string          `json:"name"`
	Category       string          `json:"category"`
	Version        string          `json:"version"`
	Status         string          `json:"status"` // SkillPending, SkillApproved or SkillDenied
	Reason         string          `json:"reason"` // the reviewer's
	Summary        string          `json:"summary"`
	DescriptionMD  string          `json:"description_md"`
	Tags           []string        `json:"tags"`
	Requirements   []Requirement   `json:"requirements"`
	PromptTemplate string          `json:"prompt_template"`
	CodeSnippet    string          `json:"code_snippet"`
	ConfigSchema   json.RawMessage `json:"config_schema"` // a JSON Schema, or null
	Kind           string          `json:"kind"`          // structured, instructions or plugin
	SHA256         string          `json:"sha256"`        // of the content: what a reviewer has seen
	Installs       int             `json:"installs"`      // agents that have it
	Scan           *Scan           `json:"scan"`          // nil where the caller is no reviewer
	CreatedAt      time.Time       `json:"created_at"`
}

// Scan is what the security scan says of a skill.
type Scan struct {
	Score    int       `json:"score"`   // 0 to 100, the higher the better
	Verdict  string    `json:"verdict"` // pass, review, warn or malicious
	Findings []Finding `json:"findings"`
}

// Finding is something that the security scan found, and where.
type Finding struct {
	Code     string `json:"code"`
	Severity string `json:"severity"` // info, low, medium, high or critical
	Path     string `json:"path"`
	Line     int    `json:"line"`
	Excerpt  string `json:"excerpt"`
	Message  string `json:"message"`
}

// Approval is how a skill is approved; the zero value is fine.
type Approval struct {
	Digest     string `json:"digest,omitempty"`      // the SHA256 of what you have seen; status 409 when the skill is another by now
	Reason     string `json:"reason,omitempty"`      //
	AcceptRisk bool   `json:"accept_risk,omitempty"` // of what the scan calls malicious; for administrators, with a reason
}

// Requirement is what a skill needs from whoever installs it.
type Requirement struct {
	Name string `json:"name"`
	Type string `json:"type"` // such as credential
}

// NewSkill is a skill to be submitted.
type NewSkill struct {
	Key            string        `json:"key"`      // required; with the version it names the skill
	Name           string        `json:"name"`     // required
	Category       string        `json:"category"` // required
	Version        string        `json:"version,omitempty"`
	Summary        string        `json:"summary,omitempty"`
	DescriptionMD  string        `json:"description_md,omitempty"`
	Tags           []string      `json:"tags,omitempty"`
	Requirements   []Requirement `json:"requirements,omitempty"`
	PromptTemplate string        `json:"prompt_template,omitempty"`
	CodeSnippet    string        `json:"code_snippet,omitempty"`
	ConfigSchema   any           `json:"config_schema,omitempty"` // written as a JSON Schema
}

// IngestedSkill is a skill as IngestSkills left it.
type IngestedSkill struct {
	ID      string `json:"id"`
	Key     string `json:"key"`
	Version string `json:"version"`
	Status  string `json:"status"`
}

// ReviewFilter says which skills a reviewer sees: those of a status, SkillPending when it is empty.
type ReviewFilter struct {
	Paging

	Status string
}

// SkillFilter says which skills of the marketplace are listed; what is empty excludes none.
type SkillFilter struct {
	Paging

	Search, Category, Tag string
}

func (f SkillFilter) query() params {
	return params{}.text("search", f.Search).text("category", f.Category).text("tag", f.Tag)
}

// IngestSkills submits skills of an agent for review, all or none.
func (c *Client) IngestSkills(ctx context.Context, agentID string, skills []NewSkill) ([]IngestedSkill, error) {
	in := struct {
		AgentID string     `json:"agent_id"`
		Skills  []NewSkill `json:"skills"`
	}{agentID, skills}
	out, err := send[struct{ Skills []IngestedSkill }](ctx, c, http.MethodPost, "/skills/ingest", in)
	return out.Skills, err
}

// ListSkillReviews returns a page of the skills of agents that the caller is linked to.
func (c *Client) ListSkillReviews(ctx context.Context, f ReviewFilter) (Page[Skill], error) {
	return list[Skill](ctx, c, "/skills/review", f.Paging, params{}.text("status", f.Status))
}

// AllSkillReviews walks over the skills of agents that the caller is linked to.
func (c *Client) AllSkillReviews(ctx context.Context, f ReviewFilter) iter.Seq2[Skill, error] {
	return all(ctx, c, "/skills/review", f.Paging, params{}.text("status", f.Status), func(s Skill) string { return s.ID })
}

// ApproveSkill lets a skill into the marketplace.
func (c *Client) ApproveSkill(ctx context.Context, id string, a Approval) (Skill, error) {
	return send[Skill](ctx, c, http.MethodPost, path("/skills/%s/approve", id), a)
}

// DenySkill keeps a skill out of the marketplace.
func (c *Client) DenySkill(ctx context.Context, id, reason string) (Skill, error) {
	in := struct {
		Reason string `json:"reason,omitempty"`
	}{reason}
	return send[Skill](ctx, c, http.MethodPost, path("/skills/%s/deny", id), in)
}

// ListMarketplaceSkills returns a page of the approved skills.
func (c *Client) ListMarketplaceSkills(ctx context.Context, f SkillFilter) (Page[Skill], error) {
	return list[Skill](ctx, c, "/marketplace/skills", f.Paging, f.query())
}

// AllMarketplaceSkills walks over the approved skills.
func (c *Client) AllMarketplaceSkills(ctx context.Context, f SkillFilter) iter.Seq2[Skill, error] {
	return all(ctx, c, "/marketplace/skills", f.Paging, f.query(), func(s Skill) string { return s.ID })
}

// GetMarketplaceSkill returns an approved skill.
func (c *Client) GetMarketplaceSkill(ctx context.Context, id string) (Skill, error) {
	return send[Skill](ctx, c, http.MethodGet, path("/marketplace/skills/%s", id), nil)
}

// InstallPrompt returns the text that gives another agent the skill.
func (c *Client) InstallPrompt(ctx context.Context, id string) (string, error) {
	out, err := send[struct{ Prompt string }](ctx, c, http.MethodGet, path("/marketplace/skills/%s/install-prompt", id), nil)
	return out.Prompt, err
}
