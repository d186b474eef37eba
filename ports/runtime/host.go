package runtime

import (
	"context"
	"iter"
	"net"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
)

// The errors of hosts.
var (
	// ErrNoInstance is returned for an instance that a host does not have.
	ErrNoInstance = fault.New(fault.NotFound, "instance_not_found", "there is no such instance")
	// ErrNotRunning is returned when an instance would have to run for what is asked.
	ErrNotRunning = fault.New(fault.Conflict, "instance_not_running", "the instance does not run")
	// ErrImage is returned for an image or a program that cannot be started.
	ErrImage = fault.New(fault.Invalid, "instance_image", "the image cannot be started")
)

// Host runs programs that last, one instance for each hosted agent. An instance goes on when the server ends or is killed, and is found
// again by the next one through List. A host starts nothing by itself: whoever asks decides whether what has ended is started again.
// Implementations are safe for concurrent use.
type Host interface {
	// Name is how the configuration calls it: "process", "docker", "kubernetes".
	Name() string
	// Start makes sure that the instance spec.ID runs as spec says, and returns once its program has been started, which is before it
	// answers. One that runs with spec.Generation already is returned as it is; one of another generation is ended first, with
	// everything that it has started: there is never more than one. Its work directory is made, or kept from earlier generations.
	// ErrIsolation where the limits or the network cannot be kept, ErrImage for what cannot be run.
	Start(ctx context.Context, spec InstanceSpec) (Instance, error)
	// Stop asks the program to end (SIGTERM), kills it with all that it has started once grace is over, and returns when nothing of it
	// runs. Files and logs stay. One that has ended already is no error; ErrNoInstance.
	Stop(ctx context.Context, id string, grace time.Duration) error
	// Remove ends an instance at once and deletes its files and its logs. Removing one that is not there changes nothing.
	Remove(ctx context.Context, id string) error
	// Inspect returns an instance as it is now; ErrNoInstance.
	Inspect(ctx context.Context, id string) (Instance, error)
	// List returns every instance of this server, ended ones too, in no order.
	List(ctx context.Context) ([]Instance, error)
	// Stats measures a running instance; ErrNoInstance, ErrNotRunning.
	Stats(ctx context.Context, id string) (Stats, error)
	// Logs yields lines of an instance's output, oldest first, of earlier generations too as far as they are kept. With q.Follow it goes on
	// with new lines until ctx ends or the instance is removed; also over a restart. Logs are rotated, so that they use bounded space.
	// ErrNoInstance is yielded as the only pair.
	Logs(ctx context.Context, id string, q LogQuery) iter.Seq2[LogLine, error]
	// Dial connects to the port that a running instance's program listens on, InstanceSpec.Port, or to Bureau's own worker where the
	// instance has no program of its own. ErrNoInstance, ErrNotRunning; another error while nothing listens there yet.
	Dial(ctx context.Context, id string) (net.Conn, error)
}

// InstanceSpec describes an instance.
type InstanceSpec struct {
	ID         string // [a-z0-9-]{1,40}
	Generation int64  // from 1; raised by each start that shall replace what runs
	// Labels say for people and tools whose instance it is: "tenant", "agent". Values are [A-Za-z0-9_.-]{1,63}.
	Labels map[string]string
	// Image is what a container is made of; "" is an image with nothing but Bureau itself. Hosts without images return ErrImage.
	Image string
	// Command is the program with its arguments; empty is the image's own or, without an image, Bureau's worker.
	Command []string
	// Port is where the program listens inside of the instance, on loopback or all addresses; 0: Bureau's worker.
	Port int
	// Env is secret: it is seen by the program alone.
	Env map[string]string
	// Files are written below the work directory before the program starts, by slash-separated relative path. Those that an earlier
	// generation was given and this one is not are deleted; what the program wrote itself stays.
	Files   map[string][]byte
	Network Network
	Limits  InstanceLimits
}

// InstanceLimits of an instance; zero fields are the host's defaults.
type InstanceLimits struct {
	Limits        // Memory, Processes, Disk
	CPU       int // thousandths of a core; 0 is DefaultCPU
	OpenFiles int // of each process; 0 is DefaultOpenFiles
}

// The defaults of InstanceLimits. Memory is less than a sandbox's: a hundred agents share a machine.
const (
	DefaultInstanceMemory = 512 << 20
	DefaultCPU            = 1000
	DefaultOpenFiles      = 1024
)

// WorkDir is the work directory of an instance, as its program sees it: where it starts and where its Files are.
const WorkDir = WorkspaceDir

// InstanceState is what is known about an instance.
type InstanceState string

// The states.
const (
	InstanceStarting InstanceState = "starting" // the host has taken it on; its program has not been started
	InstanceRunning  InstanceState = "running"
	InstanceExited   InstanceState = "exited" // see Code and Reason
)

// Instance is one instance as a host sees it.
type Instance struct {
	ID         string
	Generation int64
	State      InstanceState
	StartedAt  time.Time // of the program; zero while InstanceStarting
	ExitedAt   time.Time // zero unless InstanceExited
	Code       int       // exit status of an exited one; -1 when it was killed by a signal
	Memory     bool      // it was killed because it used more memory than it may
	Reason     string    // why it ended or does not start, for people; "" when there is nothing to say
	PID        int       // on this machine; 0 where that means nothing
}

// Stats is what an instance uses.
type Stats struct {
	Memory      int64   // bytes, without caches that the kernel can drop
	MemoryLimit int64   // bytes
	CPUPercent  float64 // 100 is one core, over the last moments or since the start
	Processes   int     // of the instance; some hosts count threads, and their own
	At          time.Time
}

// LogQuery chooses lines of a log.
type LogQuery struct {
	Tail   int       // the newest lines to begin with; 0 none, negative all that are kept
	Since  time.Time // no line before; zero any
	Follow bool
}

// LogLine is a line of a program's output.
type LogLine struct {
	Time   time.Time
	Stderr bool
	Text   string // UTF-8 without the line break, "\n" or "\r\n"; at most MaxLogLine bytes: a longer line ends in "..."
}

// MaxLogLine is the most that is kept of one line, in bytes.
const MaxLogLine = 16 << 10
