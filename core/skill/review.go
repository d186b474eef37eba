package skill

import (
	"context"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// MaxReviewReason is how long a reviewer's reason may be, in characters.
const MaxReviewReason = 2000

// Review is what a reviewer says about a skill.
type Review struct {
	// Digest is that of the content which the reviewer has seen: when the skill has another one by now nothing happens. "" is whatever was
	// handed in last.
	Digest string
	Reason string
	// AcceptRisk approves what the security scan calls malicious. Only an administrator may, with a Reason.
	AcceptRisk bool
}

// Reviewed is a submission and the version of it that a call is about.
type Reviewed struct {
	Submission
	Version SubmissionVersion
}

// Queue lists the submissions of the agents that the caller is linked to, and of all agents for an administrator: with ReviewPending and
// ReviewDenied those whose last version has that status, with ReviewApproved what is on the market.
func (m *Market) Queue(ctx context.Context, sc account.Scope, status ReviewStatus, req page.Request) (page.Page[Reviewed], error) {
	q := QueueRequest{Status: status, All: sc.Can(account.Admin), Page: req}
	if !q.All {
		var err error
		if q.Agents, err = m.d.Links.LinkedAgents(ctx, sc); err != nil {
			return page.Page[Reviewed]{}, err
		}
	}
	found, err := m.d.Submissions.Queue(ctx, sc, q)
	if err != nil {
		return page.Page[Reviewed]{}, err
	}
	out := page.Page[Reviewed]{Next: found.Next, Total: found.Total}
	for _, s := range found.Items {
		r := Reviewed{s, s.Head}
		if status == ReviewApproved {
			r.Version = *s.Approved
		}
		out.Items = append(out.Items, r)
	}
	return out, nil
}

// Approve puts the version that was handed in last on the market, where it takes the place of the one before. One that was denied can be
// approved after all; approving what is on the market changes nothing. The skill is named by its id or by that of its version.
//
// Errors are ErrSkillNotFound, ErrNotLinked, ErrReviewed when Review.Digest is not that of the last version, ErrMalicious and ErrAcceptRisk.
func (m *Market) Approve(ctx context.Context, sc account.Scope, of id.Skill, r Review) (Reviewed, error) {
	return m.decide(ctx, sc, of, r, ReviewApproved)
}

// Deny keeps the version that was handed in last from the market. With the Digest of the one that is on the market it takes that off, after
// the last one if that has the same content and waits; agents that have it installed keep it. Errors are those of Approve.
func (m *Market) Deny(ctx context.Context, sc account.Scope, of id.Skill, r Review) (Reviewed, error) {
	return m.decide(ctx, sc, of, r, ReviewDenied)
}

func (m *Market) decide(ctx context.Context, sc account.Scope, of id.Skill, r Review, to ReviewStatus) (Reviewed, error) {
	var f check.Faults
	f.Text("reason", r.Reason, MaxReviewReason)
	if r.Digest != "" && !validDigest(r.Digest) {
		f.Addf("digest", "must be the 64 lower-case hexadecimal digits of a SHA-256")
	}
	if err := f.Err(ErrSubmission); err != nil {
		return Reviewed{}, err
	}
	var out Reviewed
	err := m.d.TX.Do(ctx, func(ctx context.Context) error {
		s, err := m.d.Submissions.Submission(ctx, sc, of)
		if err != nil {
			return err
		}
		if err := m.mayReview(ctx, sc, s.Agent); err != nil {
			return err
		}
		v, err := reviewedVersion(s, r.Digest, to)
		if err != nil {
			return err
		}
		if to == ReviewApproved && s.Approved != nil && s.Approved.ID == v.ID || to == ReviewDenied && v.Status == ReviewDenied {
			out = Reviewed{s, v}
			return nil
		}
		if err := m.mayPublish(ctx, sc, v, r, to); err != nil {
			return err
		}
		d := Decision{Skill: s.ID, Version: v.ID, From: v.Status, To: to, By: sc.Key, Reason: strings.TrimSpace(r.Reason), At: m.now()}
		if err := m.d.Submissions.Decide(ctx, sc, d); err != nil {
			return err
		}
		meta := auditVersion(s.ID, v)
		meta["reason"], meta["was"] = d.Reason, string(v.Status)
		action := "skill_denied"
		if to == ReviewApproved {
			action, meta["accept_risk"] = "skill_approved", r.AcceptRisk
		}
		if err := m.record(ctx, sc, action, s.Agent, meta); err != nil {
			return err
		}
		if s, err = m.d.Submissions.Submission(ctx, sc, s.ID); err != nil {
			return err
		}
		v.Status, v.Reason, v.ReviewedBy, v.ReviewedAt = to, d.Reason, d.By, &d.At
		out = Reviewed{s, v}
		return nil
	})
	return out, err
}

// mayReview returns ErrNotLinked for a caller who neither looks after the agent nor administers the tenant.
func (m *Market) mayReview(ctx context.Context, sc account.Scope, agent id.Agent) error {
	if sc.Can(account.Admin) {
		return nil
	}
	linked, err := m.d.Links.LinkedAgents(ctx, sc)
	if err != nil || slices.Contains(linked, agent) {
		return err
	}
	return ErrNotLinked
}

// reviewedVersion returns the version that a reviewer means.
func reviewedVersion(s Submission, digest string, to ReviewStatus) (SubmissionVersion, error) {
	switch {
	case to == ReviewDenied && s.Approved != nil && digest == s.Approved.Digest && (digest != s.Head.Digest || s.Head.Status != ReviewPending):
		return *s.Approved, nil
	case digest == "", digest == s.Head.Digest:
		return s.Head, nil
	}
	return SubmissionVersion{}, ErrReviewed.Withf("the skill %q has another content by now: %s", s.Key, s.Head.Digest)
}

// mayPublish returns an error for what must not come onto the market.
func (m *Market) mayPublish(ctx context.Context, sc account.Scope, v SubmissionVersion, r Review, to ReviewStatus) error {
	if to != ReviewApproved {
		return nil
	}
	if held, err := m.held(ctx, sc, v.Digest); err != nil {
		return err
	} else if held {
		return ErrQuarantined
	}
	if v.Scan == nil || v.Scan.Verdict != scan.Malicious {
		return nil
	}
	if !sc.Can(account.Admin) {
		return ErrMalicious.Withf("the security scan calls the skill malicious; only an administrator may approve it")
	}
	if !r.AcceptRisk || strings.TrimSpace(r.Reason) == "" {
		return ErrAcceptRisk
	}
	return nil
}
