package skill

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// ReviewStatus says what a reviewer thinks of a version.
type ReviewStatus string

// The statuses.
const (
	ReviewPending  ReviewStatus = "pending"
	ReviewApproved ReviewStatus = "approved"
	ReviewDenied   ReviewStatus = "denied"
)

// ParseReviewStatus reads a status; "" is ReviewPending.
func ParseReviewStatus(s string) (ReviewStatus, error) {
	switch r := ReviewStatus(s); r {
	case "":
		return ReviewPending, nil
	case ReviewPending, ReviewApproved, ReviewDenied:
		return r, nil
	}
	return "", fault.Invalidf("query.status", "must be pending, approved or denied")
}

// Submission is a structured skill as the server knows it: what an agent handed in under a key, in all its versions.
type Submission struct {
	ID     id.Skill
	Tenant id.Tenant
	Agent  id.Agent
	Key    string // unique among those of the agent
	// Head is the version that was handed in last. Approved is the one on the market, nil when none is: a new version waits for its
	// review while that one stays.
	Head      SubmissionVersion
	Approved  *SubmissionVersion
	CreatedAt time.Time
	UpdatedAt time.Time
}

// SubmissionVersion is one content that was handed in. But for its review it never changes.
type SubmissionVersion struct {
	ID         id.SkillVersion
	Skill      id.Skill
	Agent      id.Agent
	Number     int    // from 1, in the order of their coming
	Label      string // the author's version: "1.0.0"; "" is none
	Digest     string // of the content, see DigestOf
	Content    Structured
	Scan       *scan.Report // what the security scan found when it was handed in
	Status     ReviewStatus
	Reason     string     // the reviewer's; "" is none
	ReviewedBy id.APIKey  // zero when nobody has, or the server itself did
	ReviewedAt *time.Time // nil while it waits
	CreatedAt  time.Time
}

// Decision is what a reviewer decided about a version.
type Decision struct {
	Skill   id.Skill
	Version id.SkillVersion
	From    ReviewStatus // what it must be until then
	To      ReviewStatus
	By      id.APIKey
	Reason  string
	At      time.Time
}

// QueueRequest chooses submissions for reviewers.
type QueueRequest struct {
	// Status chooses the submissions whose Head has it; with ReviewApproved those that have something on the market.
	Status ReviewStatus
	// Agents whose skills are shown, unless All.
	Agents []id.Agent
	All    bool
	Page   page.Request // with Offset and Count, or with a Cursor
}

// SubmissionRepository keeps submissions. Calls join the transaction in ctx and see the scope's tenant only; a submission that is not
// there is ErrSkillNotFound.
type SubmissionRepository interface {
	// Recent returns when the versions that the agent handed in after since were handed in, the first one first. Inside a transaction
	// it keeps others from asking for the same agent until that ends.
	Recent(ctx context.Context, sc account.Scope, agent id.Agent, since time.Time) ([]time.Time, error)
	// Match returns the agent's submission of this key, nil when there is none, and those of its versions that have the label, unless
	// it is "", or the digest.
	Match(ctx context.Context, sc account.Scope, agent id.Agent, key, label, digest string) (*Submission, []SubmissionVersion, error)
	// Add gives v the next number of its submission and makes it the Head. s is created when it is not there yet.
	Add(ctx context.Context, sc account.Scope, s Submission, v SubmissionVersion) (SubmissionVersion, error)
	// SetHead makes an older version the Head again.
	SetHead(ctx context.Context, sc account.Scope, skill id.Skill, version id.SkillVersion, at time.Time) error
	// Submission returns one by its id, or by the id of one of its versions. Inside a transaction it is locked.
	Submission(ctx context.Context, sc account.Scope, skill id.Skill) (Submission, error)
	// Decide changes the status of a version, and with it what is on the market: a version that is approved takes the place of the
	// one before, one that was approved and is denied leaves it empty. ErrReviewed when the status is not d.From.
	Decide(ctx context.Context, sc account.Scope, d Decision) error
	// Queue returns submissions, the latest Head first, or with ReviewApproved the latest approval.
	Queue(ctx context.Context, sc account.Scope, req QueueRequest) (page.Page[Submission], error)
}

// ContentRepository keeps what versions hold, also for agents that have installed one of a submission that is gone. Calls join the
// transaction in ctx and see the scope's tenant only.
type ContentRepository interface {
	// Contents returns those of the versions that are there, in no particular order.
	Contents(ctx context.Context, sc account.Scope, versions []id.SkillVersion) ([]SubmissionVersion, error)
	// ForgetSubmissions removes the submissions of an agent, and their versions but for those that are installed on an agent.
	ForgetSubmissions(ctx context.Context, sc account.Scope, agent id.Agent) error
	// Prune removes a version that neither belongs to a submission nor is installed; there may be none.
	Prune(ctx context.Context, sc account.Scope, version id.SkillVersion) error
}
