package sandbox

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Sessions reads sessions; session.Service and its repository do.
type Sessions interface {
	Get(ctx context.Context, sc account.Scope, session id.Session) (session.Session, error)
}

// Environments reads environments, archived ones too; environment.Service does.
type Environments interface {
	Get(ctx context.Context, sc account.Scope, environment id.Environment) (environment.Environment, error)
}

// Journal tells readers of a session what happens to its sandbox; session.Journal does.
type Journal interface {
	// Note appends events that belong to no step of a turn.
	Note(ctx context.Context, ref session.Ref, entries ...session.Entry) error
}

// Tokens opens the tokens with which repositories are cloned; session.Service does.
type Tokens interface {
	// RepositoryToken returns the token of a resource; "" when it has none.
	RepositoryToken(ctx context.Context, sc account.Scope, r session.Resource) (string, error)
}

// Variables knows the credentials that programs get by their environment.
type Variables interface {
	// Variables returns the vaults' environment variables; the first vault that has a name wins.
	Variables(ctx context.Context, sc account.Scope, vaults []id.Vault) ([]Variable, error)
}

// Variable is a credential that programs get by their environment.
type Variable struct {
	Name  string
	Value string
	// Limited says that the value may be sent to Hosts alone. A sandbox that reaches more than these does not get it: once a program
	// has the value, only the network keeps it from going elsewhere.
	Limited bool
	Hosts   []string // names, IPv4 addresses, "*.example.com" for the subdomains of one
}

// Outputs keeps what sandboxes made as files of their sessions.
type Outputs interface {
	// Save stores a file and returns its id. It replaces what the session's path held before.
	Save(ctx context.Context, sc account.Scope, o NewOutput, body io.Reader) (id.File, error)
}

// NewOutput is a file below session.OutputsDir.
type NewOutput struct {
	Session id.Session
	Path    string // below session.OutputsDir, slash-separated
}

// Web fetches pages for the tool web_fetch.
type Web interface {
	// Fetch reads an address that a model chose. Every failure that the model may learn of is a fault with a message for it.
	Fetch(ctx context.Context, req FetchRequest) (Page, error)
}

// FetchRequest is one use of Web.
type FetchRequest struct {
	URL string
	// Allowed and Blocked are domains, with their subdomains, or domains with the beginning of a path. Redirects are held against them
	// too. nil Allowed is every public one.
	Allowed []string
	Blocked []string
}

// Page is what an address held.
type Page struct {
	URL       string // after redirects
	Title     string // "": none
	MediaType string
	Text      string // Markdown, when it was HTML
	Truncated bool   // there was more than is ever read
}

// Deps is what a Service needs. Mounters, Tokens, Variables, Outputs and Web may be left out: sessions do without what they bring.
type Deps struct {
	Clock        clock.Clock
	IDs          id.Generator
	Logger       *slog.Logger
	Runtime      runtime.Runtime
	Sessions     Sessions
	Environments Environments
	Journal      Journal
	Repository   Repository
	Mounters     []Mounter
	Tokens       Tokens
	Variables    Variables
	Outputs      Outputs
	Web          Web
}

// Config tunes a Service; the zero value is the default.
type Config struct {
	// Limits of each sandbox; zero fields are the runtime's defaults.
	Limits runtime.Limits
	// Timeout is how long a command runs when the model does not say; 0 is 30 s. It can ask for ten minutes at most.
	Timeout time.Duration
	// MaxOutput is how many bytes of a command's output, or of a file, a model is shown; 0 is 128 KiB, and tool.MaxResultBytes, less
	// what the notes take, the most.
	MaxOutput int
	// InstallTimeout bounds the packages of one package manager, and one repository; 0 is 10 minutes, which is the most.
	InstallTimeout time.Duration
	// Idle is after what time without use a sandbox is closed; its files stay. 0 is 10 minutes.
	Idle time.Duration
	// Env are variables of the server's that the operator passes to every sandbox, such as the addresses of package indexes. The
	// programs in it can read them.
	Env map[string]string
	// MaxOutputs bounds the files of session.OutputsDir that are kept; 0 is 1000.
	MaxOutputs int
}

const maxTimeout = 10 * time.Minute

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.MaxOutput <= 0 {
		c.MaxOutput = 128 << 10
	}
	c.MaxOutput = min(c.MaxOutput, tool.MaxResultBytes-4<<10)
	if c.InstallTimeout <= 0 || c.InstallTimeout > maxTimeout {
		c.InstallTimeout = maxTimeout
	}
	if c.Idle <= 0 {
		c.Idle = 10 * time.Minute
	}
	if c.MaxOutputs <= 0 {
		c.MaxOutputs = 1000
	}
	return c
}

// Service keeps the sandboxes of sessions. It is safe for concurrent use.
type Service struct {
	d   Deps
	cfg Config

	mu      sync.Mutex
	boxes   map[id.Session]*box
	clones  map[string]bool // ids of sandboxes that are cloned into right now
	stopped bool

	asking sync.Mutex // held while the package managers are asked
	asked  bool
	hosts  []string
}

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps, cfg Config) (*Service, error) {
	switch {
	case d.Clock == nil:
		return nil, errors.New("sandbox: Deps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("sandbox: Deps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("sandbox: Deps.Logger is required")
	case d.Runtime == nil:
		return nil, errors.New("sandbox: Deps.Runtime is required")
	case d.Sessions == nil:
		return nil, errors.New("sandbox: Deps.Sessions is required")
	case d.Environments == nil:
		return nil, errors.New("sandbox: Deps.Environments is required")
	case d.Journal == nil:
		return nil, errors.New("sandbox: Deps.Journal is required")
	case d.Repository == nil:
		return nil, errors.New("sandbox: Deps.Repository is required")
	}
	return &Service{d: d, cfg: cfg.withDefaults(), boxes: map[id.Session]*box{}, clones: map[string]bool{}}, nil
}
