package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Config says where a server keeps its data and what it talks to. The zero value is the embedded default: SQLite and everything
// else below ./data, the offline model, the hashing embedder. Environment and files are read by cmd/bureau only.
type Config struct {
	// DataDir holds the database, blobs, the root secret and plugin files. Default "./data". With DatabaseURL it still holds the
	// plugin files that run; every process has a directory of its own.
	DataDir string
	// DatabaseURL is a postgres:// URL; "" is SQLite in DataDir.
	DatabaseURL string
	// APIKey is the bootstrap admin key of the default tenant; "" generates one at the first start (see App.BootstrapKey).
	APIKey string
	// RootSecret seals secrets: 32 bytes, hex or base64. "" generates one into DataDir; with DatabaseURL it is required, because
	// every replica needs the same.
	RootSecret string
	// Plan of the default tenant; default account.PlanUnlimited.
	Plan account.Plan
	// PublicURL is the address that users see; default http:// and the listen address.
	PublicURL string
	// Provider is whom agents' A2A cards name as who offers them.
	Provider ProviderConfig

	LLM LLMConfig
	// ProviderURLs are the addresses of model providers that are called with the keys of agents and swarms, "anthropic" to
	// "https://gateway.example.com"; default their own. Like all addresses of tenants they must be public, or in EgressAllow.
	ProviderURLs map[string]string

	Embedder EmbedderConfig
	Runtime  RuntimeConfig
	Hosting  HostingConfig

	// Payments configures the rails over which money leaves; default none.
	Payments PaymentConfig

	// OAuth holds the credentials of Slack, GitHub, and whoever people sign in with; default none.
	OAuth OAuthConfig

	// Channels says where the services are in which people write to agents; default their own addresses.
	Channels ChannelConfig

	// TrustedProxies are the peers whose X-Forwarded-For counts; default none.
	TrustedProxies []netip.Prefix
	// EgressAllow lists private addresses, "host:port", that URLs chosen by tenants may reach; default none.
	EgressAllow []string
	// RateLimitScale multiplies every rate limit; 0 switches them off. Default 1, by WithDefaults of a nil pointer.
	RateLimitScale *float64
	// AllowByDefault lets an agent without any policy pay; by default it may not.
	AllowByDefault bool
	// LowBalance is below which an agent's wallet is told of as low ("wallet.low_balance"), in micro-units of whichever currency; 0, the
	// default, tells of none.
	LowBalance int64
	// Retention says for how many days what agents report is kept, of tenants that decided nothing; default: for ever.
	Retention telemetry.Retention
	// CardReports says how long reports about accounts' agent cards are kept, and what room each account's have; AnonymousCardReports the same of
	// callers without a key, whose reports share one room. Default: as core/validation has it.
	CardReports, AnonymousCardReports CardReportsConfig
	// CardKeys are trusted to have signed agent cards; nil trusts none.
	CardKeys *card.Keys
	// CardSigningKeys sign the cards of this server's agents, one at a time; nil leaves them unsigned. When none of them is valid, cards are not
	// signed until one is.
	CardSigningKeys *card.SigningKeys
	// CheckoutDir is a source tree of Bureau from which the shipped plugins are built when no binaries lie beside the executable;
	// "" takes the tree that this program was compiled from, if it is still there.
	CheckoutDir string
	// OTLPEndpoint is the base URL of an OpenTelemetry collector that takes traces by OTLP over HTTP, "http://localhost:4318"; "" traces
	// nothing. Further standard variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, ...) are read with it.
	OTLPEndpoint string
	// MaxUpload bounds an uploaded file in bytes; default 100 MiB.
	MaxUpload int64
	// FileQuota bounds the files of a tenant together, in bytes; default 10 GiB, -1 no bound.
	FileQuota int64
	// DrainTimeout bounds Stop; default 30 s.
	DrainTimeout time.Duration
	// Logger receives everything that the server has to say; default slog.Default().
	Logger *slog.Logger
}

// ProviderConfig says who offers the agents of a server.
type ProviderConfig struct {
	// Name is the organization's; default "Bureau".
	Name string
	// URL is the organization's address; default PublicURL.
	URL string
	// DocumentationURL is where people read how to use the agents; default /docs of PublicURL.
	DocumentationURL string
}

// CardReportsConfig bounds what is kept of validations. Zero fields are validation's defaults, and its largest values are the largest.
type CardReportsConfig struct {
	// Keep is how long a report is kept; default 365 days, without a key 30.
	Keep time.Duration
	// Room is what the reports may take; when there are more, the oldest go. Default validation.DefaultRoom and DefaultRoomAnonymous.
	Room validation.Room
}

