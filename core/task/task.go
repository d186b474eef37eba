package task

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// The bounds of a run's texts, in characters.
const (
	MaxTask    = 32_000
	MaxContext = 100_000
	maxSummary = 4_000
	maxError   = 2_000
)

// MaxWait is how long Start waits for an outcome at most.
const MaxWait = 10 * time.Minute

// Status is how far a run came.
type Status string

// The statuses. Completed and Failed are final.
const (
	Running         Status = "running"
	WaitingApproval Status = "waiting_approval" // goes on when a person has decided about an act of the run, or its start
	Completed       Status = "completed"
	Failed          Status = "failed"
)

// Final reports whether nothing more happens to a run.
func (s Status) Final() bool { return s == Completed || s == Failed }

// ParseStatus reads the name of a status; another one is a fault.Invalid at "status".
func ParseStatus(name string) (Status, error) {
	switch s := Status(name); s {
	case Running, WaitingApproval, Completed, Failed:
		return s, nil
	}
	return "", fault.Invalidf("status", "must be running, completed, failed or waiting_approval")
}

// Run is a task given to an agent, with its outcome.
type Run struct {
	ID      id.Run
	Tenant  id.Tenant
	Agent   id.Agent
	Session id.Session // which has the same UUID; it may have been deleted
	Task    string     // 1 to MaxTask characters
	Context string     // what else the agent is told; "": nothing
	// Status is what the store finds: WaitingApproval while an act of the run waits for a person, Running otherwise until it ends.
	Status  Status
	Summary string // what the agent said last; never "" of a completed run, and "" while it goes on
	Error   string // Failed: why
	Rule    string // Failed: the rule that stopped it, spelled as policies spell it, such as "daily_limit"; "": none did
	// Credits is what the run was charged; 0 while it goes on, and on a plan without a limit.
	Credits int
	Acts    int // that the charge counts; 0 while it goes on
	// Pending is set while the start itself waits for an approval: nothing has been said to the agent.
	Pending     bool
	StartedAt   time.Time
	CompletedAt *time.Time // nil while it goes on
}

// Duration returns how long the run has taken, or false while it goes on.
func (r Run) Duration() (time.Duration, bool) {
	if r.CompletedAt == nil {
		return 0, false
	}
	return max(0, r.CompletedAt.Sub(r.StartedAt)), true
}

// RunOf spells a session as a run.
func RunOf(s id.Session) id.Run { return id.Of[id.RunKind](s.UUID()) }

// SessionOf returns the session of a run.
func SessionOf(r id.Run) id.Session { return id.Of[id.SessionKind](r.UUID()) }

// What runs cost.
const (
	leastCredits  = 3
	simpleActs    = 2
	standardCost  = 5
	standardActs  = 6
	complexCost   = 10
	unknownReason = "the run failed"
)

// CostOf returns what a run of so many acts costs, in credits.
func CostOf(acts int) int {
	switch {
	case acts <= simpleActs:
		return leastCredits
	case acts <= standardActs:
		return standardCost
	}
	return complexCost
}

// Refusal is an act of a run that was not allowed.
type Refusal struct {
	Rule   string // that denied it, or that asked for the approval which it did not get
	Reason string
}

// Facts are what the acts of a run come to.
type Facts struct {
	Acts    int
	Refusal *Refusal // the first one; nil: nothing was refused
}

// outcome fills in how a run ended.
func (r *Run) outcome(e session.TurnEnd, f Facts, summary string) {
	r.Acts = f.Acts
	r.Summary = shorten(strings.TrimSpace(summary), maxSummary)
	switch {
	case e.Stopped && e.Rule != "":
		r.fail(e.Rule, denied(e.Rule, e.Reason))
	case e.Stopped:
		r.fail("", e.Reason)
	case f.Refusal != nil:
		r.fail(f.Refusal.Rule, denied(f.Refusal.Rule, f.Refusal.Reason))
	case e.Error != nil:
		r.fail(e.Error.Rule, e.Error.Message)
	case e.Stop != session.StopEndTurn:
		r.fail("", "the agent's turn ended as "+string(e.Stop))
	default:
		r.Status = Completed
		if r.Summary == "" {
			r.Summary = "done"
		}
	}
}

func (r *Run) fail(rule, why string) {
	if why == "" {
		why = unknownReason
	}
	r.Status, r.Rule, r.Error = Failed, rule, shorten(why, maxError)
}

// denied says what a rule stopped, as tool results say it.
func denied(rule, reason string) string {
	if reason == "" {
		return "denied by " + rule
	}
	return "denied by " + rule + ": " + reason
}

// shorten cuts a text to so many characters.
func shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// message is what the agent is told.
func (r StartRequest) message() []session.Block {
	blocks := session.Text(r.Task)
	if r.Context != "" {
		blocks = append(blocks, session.Text("Context: "+r.Context)...)
	}
	return blocks
}

// titleOf names the session of a run.
func titleOf(task string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(task), "\n")
	return shorten(line, 100)
}

// checkText refuses what cannot be a text of a run.
func checkText(path, text string, most int) error {
	switch {
	case utf8.RuneCountInString(text) > most:
		return fault.Invalidf(path, "must have at most %d characters", most)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return fault.Invalidf(path, "must be text")
	}
	return nil
}

var _ session.Watcher = (*Service)(nil)

// Notices is where the ends of runs are told to people outside. app wires core/webhook.
type Notices interface {
	// Publish stores a notice in the transaction in ctx; it is delivered after the commit.
	Publish(ctx context.Context, sc scope, kind string, agent id.Agent, data map[string]any) error
}
