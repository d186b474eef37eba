package eval

import (
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// Limits of a run.
const (
	MaxName        = 256 // characters
	MaxTasks       = 200
	MaxTrials      = 20 // of a task
	MaxTaskID      = 128
	MaxMessages    = 50      // of a task
	MaxMessage     = 100_000 // characters
	MaxFiles       = 50      // of a task
	MaxFileBytes   = 1 << 20 // of a task's files together
	MaxScript      = 64 << 10
	MinTimeout     = time.Second // of a trial
	MaxTimeout     = 2 * time.Hour
	DefaultTimeout = 10 * time.Minute
)

// Run is an evaluation: tasks, tried with one version of an agent.
type Run struct {
	ID           id.EvalRun
	Tenant       id.Tenant
	Name         string // "": none
	Agent        id.Agent
	AgentVersion int            // pinned when the run was made
	Environment  id.Environment // of every trial's session; zero: none
	Tasks        []Task
	Status       Status
	Error        string // why the run could not go on; "" otherwise
	Counts       Counts
	Step         int64 // numbers the jobs of the run: the next one to be done has it

	CreatedAt time.Time
	UpdatedAt time.Time  // when a job last took it further
	StartedAt *time.Time // nil: not yet
	EndedAt   *time.Time // nil: not yet
}

// Task is what is asked of the agent.
type Task struct {
	ID       string // unique in the run
	Messages []string
	Files    []SetupFile   // written before the first message
	Script   string        // run after that; a failure fails the trial. "": none
	Timeout  time.Duration // of a trial, from the making of its session to the end of its last turn
	Trials   int
	Scorer   *Scorer // nil: a trial that ends its turns is completed without a score
}

// SetupFile is a file that a trial begins with.
type SetupFile struct {
	Path    string // absolute, in the sandbox; what is relative in a request lies in /workspace
	Content string
}

// Status says how far a run or a trial is.
type Status string

// The statuses.
const (
	Pending   Status = "pending"
	Running   Status = "running"
	Completed Status = "completed" // trials: their turns ended and were scored, passed or not
	Failed    Status = "failed"    // trials: could not be brought to their end; runs: none of the trials could
	Cancelled Status = "cancelled"
)

// Ended reports whether s is a last status.
func (s Status) Ended() bool { return s == Completed || s == Failed || s == Cancelled }

// Counts counts the trials of a run.
type Counts struct {
	Trials, Pending, Running, Completed, Failed, Cancelled int
	Passed                                                 int // of the completed ones
	Scored                                                 int // completed ones that have a score
}

// Trial is one try of a task.
type Trial struct {
	Task    int // index in Run.Tasks
	Number  int // from 0
	Status  Status
	Session id.Session // zero: not started
	Sent    int        // how many of the task's messages have been sent
	Score   *float64   // in [0, 1]; nil: none
	Passed  *bool      // nil: not judged
	Results []Result   // of the scorer and what it is made of, in depth-first order
	Error   string     // why it failed; "" otherwise

	Cost      *money.Pico // of the session's model calls; nil: not known, or nothing yet
	JudgeCost *money.Pico // of the models that judged; nil: not known, or none
	Tokens    int64       // of the session, in and out
	Steps     int         // model calls of the session
	Tools     int         // tool uses of the session
	StartedAt *time.Time
	EndedAt   *time.Time
	// BusyUntil is until when one process has the trial to itself, to prepare or to score it; while it works it puts this off. Zero, or
	// past: nobody works on it.
	BusyUntil time.Time
}

// Duration is how long the trial took, or has taken until now.
func (t Trial) Duration(now time.Time) time.Duration {
	switch {
	case t.StartedAt == nil:
		return 0
	case t.EndedAt != nil:
		return t.EndedAt.Sub(*t.StartedAt)
	}
	return max(0, now.Sub(*t.StartedAt))
}

// Result is what one scorer found.
type Result struct {
	Path   string // "scorer", "scorer.scorers[1]"
	Type   ScorerType
	Score  float64 // in [0, 1]
	Passed bool
	Reason string
}

// ListRequest asks for a page of runs. The zero value is the first page of all.
type ListRequest struct {
	page.Request
	Status      Status         // "": any
	Agent       id.Agent       // zero: any
	Environment id.Environment // zero: any
}

// Ref names a run for a job.
type Ref struct {
	Tenant id.Tenant
	Run    id.EvalRun
	Step   int64
}