// LLMConfig is the operator's default model: agents get it by the handle "default", and its provider gets every handle that nothing
// else resolves.
type LLMConfig struct {
	Provider string // "offline" (default), "openai", "anthropic", "google"
	BaseURL  string // default: the provider's own
	APIKey   string // required with the provider's own BaseURL
	Model    string // default: gpt-5-mini, claude-sonnet-4-5 or gemini-2.5-flash; with another BaseURL none is sent
}

// EmbedderConfig chooses the embedding model of knowledge.
type EmbedderConfig struct {
	Provider   string // "hashing" (default), "openai" or what is compatible with it
	BaseURL    string // default: OpenAI's
	APIKey     string
	Model      string // default "text-embedding-3-small"
	Dimensions int    // of the model's vectors; default 1536
}

// PaymentConfig configures the rails over which money leaves. Without any, payments are entries of this server's own books.
type PaymentConfig struct {
	Timeout time.Duration // of one call of a rail; default 30 s
	Stripe  StripeConfig
	X402    X402Config
}

// ChannelConfig says where the services are in which people write to agents. Their addresses may be private ones.
type ChannelConfig struct {
	TelegramURL string // of the Bot API; default Telegram's own
	SlackURL    string // without /api; default Slack's own
}

// StripeConfig names the Stripe account that pays for what agents buy; see adapters/payment/stripe.
type StripeConfig struct {
	SecretKey     string            // sk_... or rk_...; "" is no Stripe
	WebhookSecret string            // whsec_...; "" believes no event
	Customer      string            // cus_..., required with SecretKey
	PaymentMethod string            // pm_..., saved with the customer, required with SecretKey
	Accounts      map[string]string // payees to connected accounts, "vendor.example" to "acct_..."
	BaseURL       string            // default Stripe's own
	// Unsure is how long after a try Stripe may not list a payment yet that it has made; default one minute.
	Unsure time.Duration
}

// X402Config names the account that pays for requests by x402, and with what; see adapters/payment/x402.
type X402Config struct {
	PrivateKey string // 32 bytes in hexadecimal; "" pays for no requests
	// Assets are the tokens that may be paid with, each "network/address=CURRENCY:decimals":
	// "eip155:8453/0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913=USDC:6". Required with PrivateKey.
	Assets []string
	// RPC are JSON-RPC endpoints by network, "eip155:8453" to "https://mainnet.base.org". Without one for its network, a payment that a
	// server does not confirm stays open until a person resolves it.
	RPC map[string]string
}

// RuntimeConfig chooses where the programs that agents choose are run, and what they may use.
type RuntimeConfig struct {
	// Provider is "process" (default): sandboxes and hosted agents on this machine, below DataDir; "docker" and "kubernetes": agents are
	// hosted in containers and pods, sandboxes are as with process; or "none": agents run no programs and cannot be hosted.
	Provider string
	// Limits of a sandbox; zero fields are the defaults of runtime.Limits.
	Limits runtime.Limits
	// Timeout of a program that names none; default 30 s, at most 10 minutes.
	Timeout time.Duration
	// MaxOutput is how many bytes of a program's output are kept; default 1 MiB.
	MaxOutput int
	// Paths are files and directories of this machine that programs may read beside /usr and its like.
	Paths []string
	// Env are variables that programs get, such as PIP_INDEX_URL. They are no secrets: every agent can read them.
	Env map[string]string
	// Unsafe runs programs with the server's own rights where the machine cannot isolate them; for development only.
	Unsafe bool
}

// HostingConfig says how hosted agents run, on the host that RuntimeConfig.Provider names.
type HostingConfig struct {
	// Limits of an agent's instance that has none of its own; zero fields are the defaults of runtime.InstanceLimits.
	Limits runtime.InstanceLimits
	// KeepRunning leaves the instances to themselves when the server stops in order; the next one adopts them. The default, nil, is false
	// with the provider "process", whose users expect that nothing is left, and true with every other. A server that is killed leaves
	// them in any case.
	KeepRunning *bool
	// Grace is what a program gets between being asked to end and being killed; default 10 s.
	Grace time.Duration
	// StartTimeout is how long a program may take until it answers; default 1 min.
	StartTimeout time.Duration
	// HealthEvery is how often a running program of an agent's own is asked whether it still answers; default 15 s. One that fails to do
	// so three times in a row is started again.
	HealthEvery time.Duration
	Docker      DockerConfig
	Kubernetes  KubernetesConfig
}

// DockerConfig says where the Engine of the provider "docker" is.
type DockerConfig struct {
	Host        string // default "unix:///var/run/docker.sock"
	CertDir     string // ca.pem, cert.pem and key.pem of an engine that is reached over TLS; "" none
	RequireDisk bool   // refuses agents where the Engine's storage cannot bound what they write
}

