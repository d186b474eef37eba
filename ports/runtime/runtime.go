package runtime

import (
	"cmp"
	"context"
	"io"
	"io/fs"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
)

// The errors of runtimes and sandboxes.
var (
	// ErrIsolation is returned where the machine offers no isolation, or none that can do what a Spec asks for.
	ErrIsolation = fault.New(fault.Unsupported, "isolation_unavailable", "this server cannot isolate programs")
	// ErrGone is returned by a sandbox that was closed or removed.
	ErrGone = fault.New(fault.Unavailable, "sandbox_gone", "the sandbox is gone")
	// ErrPath is returned for a path that is not absolute or leads out of the sandbox.
	ErrPath = fault.New(fault.Invalid, "sandbox_path", "the path does not lie in the sandbox")
	// ErrDiskFull is returned when writing would pass Limits.Disk.
	ErrDiskFull = fault.New(fault.TooLarge, "sandbox_disk_full", "the sandbox is full")
	// ErrBusy is returned when what runs in a sandbox has used up its memory or its processes, so that nothing more can be started.
	ErrBusy = fault.New(fault.Unavailable, "sandbox_busy", "the programs that run in the sandbox leave no room for another")
	// ErrProgram is returned for a program that is not there or cannot be executed, and for a directory to run it in that is not there.
	ErrProgram = fault.New(fault.Invalid, "sandbox_program", "the program cannot be run")
)

// Runtime makes sandboxes. Implementations are safe for concurrent use.
type Runtime interface {
	// Name is how the configuration calls it, such as "process".
	Name() string
	// Open returns the sandbox called spec.ID. When there is none it is made, with its directories (Dirs) empty; when there is one its
	// files are as they were left, and spec holds from its next program on, for everybody who has it open. It returns ErrIsolation where
	// spec cannot be kept.
	Open(ctx context.Context, spec Spec) (Sandbox, error)
	// Remove ends whatever runs in a sandbox and deletes its files. Removing one that is not there changes nothing.
	Remove(ctx context.Context, id string) error
	// List returns the ids of all sandboxes on this machine, of those with nothing but files, too, in no order.
	List(ctx context.Context) ([]string, error)
}

// The directories that every sandbox has. Nothing else in it can be written, and nothing else is kept.
const (
	WorkspaceDir = "/workspace" // programs start here
	TempDir      = "/tmp"
	HomeDir      = "/home/agent" // HOME
	UploadsDir   = "/mnt/session/uploads"
	OutputsDir   = "/mnt/session/outputs"
	MemoryDir    = "/mnt/memory"
	SkillsDir    = "/mnt/skills"
)

// Dirs returns the directories that every sandbox has.
func Dirs() []string {
	return []string{WorkspaceDir, TempDir, HomeDir, UploadsDir, OutputsDir, MemoryDir, SkillsDir}
}

// Spec describes a sandbox.
type Spec struct {
	ID      string // [a-z0-9_-]{1,64}
	Network Network
	Limits  Limits
	Env     map[string]string // of every program, beside PATH, HOME, LANG, TMPDIR and the proxy's; never the server's own
	// ReadOnly are directories below Dirs, or some of these, in which programs cannot change anything; Sandbox.Write still can.
	ReadOnly []string
}

// NetworkMode says where a sandbox's programs may connect to.
type NetworkMode string

// The modes. Loopback and private addresses of the host are out of reach in each, unless the operator opened them.
const (
	NetworkNone    NetworkMode = ""
	NetworkPublic  NetworkMode = "public"
	NetworkLimited NetworkMode = "limited" // Network.Hosts only
)

// Network is how far a sandbox reaches. HTTP and HTTPS go through a proxy that the programs' environment names; there is no other way out.
type Network struct {
	Mode  NetworkMode
	Hosts []string // of NetworkLimited: names, "*.example.com" for subdomains
}

// Limits of a sandbox; zero fields are the defaults.
type Limits struct {
	Memory    int64 // bytes of all its programs together; 0 is 1 GiB
	Processes int   // at a time; 0 is 64
	Disk      int64 // bytes of files, as the disk counts them; 0 is 1 GiB
}

// WithDefaults returns l with zero fields replaced by d's, or by the defaults where d has none either.
func (l Limits) WithDefaults(d Limits) Limits {
	return Limits{
		Memory:    cmp.Or(l.Memory, d.Memory, DefaultMemory),
		Processes: cmp.Or(l.Processes, d.Processes, DefaultProcesses),
		Disk:      cmp.Or(l.Disk, d.Disk, DefaultDisk),
	}
}

// The defaults of Limits and Command.
const (
	DefaultMemory    = 1 << 30
	DefaultProcesses = 64
	DefaultDisk      = 1 << 30
	DefaultTimeout   = 30 * time.Second
	MaxTimeout       = 10 * time.Minute
	DefaultMaxOutput = 1 << 20
)

// Sandbox is one sandbox. Paths are absolute, slash-separated, as its programs see them; links in it never lead out of it.
// Methods are safe for concurrent use.
type Sandbox interface {
	// Run runs a program to its end. A program that fails, is killed, or takes too long is a Result; an error means that it could
	// not be run.
	Run(ctx context.Context, c Command) (Result, error)
	// Start starts a program that is talked to; it is killed when ctx ends.
	Start(ctx context.Context, c Command) (Process, error)
	// Open opens a file for reading; fs.ErrNotExist when it is not there.
	Open(ctx context.Context, path string) (fs.File, error)
	// Write makes or replaces a file, and the directories above it. The file appears whole or not at all.
	Write(ctx context.Context, path string, r io.Reader, mode fs.FileMode) error
	// Stat describes a file; fs.ErrNotExist when it is not there.
	Stat(ctx context.Context, path string) (fs.FileInfo, error)
	// ReadDir lists a directory by name.
	ReadDir(ctx context.Context, path string) ([]fs.DirEntry, error)
	// RemoveAll deletes a file or a directory with all below it; no error when it is not there.
	RemoveAll(ctx context.Context, path string) error
	// Close ends whatever runs in it, for all who have it open; its files stay, and Open finds them.
	Close() error
}

// Command is a program to run.
type Command struct {
	Args      []string // a program in the sandbox's PATH, or its absolute path, and its arguments
	Dir       string   // "" is /workspace
	Env       map[string]string
	Stdin     io.Reader     // Run only; nil is empty
	Timeout   time.Duration // Run only; 0 is 30 s, at most 10 minutes
	MaxOutput int           // Run only: bytes kept of standard output and error together; 0 is 1 MiB
}

// Result is how a program ended.
type Result struct {
	Output    []byte // standard output and error as they came
	Truncated bool   // there was more than Command.MaxOutput
	Code      int    // exit status; -1 when it was killed
	TimedOut  bool
	Memory    bool // it, or a process of its own, was killed because the sandbox used more than Limits.Memory
	Disk      bool // it failed in a sandbox that was full, or was killed because its files passed Limits.Disk
	Duration  time.Duration
}

// Process is a program that runs.
type Process interface {
	Stdin() io.WriteCloser
	Stdout() io.Reader
	// Stderr returns the newest part of its standard error.
	Stderr() string
	// Wait waits for its end.
	Wait() (Result, error)
	// Kill ends it with all that it started.
	Kill() error
}
