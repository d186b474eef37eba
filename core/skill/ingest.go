package skill

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// NewSubmission is a skill that an agent hands in.
type NewSubmission struct {
	Structured

	Label string // the author's version; "" is none
}

// Ingested says what became of a NewSubmission.
type Ingested struct {
	Skill   id.Skill
	Version SubmissionVersion
	New     bool // false: it was there already
}

// ingestWindow is what MarketConfig.IngestPerHour counts in.
const ingestWindow = time.Hour

// Ingest takes 1 to MaxSubmissions skills that an agent can do, all or none, and has them wait for a review. One that the agent has handed in
// before with the same content and version changes nothing. Another content needs another version; without a version it is taken as a new
// revision, and a former content becomes the one to be reviewed again. A version that is approved stays on the market meanwhile.
//
// Errors are a fault.NotFound for the agent, ErrIngestRate, which says when there is room again, ErrSubmission with the faults at
// "skills[3].key", and ErrVersionTaken.
func (m *Market) Ingest(ctx context.Context, sc account.Scope, agent id.Agent, list []NewSubmission) ([]Ingested, error) {
	if err := m.d.Agents.Exists(ctx, sc, agent); err != nil {
		return nil, err
	}
	if most := m.cfg.IngestPerHour; most >= 0 && len(list) > most {
		return nil, ErrIngestRate.Withf("an agent may hand in %d skills in an hour; these are %d", most, len(list)).WithRetry(ingestWindow)
	}
	vs, err := admitSubmissions(list)
	if err != nil {
		return nil, err
	}
	reports, err := m.scan(ctx, sc, agent, vs)
	if err != nil {
		return nil, err
	}
	var out []Ingested
	err = m.d.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		out, err = m.ingest(ctx, sc, agent, vs, reports)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// admitSubmissions checks skills and gives them their digests.
func admitSubmissions(list []NewSubmission) ([]SubmissionVersion, error) {
	var f check.Faults
	switch {
	case len(list) == 0:
		f.Addf("skills", "must name at least one skill")
	case len(list) > MaxSubmissions:
		f.Addf("skills", "has %d entries; at most %d are allowed", len(list), MaxSubmissions)
	}
	if err := f.Err(ErrSubmission); err != nil {
		return nil, err
	}
	out := make([]SubmissionVersion, len(list))
	keys := map[string]int{}
	for i, n := range list {
		path := fmt.Sprintf("skills[%d]", i)
		n.check(&f, path)
		if first, twice := keys[n.Key]; twice {
			f.Addf(path+".key", "is that of skills[%d], too", first)
		} else {
			keys[n.Key] = i
		}
		if f.Text(path+".version", n.Label, MaxSkillLabel); strings.ContainsFunc(n.Label, unicode.IsControl) || strings.TrimSpace(n.Label) != n.Label {
			f.Addf(path+".version", "must not contain control characters, nor begin or end with a blank")
		}
		doc, err := n.Encode()
		switch {
		case len(f.Fields) > 0:
		case err != nil:
			f.Addf(path, "cannot be written as JSON")
		case len(doc) > MaxStructuredBytes:
			f.Addf(path, "has %d bytes; at most %d are allowed", len(doc), MaxStructuredBytes)
		}
		out[i] = SubmissionVersion{Label: n.Label, Digest: DigestOf(doc), Content: n.Structured, Status: ReviewPending}
	}
	return out, f.Err(ErrSubmission)
}

// scan looks at what the agent has not handed in before, and returns the reports by digest. It looks at nothing that would be refused anyway: a scan
// is work, which a limit is to keep small.
func (m *Market) scan(ctx context.Context, sc account.Scope, agent id.Agent, vs []SubmissionVersion) (map[string]*scan.Report, error) {
	reports := map[string]*scan.Report{}
	var unseen []SubmissionVersion
	for _, v := range vs {
		_, same, err := m.d.Submissions.Match(ctx, sc, agent, v.Content.Key, "", v.Digest)
		switch {
		case err != nil:
			return nil, err
		case len(same) > 0:
			reports[v.Digest] = same[0].Scan
		default:
			unseen = append(unseen, v)
		}
	}
	if len(unseen) == 0 {
		return reports, nil
	}
	now := m.now()
	recent, err := m.d.Submissions.Recent(ctx, sc, agent, now.Add(-ingestWindow))
	if err != nil {
		return nil, err
	}
	if err := m.rate(recent, len(unseen), now); err != nil {
		return nil, err
	}
	known, err := m.known(ctx, sc, agent)
	if err != nil {
		return nil, err
	}
	for _, v := range unseen {
		if err := ctx.Err(); err != nil { // whoever asked is gone
			return nil, err
		}
		report := scan.Skill(scanInput(v, known))
		reports[v.Digest] = &report
	}
	return reports, nil
}

// rate returns ErrIngestRate when so many more than the recent ones are too many.
func (m *Market) rate(recent []time.Time, fresh int, now time.Time) error {
	over := len(recent) + fresh - m.cfg.IngestPerHour
	if m.cfg.IngestPerHour < 0 || over <= 0 || fresh == 0 {
		return nil
	}
	wait := ingestWindow
	if n := min(over, len(recent)); n > 0 {
		wait = recent[n-1].Add(ingestWindow).Sub(now)
	}
	return ErrIngestRate.Withf("an agent may hand in %d skills in an hour, and has handed in %d", m.cfg.IngestPerHour, len(recent)).
		WithRetry(max(wait, time.Second))
}

// maxKnown is with how many skills of the marketplace a name is compared.
const maxKnown = 500

// known are the names of what the marketplace offers, but for what the agent itself has handed in: nobody should mistake a skill for another.
func (m *Market) known(ctx context.Context, sc account.Scope, agent id.Agent) ([]string, error) {
	found, err := m.Browse(ctx, sc, ListingRequest{Sort: SortInstalls, Page: page.Request{Limit: maxKnown}})
	out := make([]string, 0, 2*len(found.Items))
	for _, l := range found.Items {
		if l.Agent != agent {
			out = append(out, l.Name, l.Key)
		}
	}
	return out, err
}

// scanInput is a structured skill as the scan reads it.
func scanInput(v SubmissionVersion, known []string) scan.Input {
	c := v.Content
	in := scan.Input{Name: c.Name, Key: c.Key, Known: known}
	for _, f := range []struct {
		path, text string
		kind       scan.Kind
	}{
		{"name", c.Name, scan.KindInstructions}, {"summary", c.Summary, scan.KindInstructions}, {"description_md", c.Description, scan.KindInstructions},
		{"prompt_template", c.PromptTemplate, scan.KindInstructions}, {"code_snippet", c.CodeSnippet, scan.KindCode},
		{"config_schema", string(c.ConfigSchema), scan.KindData},
	} {
		if f.text != "" {
			in.Files = append(in.Files, scan.File{Path: f.path, Kind: f.kind, Content: []byte(f.text)})
		}
	}
	for _, r := range c.Requirements {
		switch strings.ToLower(r.Type) {
		case "env", "environment", "environment_variable", "variable":
			in.Env = append(in.Env, r.Name)
		case "domain", "host", "url", "api":
			in.Domains = append(in.Domains, r.Name)
		case "program", "binary", "command", "tool", "package":
			in.Programs = append(in.Programs, r.Name)
		default:
			in.Credentials = append(in.Credentials, r.Name)
		}
	}
	if sum, err := hex.DecodeString(v.Digest); err == nil {
		copy(in.Digest[:], sum)
	}
	return in
}

func (m *Market) ingest(
	ctx context.Context, sc account.Scope, agent id.Agent, vs []SubmissionVersion, reports map[string]*scan.Report,
) ([]Ingested, error) {
	now := m.now()
	recent, err := m.d.Submissions.Recent(ctx, sc, agent, now.Add(-ingestWindow))
	if err != nil {
		return nil, err
	}
	var f check.Faults
	out := make([]Ingested, len(vs))
	var fresh []map[string]any
	for i, v := range vs {
		was, known, err := m.d.Submissions.Match(ctx, sc, agent, v.Content.Key, v.Label, v.Digest)
		if err != nil {
			return nil, err
		}
		same, taken := matchVersion(known, v)
		switch {
		case taken:
			f.Addf(fmt.Sprintf("skills[%d].version", i), "%q of %q exists with another content; hand the new one in under another version", v.Label, v.Content.Key)
			continue
		case same != nil:
			out[i] = Ingested{Skill: was.ID, Version: *same}
			if v.Label == "" && was.Head.ID != same.ID {
				if err := m.d.Submissions.SetHead(ctx, sc, was.ID, same.ID, now); err != nil {
					return nil, err
				}
			}
			continue
		}
		if held, err := m.held(ctx, sc, v.Digest); err != nil {
			return nil, err
		} else if held {
			return nil, ErrQuarantined.Withf("the content of skills[%d], %s, is in quarantine", i, v.Digest)
		}
		s := Submission{ID: id.New[id.SkillKind](m.d.IDs), Tenant: sc.Tenant, Agent: agent, Key: v.Content.Key, CreatedAt: now}
		if was != nil {
			s = *was
		}
		v.ID, v.Skill, v.Agent, v.CreatedAt, v.Scan = id.New[id.SkillVersionKind](m.d.IDs), s.ID, agent, now, reports[v.Digest]
		if v, err = m.d.Submissions.Add(ctx, sc, s, v); err != nil {
			return nil, err
		}
		out[i] = Ingested{Skill: s.ID, Version: v, New: true}
		fresh = append(fresh, auditVersion(s.ID, v))
	}
	if err := f.Err(ErrVersionTaken); err != nil {
		return nil, err
	}
	if err := m.rate(recent, len(fresh), now); err != nil {
		return nil, err
	}
	if len(fresh) == 0 {
		return out, nil
	}
	return out, m.record(ctx, sc, "skills_submitted", agent, map[string]any{"skills": fresh})
}

// matchVersion returns the version that v is a repetition of, and whether v would change one.
func matchVersion(known []SubmissionVersion, v SubmissionVersion) (same *SubmissionVersion, taken bool) {
	for i, k := range known {
		switch {
		case k.Label == v.Label && k.Digest == v.Digest:
			return &known[i], false
		case v.Label != "" && k.Label == v.Label:
			taken = true
		}
	}
	return nil, taken
}

// auditVersion is what the audit trail says of a version.
func auditVersion(of id.Skill, v SubmissionVersion) map[string]any {
	out := map[string]any{
		"skill_id": of.UUID().String(), "version_id": v.ID.UUID().String(), "key": v.Content.Key, "version": v.Label, "sha256": v.Digest,
	}
	if v.Scan != nil {
		out["score"], out["verdict"] = v.Scan.Score, string(v.Scan.Verdict)
	}
	return out
}