// KubernetesConfig says which cluster the provider "kubernetes" uses. Everything that it makes is in one namespace.
type KubernetesConfig struct {
	Kubeconfig   string            // the file that says where the cluster is; "" is the cluster that the server runs in
	Context      string            // of the file; "" is its current one
	Namespace    string            // "" is the kubeconfig's, or the server's own
	Server       string            // tells servers in one namespace apart; "" is this data directory, or with a DatabaseURL "bureau"
	Image        string            // required: of Bureau itself, which the cluster pulls
	PullSecrets  []string          // Secrets that images are pulled with
	StorageClass string            // of agents' files; "" is the cluster's default, "none" keeps none
	RuntimeClass string            // of agents' pods; "" is the cluster's default
	DialPods     map[string]string // labels of the server's own pods: agents are connected to directly; empty: through the cluster's API
}

// WithDefaults returns c with its defaults filled in.
func (c Config) WithDefaults() Config {
	if c.DataDir == "" {
		c.DataDir = "./data"
	}
	if c.Plan == "" {
		c.Plan = account.PlanUnlimited
	}
	if c.LLM.Provider == "" {
		c.LLM.Provider = "offline"
	}
	if c.LLM.Model == "" && c.LLM.BaseURL == "" { // what another server calls its models is its own affair
		c.LLM.Model = model.DefaultModel(c.LLM.Provider)
	}
	if c.Embedder.Provider == "" {
		c.Embedder.Provider = "hashing"
	}
	if c.Runtime.Provider == "" {
		c.Runtime.Provider = "process"
	}
	if c.RateLimitScale == nil {
		one := 1.0
		c.RateLimitScale = &one
	}
	if c.MaxUpload == 0 {
		c.MaxUpload = 100 << 20
	}
	if c.FileQuota == 0 {
		c.FileQuota = 10 << 30
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 30 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// validate names everything that is wrong with c, defaults filled in.
func (c Config) validate() error {
	var errs []error
	bad := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("app: Config.%s: %s", name, fmt.Sprintf(format, args...)))
	}
	switch c.Plan {
	case account.PlanFree, account.PlanPro, account.PlanTeam, account.PlanUnlimited:
	default:
		bad("Plan", "%q is none of free, pro, team, unlimited", c.Plan)
	}
	if c.DatabaseURL != "" && c.RootSecret == "" {
		bad("RootSecret", "is required with a Postgres database: every replica must seal with the same secret; "+
			"make one with `openssl rand -hex 32`")
	}
	if *c.RateLimitScale < 0 {
		bad("RateLimitScale", "must not be negative")
	}
	if c.MaxUpload < 0 || c.FileQuota < -1 {
		bad("MaxUpload", "and FileQuota must not be negative, but for a FileQuota of -1")
	}
	switch c.LLM.Provider {
	case "offline", "openai", "anthropic", "google":
	default:
		bad("LLM.Provider", "%q is none of offline, openai, anthropic, google", c.LLM.Provider)
	}
	if c.LLM.Provider != "offline" && c.LLM.APIKey == "" && c.LLM.BaseURL == "" {
		bad("LLM.APIKey", "is required by %s's own service; a compatible server that wants none is named by LLM.BaseURL", c.LLM.Provider)
	}
	switch c.Embedder.Provider {
	case "hashing", "openai":
	default:
		bad("Embedder.Provider", "%q is none of hashing, openai", c.Embedder.Provider)
	}
	if c.Embedder.Provider != "hashing" && c.Embedder.APIKey == "" && c.Embedder.BaseURL == "" {
		bad("Embedder.APIKey", "is required by %s's own service; a compatible server that wants none is named by Embedder.BaseURL",
			c.Embedder.Provider)
	}
	switch c.Runtime.Provider {
	case "process", "docker", "none":
	case "kubernetes":
		if c.Hosting.Kubernetes.Image == "" {
			bad("Hosting.Kubernetes.Image", "is required: the reference of an image with this server's own binary, which the cluster pulls")
		}
	default:
		bad("Runtime.Provider", "%q is none of process, docker, kubernetes, none", c.Runtime.Provider)
	}
	if l := c.Hosting.Limits; l.Memory < 0 || l.Processes < 0 || l.Disk < 0 || l.CPU < 0 || l.OpenFiles < 0 || c.Hosting.Grace < 0 || c.Hosting.StartTimeout < 0 ||
		c.Hosting.HealthEvery < 0 {
		bad("Hosting", "limits and times must not be negative")
	}
	if l := c.Runtime.Limits; l.Memory < 0 || l.Processes < 0 || l.Disk < 0 || c.Runtime.Timeout < 0 || c.Runtime.MaxOutput < 0 {
		bad("Runtime", "limits must not be negative")
	}
	if c.Runtime.Timeout > runtime.MaxTimeout {
		bad("Runtime.Timeout", "must be at most %s", runtime.MaxTimeout)
	}
	if c.Payments.Timeout < 0 {
		bad("Payments.Timeout", "must not be negative")
	}
	c.OAuth.validate(bad)
	return errors.Join(errs...)
}
