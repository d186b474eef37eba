package hosting

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Deployment is what is stored about the hosting of an agent. An agent that was never hosted has that of New.
type Deployment struct {
	Tenant id.Tenant
	Agent  id.Agent

	Region    Region
	Config    json.RawMessage // the client's own, a JSON object; see MergeConfig
	AvatarURL string          // "" none
	Program   *Program        // nil: Bureau's worker
	Limits    Limits          // of its instance

	// Desired is what callers asked for last, Status what has come of it. Generation counts the starts and restarts that were asked
	// for, from 1; 0: none yet.
	Desired    Desired
	Status     Status
	Generation int64
	// NeedsRestart says that a running agent does not know of a change yet. It is false for one that does not run.
	NeedsRestart bool
	// Site is where its instance is, or will be: see Supervisor. "" before the first start.
	Site string

	SpecAt    time.Time // when the files and the environment of its instance were read; zero before the first start
	StartedAt time.Time // of the program that runs, or ran last; zero before the first start
	StoppedAt time.Time // zero unless Status is Stopped after a start

	// LastError says why the agent is in Error, or why its instance ended before it was started again; ErrorCategory which sort of
	// reason that is. Both are "" after a start.
	LastError     string
	ErrorCategory ErrorCategory
	// Failures are the times of the last starts that failed, or of instances that ended by themselves, oldest first, within the
	// supervisor's window. RetryAt is when it is tried again; zero: at once.
	Failures []time.Time
	RetryAt  time.Time

	CreatedAt time.Time // zero: there is no row
	UpdatedAt time.Time
}

// New is the deployment of an agent that was never hosted.
func New(tenant id.Tenant, agent id.Agent) Deployment {
	return Deployment{
		Tenant: tenant, Agent: agent, Region: DefaultRegion, Config: json.RawMessage("{}"), Desired: DesiredStopped, Status: Stopped,
	}
}

// Active reports whether an instance is there or on its way, so that changes reach it by a restart only.
func (d Deployment) Active() bool {
	return d.Status == Provisioning || d.Status == Starting || d.Status == Running
}

// Clone returns a copy that shares nothing which changes.
func (d Deployment) Clone() Deployment {
	d.Failures = slices.Clone(d.Failures)
	return d
}

// Region is where an agent's owner wants it to be. A server is in one place; the region is kept for whoever runs several.
type Region string

// The regions.
const (
	RegionUS      Region = "us"
	RegionEU      Region = "eu"
	DefaultRegion        = RegionEU
)

// Desired is what callers want of an agent.
type Desired string

// What can be wanted.
const (
	DesiredRunning Desired = "running"
	DesiredStopped Desired = "stopped"
)

// Status is how a hosted agent is.
type Status string

// The statuses. Error is left by a start, a restart or a stop only.
const (
	Provisioning Status = "provisioning" // its first start was asked for
	Starting     Status = "starting"     // a start was asked for, or its instance ended and will be started again
	Running      Status = "running"
	Stopping     Status = "stopping" // a stop was asked for
	Stopped      Status = "stopped"
	Error        Status = "error" // see Deployment.LastError
)

// settled reports whether nothing more comes of what was asked for.
func (s Status) settled() bool { return s == Running || s == Stopped || s == Error }

// ErrorCategory is a sort of reasons why an agent does not run.
type ErrorCategory string

// The categories.
const (
	CategoryImage     ErrorCategory = "image"         // what it is made of cannot be had or started
	CategoryCrashLoop ErrorCategory = "crash_loop"    // its program keeps ending
	CategoryMemory    ErrorCategory = "out_of_memory" // its program keeps using more memory than it may
	CategoryRuntime   ErrorCategory = "runtime"       // the host does not start it
	CategoryHealth    ErrorCategory = "health"        // its program runs and does not answer
)

// Limits of an instance; zero fields are the host's defaults.
type Limits = runtime.InstanceLimits

// Measured is what an instance used at a moment.
type Measured struct {
	Agent id.Agent
	runtime.Stats
}
