package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/bureau-agents/bureau/adapters/keeper/aesgcm"
	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// settings is everything that can be configured, read from flags, the environment and a YAML file, in that order of precedence.
type settings struct {
	app.Config

	Addr string
}

// setting is one name under which a value can be given: every setting has an environment variable and a key in the YAML file, and
// the few that are typed often have a flag.
type setting struct {
	name  string // snake_case; the variable is BUREAU_ and the upper-cased name
	flag  string // what its value is called in the help of the flag; "" has none
	value string // default, shown in help
	help  string
	set   func(s *settings, v string) error
}

func text(field func(*settings) *string) func(*settings, string) error {
	return func(s *settings, v string) error {
		*field(s) = v
		return nil
	}
}

// oneOf checks a value before it is set.
func oneOf(set func(*settings, string) error, values ...string) func(*settings, string) error {
	return func(s *settings, v string) error {
		if !slices.Contains(values, v) {
			return fmt.Errorf("%q is none of %s", v, strings.Join(values, ", "))
		}
		return set(s, v)
	}
}

var table = []setting{
	{"addr", "HOST:PORT", "127.0.0.1:8080", "address that serve listens on", text(func(s *settings) *string { return &s.Addr })},
	{"data", "DIR", "./data", "data directory: SQLite database, files, root secret, plugins", text(func(s *settings) *string { return &s.DataDir })},
	{"database_url", "", "", "postgres://... switches to Postgres; needs BUREAU_ROOT_SECRET", func(s *settings, v string) error {
		if !strings.HasPrefix(v, "postgres://") && !strings.HasPrefix(v, "postgresql://") {
			return errors.New("must begin with postgres://") // and is not repeated: it may hold a password
		}
		s.DatabaseURL = v
		return nil
	}},
	{"api_key", "", "", "bootstrap admin key; generated and printed once when unset", text(func(s *settings) *string { return &s.APIKey })},
	{
		"root_secret", "", "", "32 bytes, hex or base64 (`openssl rand -hex 32`), that seal secrets; generated into the data directory when unset",
		func(s *settings, v string) error {
			s.RootSecret = v
			_, err := aesgcm.ParseSecret(v)
			return err
		},
	},
	{"plan", "", "unlimited", "plan of the default tenant: free, pro, team, unlimited", oneOf(func(s *settings, v string) error {
		s.Plan = account.Plan(v)
		return nil
	}, "free", "pro", "team", "unlimited")},
	{"public_url", "", "", "address that users see; default from the listen address", func(s *settings, v string) error {
		s.PublicURL = v
		return checkURL(v)
	}},
	{"provider_name", "", "Bureau", "the organization that agents' A2A cards name", text(func(s *settings) *string { return &s.Provider.Name })},
	{"provider_url", "", "", "its address; default the public URL", func(s *settings, v string) error {
		s.Provider.URL = v
		return checkURL(v)
	}},
	{"documentation_url", "", "", "where people read how to use the agents; default /docs of the public URL", func(s *settings, v string) error {
		s.Provider.DocumentationURL = v
		return checkURL(v)
	}},
	{"llm_provider", "", "offline", "default model provider: offline, openai, anthropic, google", oneOf(
		text(func(s *settings) *string { return &s.LLM.Provider }), "offline", "openai", "anthropic", "google")},
	{"llm_base_url", "", "", "base URL of the provider, with or without /v1", func(s *settings, v string) error {
		s.LLM.BaseURL = v
		return checkURL(v)
	}},
	{"llm_api_key", "", "", "key for the provider", text(func(s *settings) *string { return &s.LLM.APIKey })},
	{"llm_model", "", "", "the model that agents with the handle default get; without one, a current one of the provider's own", text(func(s *settings) *string { return &s.LLM.Model })},
	{"llm_provider_urls", "", "", "comma-separated provider=URL: where anthropic, openai and google are called with the keys of agents and swarms, instead of their own addresses", pairs(func(s *settings) *map[string]string { return &s.ProviderURLs })},
	{"embedder", "", "hashing", "embedding provider: hashing, openai", oneOf(
		text(func(s *settings) *string { return &s.Embedder.Provider }), "hashing", "openai")},
	{"embedder_base_url", "", "", "base URL of the embedding provider", func(s *settings, v string) error {
		s.Embedder.BaseURL = v
		return checkURL(v)
	}},
	{"embedder_api_key", "", "", "key for the embedding provider", text(func(s *settings) *string { return &s.Embedder.APIKey })},
	{"embedder_model", "", "text-embedding-3-small", "embedding model", text(func(s *settings) *string { return &s.Embedder.Model })},
	{"embedder_dimensions", "", "1536", "length of the embedding model's vectors", count(func(s *settings) *int { return &s.Embedder.Dimensions })},
	{"oauth_slack_client_id", "", "", "the Slack app that connects workspaces", text(func(s *settings) *string { return &s.OAuth.Slack.ClientID })},
	{"oauth_slack_client_secret", "", "", "its secret", text(func(s *settings) *string { return &s.OAuth.Slack.ClientSecret })},
	{"oauth_slack_signing_secret", "", "", "what it signs its events with; without it, none is believed", text(func(s *settings) *string { return &s.OAuth.Slack.SigningSecret })},
	{"oauth_slack_base_url", "", "https://slack.com", "another Slack", func(s *settings, v string) error {
		s.OAuth.Slack.BaseURL = v
		return checkURL(v)
	}},
	{"oauth_github_client_id", "", "", "the OAuth app that connects GitHub accounts", text(func(s *settings) *string { return &s.OAuth.GitHub.ClientID })},
	{"oauth_github_client_secret", "", "", "its secret", text(func(s *settings) *string { return &s.OAuth.GitHub.ClientSecret })},
	{"oauth_github_webhook_secret", "", "", "what webhooks are signed with; without it, none is believed", text(func(s *settings) *string { return &s.OAuth.GitHub.WebhookSecret })},
	{"oauth_github_base_url", "", "https://github.com", "a GitHub Enterprise Server", func(s *settings, v string) error {
		s.OAuth.GitHub.BaseURL = v
		return checkURL(v)
	}},
	{"oauth_google_client_id", "", "", "the client by which people sign in to the console with Google", text(func(s *settings) *string { return &s.OAuth.Google.ClientID })},
	{"oauth_google_client_secret", "", "", "its secret", text(func(s *settings) *string { return &s.OAuth.Google.ClientSecret })},
	{"oauth_google_issuer", "", "https://accounts.google.com", "another issuer for the provider named google", func(s *settings, v string) error {
		s.OAuth.Google.Issuer = v
		return checkURL(v)
	}},
	{"oauth_oidc_client_id", "", "", "likewise with any OpenID provider", text(func(s *settings) *string { return &s.OAuth.OIDC.ClientID })},
	{"oauth_oidc_client_secret", "", "", "its secret", text(func(s *settings) *string { return &s.OAuth.OIDC.ClientSecret })},
	{"oauth_oidc_issuer", "", "", "its issuer", func(s *settings, v string) error {
		s.OAuth.OIDC.Issuer = v
		return checkURL(v)
	}},
	{"oauth_allowed_emails", "", "", "comma-separated addresses that may sign in to the console; with neither these nor domains, nobody may", func(s *settings, v string) error {
		s.OAuth.AllowedEmails = list(v)
		return nil
	}},
	{"oauth_allowed_domains", "", "", "comma-separated domains whose addresses may", func(s *settings, v string) error {
		s.OAuth.AllowedDomains = list(v)
		return nil
	}},
	{"oauth_scopes", "", "", "comma-separated scopes of whoever signs in; everything but admin when unset", func(s *settings, v string) error {
		for _, p := range list(v) {
			if !slices.Contains(account.AllPermissions(), account.Permission(p)) {
				return fmt.Errorf("%q is not a scope", p)
			}
			s.OAuth.Permissions = append(s.OAuth.Permissions, account.Permission(p))
		}
		return nil
	}},
	{"payment_timeout", "", "30s", "how long a payment rail may take to answer", func(s *settings, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return errors.New("must be a time like 30s")
		}
		s.Payments.Timeout = d
		return nil
	}},
	{"stripe_secret_key", "", "", "the Stripe account that pays for what agents buy over the rail stripe", text(func(s *settings) *string { return &s.Payments.Stripe.SecretKey })},
	{"stripe_webhook_secret", "", "", "what Stripe signs its events with; without it, none is believed", text(func(s *settings) *string { return &s.Payments.Stripe.WebhookSecret })},
	{"stripe_customer", "", "", "cus_..., whose payment method is charged; required with the secret key", text(func(s *settings) *string { return &s.Payments.Stripe.Customer })},
	{"stripe_payment_method", "", "", "pm_..., saved with the customer; required with the secret key", text(func(s *settings) *string { return &s.Payments.Stripe.PaymentMethod })},
	{"stripe_accounts", "", "", "comma-separated payee=acct_...: payees that are connected accounts", pairs(func(s *settings) *map[string]string { return &s.Payments.Stripe.Accounts })},
	{"stripe_base_url", "", "https://api.stripe.com", "another Stripe", func(s *settings, v string) error {
		s.Payments.Stripe.BaseURL = v
		return checkURL(v)
	}},
	{"stripe_unsure", "", "1m", "how long after a try Stripe may not list a payment yet that it has made", func(s *settings, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return errors.New("must be a time like 1m")
		}
		s.Payments.Stripe.Unsure = d
		return nil
	}},
	{"x402_private_key", "", "", "32 bytes, hex: the account that pays for agents' requests by x402", text(func(s *settings) *string { return &s.Payments.X402.PrivateKey })},
	{"x402_assets", "", "", "comma-separated network/address=CURRENCY:decimals: the tokens that may be paid with; required with the private key", func(s *settings, v string) error {
		s.Payments.X402.Assets = list(v)
		return nil
	}},
	{"x402_rpc", "", "", "comma-separated network=URL: JSON-RPC endpoints that tell whether a payment was taken", pairs(func(s *settings) *map[string]string { return &s.Payments.X402.RPC })},
	{"telegram_base_url", "", "https://api.telegram.org", "another Telegram Bot API, to which agents with a bot token connect", func(s *settings, v string) error {
		s.Channels.TelegramURL = v
		return checkURL(v)
	}},
	{"slack_base_url", "", "https://slack.com", "another Slack, to which agents with a bot token and an app token connect", func(s *settings, v string) error {
		s.Channels.SlackURL = v
		return checkURL(v)
	}},
	{"trusted_proxies", "", "", "comma-separated addresses or prefixes whose X-Forwarded-For counts", func(s *settings, v string) error {
		for _, part := range list(v) {
			prefix, err := parsePrefix(part)
			if err != nil {
				return err
			}
			s.TrustedProxies = append(s.TrustedProxies, prefix)
		}
		return nil
	}},
	{"egress_allow", "", "", "comma-separated host:port of private addresses that plugins, sandboxes and tenants' URLs may reach", func(s *settings, v string) error {
		s.EgressAllow = list(v)
		_, err := egress.New(egress.Config{Allow: s.EgressAllow})
		if f, ok := fault.As(err); ok {
			return errors.New(f.Fields[0].Message)
		}
		return err
	}},
	{"runtime", "", "process", "where hosted agents run: process (on this machine), docker, kubernetes, none; sandboxes are on this machine with each but none", oneOf(
		text(func(s *settings) *string { return &s.Runtime.Provider }), "process", "docker", "kubernetes", "none")},
	{"agent_memory", "", "512MiB", "memory of a hosted agent's program", size(func(s *settings, n int64) { s.Hosting.Limits.Memory = n })},
	{"agent_disk", "", "1GiB", "files of a hosted agent's program", size(func(s *settings, n int64) { s.Hosting.Limits.Disk = n })},
	{"agent_processes", "", "64", "processes of a hosted agent's program at a time", count(func(s *settings) *int { return &s.Hosting.Limits.Processes })},
	{"agent_cpu", "", "1000", "thousandths of a core that a hosted agent's program may use", count(func(s *settings) *int { return &s.Hosting.Limits.CPU })},
	{"agent_start", "", "1m", "how long a hosted agent's program may take until it answers", span(
		func(s *settings, d time.Duration) { s.Hosting.StartTimeout = d })},
	{"agent_health", "", "15s", "how often an agent's own program is asked whether it still answers; after three failures it is started again", span(
		func(s *settings, d time.Duration) { s.Hosting.HealthEvery = d })},
	{"keep_agents", "", "", "1 leaves hosted agents running when the server stops, 0 stops them; 0 with runtime process and 1 with others when left out", func(s *settings, v string) error {
		switch v {
		case "0", "1":
			keep := v == "1"
			s.Hosting.KeepRunning = &keep
		default:
			return errors.New("must be 0 or 1")
		}
		return nil
	}},
	{"docker_host", "", "unix:///var/run/docker.sock", "where the Engine of runtime docker listens", text(func(s *settings) *string { return &s.Hosting.Docker.Host })},
	{"docker_certs", "", "", "directory with ca.pem, cert.pem and key.pem of an Engine that is reached over TLS", text(func(s *settings) *string { return &s.Hosting.Docker.CertDir })},
	{"kubernetes_image", "", "", "reference of an image with this binary, which the cluster of runtime kubernetes pulls", text(func(s *settings) *string { return &s.Hosting.Kubernetes.Image })},
	{"kubernetes_config", "", "", "kubeconfig file of the cluster; without one it is the cluster that the server runs in", text(func(s *settings) *string { return &s.Hosting.Kubernetes.Kubeconfig })},
	{"kubernetes_context", "", "", "context of the kubeconfig; its current one when left out", text(func(s *settings) *string { return &s.Hosting.Kubernetes.Context })},
	{"kubernetes_namespace", "", "", "namespace of hosted agents; the kubeconfig's or the server's own when left out", text(func(s *settings) *string { return &s.Hosting.Kubernetes.Namespace })},
	{"kubernetes_server", "", "", "name that tells servers in one namespace apart, the same for all replicas", text(func(s *settings) *string { return &s.Hosting.Kubernetes.Server })},
	{"kubernetes_pull_secrets", "", "", "comma-separated Secrets of the namespace that images are pulled with", func(s *settings, v string) error {
		s.Hosting.Kubernetes.PullSecrets = list(v)
		return nil
	}},
	{"kubernetes_storage", "", "", "storage class of agents' files; the cluster's default when left out, none keeps no files", text(func(s *settings) *string { return &s.Hosting.Kubernetes.StorageClass })},
	{"kubernetes_runtime_class", "", "", "runtime class of agents' pods; the cluster's default when left out", text(func(s *settings) *string { return &s.Hosting.Kubernetes.RuntimeClass })},
	{"kubernetes_dial_pods", "", "", "comma-separated label=value of the server's own pods, where it runs in the cluster and shall connect to agents directly", func(s *settings, v string) error {
		s.Hosting.Kubernetes.DialPods = map[string]string{}
		for _, pair := range list(v) {
			name, value, ok := strings.Cut(pair, "=")
			if !ok || name == "" {
				return fmt.Errorf("%q must be label=value", pair)
			}
			s.Hosting.Kubernetes.DialPods[name] = value
		}
		return nil
	}},
	{"sandbox_memory", "", "1GiB", "memory of all programs of a sandbox together", size(func(s *settings, n int64) { s.Runtime.Limits.Memory = n })},
	{"sandbox_disk", "", "1GiB", "files of a sandbox", size(func(s *settings, n int64) { s.Runtime.Limits.Disk = n })},
	{"sandbox_processes", "", "64", "processes of a sandbox at a time", count(func(s *settings) *int { return &s.Runtime.Limits.Processes })},
	{"sandbox_timeout", "", "30s", "how long a program runs that names no time of its own; at most 10m", func(s *settings, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 || d > runtime.MaxTimeout {
			return errors.New("must be a time like 30s or 2m, at most 10m")
		}
		s.Runtime.Timeout = d
		return nil
	}},
	{"sandbox_output", "", "1MiB", "how much of a program's output is kept", size(func(s *settings, n int64) { s.Runtime.MaxOutput = int(n) })},
	{"sandbox_paths", "", "", "comma-separated paths of this machine that programs may read beside /usr and its like", func(s *settings, v string) error {
		s.Runtime.Paths = list(v)
		for _, p := range s.Runtime.Paths {
			if !filepath.IsAbs(p) || filepath.Clean(p) == "/" {
				return fmt.Errorf("%q must be an absolute path below /", p)
			}
		}
		return nil
	}},
	{"sandbox_env", "", "", "comma-separated names of variables of the server that programs get, such as PIP_INDEX_URL; no secrets", func(s *settings, v string) error {
		s.Runtime.Env = map[string]string{}
		for _, name := range list(v) {
			if !variable.MatchString(name) || strings.HasPrefix(name, "BUREAU_") {
				return fmt.Errorf("%q is not the name of a variable that programs may get", name)
			}
			if value, ok := os.LookupEnv(name); ok {
				s.Runtime.Env[name] = value
			}
		}
		return nil
	}},
	{"unsafe_sandbox", "", "0", "1 runs programs with the server's rights where the machine cannot isolate them", oneOf(func(s *settings, v string) error {
		s.Runtime.Unsafe = v == "1" || v == "true"
		return nil
	}, "0", "1", "false", "true")},
	{"max_upload", "", "100MiB", "largest file that can be uploaded", size(func(s *settings, n int64) { s.MaxUpload = n })},
	{"file_quota", "", "10GiB", "files of a tenant together", size(func(s *settings, n int64) { s.FileQuota = n })},
	{"rate_limit_scale", "", "1", "multiplies every rate limit; 0 switches them off", func(s *settings, v string) error {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || !(f >= 0) || math.IsInf(f, 1) {
			return errors.New("must be a number that is not negative")
		}
		s.RateLimitScale = &f
		return nil
	}},
	{"default_policy", "", "deny", "whether an agent without any policy may pay: deny, allow", oneOf(func(s *settings, v string) error {
		s.AllowByDefault = v == "allow"
		return nil
	}, "deny", "allow")},
	{"low_balance", "", "0", "tell webhooks (wallet.low_balance) when a wallet's available money falls below this, in any currency; 0 never does", func(s *settings, v string) error {
		a, err := money.Parse(v, money.USDC)
		if err != nil || a.Micros < 0 {
			return errors.New("must be a decimal number that is not negative")
		}
		s.LowBalance = a.Micros
		return nil
	}},
	{"retention_events_days", "", "", "for how many days events are kept, of tenants that decided nothing; for ever when unset", days(func(s *settings) *int { return &s.Retention.EventsDays })},
	{"retention_messages_days", "", "", "likewise messages between agents", days(func(s *settings) *int { return &s.Retention.MessagesDays })},
	{"retention_feedback_days", "", "", "likewise feedback", days(func(s *settings) *int { return &s.Retention.FeedbackDays })},
	{"card_reports_days", "", "365", "for how many days reports about agent cards are kept, 1 to 3650", reportDays(func(s *settings) *app.CardReportsConfig { return &s.CardReports })},
	{"card_reports", "", "20000", "how many reports of an account are kept, 1 to 10000000; when there are more, the oldest go", reportCount(
		func(s *settings) *int { return &s.CardReports.Room.Reports }, validation.MaxRoom.Reports)},
	{"card_reports_per_card", "", "200", "how many of them of one card, 1 to 10000", reportCount(
		func(s *settings) *int { return &s.CardReports.Room.PerCard }, validation.MaxRoom.PerCard)},
	{"card_reports_size", "", "512MiB", "what the reports of an account may take, 1MiB to 1TiB", reportSize(func(s *settings) *int { return &s.CardReports.Room.Bytes })},
	{"anonymous_card_reports_days", "", "30", "likewise for how many days those of callers without a key", reportDays(
		func(s *settings) *app.CardReportsConfig { return &s.AnonymousCardReports })},
	{"anonymous_card_reports", "", "5000", "likewise how many of all of them together", reportCount(
		func(s *settings) *int { return &s.AnonymousCardReports.Room.Reports }, validation.MaxRoom.Reports)},
	{"anonymous_card_reports_size", "", "64MiB", "likewise what all of them together may take", reportSize(
		func(s *settings) *int { return &s.AnonymousCardReports.Room.Bytes })},
	{"card_keys", "", "", "file with a JWK Set: the keys that are trusted to have signed agent cards", func(s *settings, v string) error {
		keys, err := readCardKeys(v)
		s.CardKeys = keys
		return err
	}},
	{"card_signing_key", "", "", "file with a private JWK (`bureau card keygen`), or a JWK Set of several: sign the cards of agents; their public halves are at /a2a/.well-known/jwks.json", func(s *settings, v string) error {
		keys, err := readSigningKeys(v)
		s.CardSigningKeys = keys
		return err
	}},
	{"source", "", "", "checkout of Bureau to build shipped plugins and new ones from; default: the one this binary was built from", text(func(s *settings) *string { return &s.CheckoutDir })},
}

// count reads a whole number above zero.
func count(field func(*settings) *int) func(*settings, string) error {
	return func(s *settings, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return errors.New("must be a whole number above zero")
		}
		*field(s) = n
		return nil
	}
}

// atMost reads a whole number from 1 to most.
func atMost(v string, most int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("must be a whole number from 1 to %d", most)
	}
	return n, nil
}

// reportDays reads for how many days reports are kept.
func reportDays(of func(*settings) *app.CardReportsConfig) func(*settings, string) error {
	const day = 24 * time.Hour
	return func(s *settings, v string) error {
		n, err := atMost(v, int(validation.MaxKeepFor/day))
		of(s).Keep = time.Duration(n) * day
		return err
	}
}

// reportCount reads how many reports there may be.
func reportCount(field func(*settings) *int, most int) func(*settings, string) error {
	return func(s *settings, v string) (err error) {
		*field(s), err = atMost(v, most)
		return err
	}
}

// reportSize reads how many bytes reports may take.
func reportSize(field func(*settings) *int) func(*settings, string) error {
	return func(s *settings, v string) error {
		var bytes int64
		if err := size(func(_ *settings, n int64) { bytes = n })(s, v); err != nil {
			return err
		}
		if bytes < 1<<20 || bytes > int64(validation.MaxRoom.Bytes) {
			return errors.New("must be from 1MiB to 1TiB")
		}
		*field(s) = int(bytes)
		return nil
	}
}

// span reads a time of at least a second.
func span(set func(*settings, time.Duration)) func(*settings, string) error {
	return func(s *settings, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < time.Second {
			return errors.New("must be a time like 15s or 2m, at least 1s")
		}
		set(s, d)
		return nil
	}
}

// days reads a number of days that something is kept.
func days(field func(*settings) *int) func(*settings, string) error {
	return func(s *settings, v string) error {
		n, err := atMost(v, telemetry.MaxRetentionDays)
		*field(s) = n
		return err
	}
}

// sizes are the units of bytes, longest names first.
var sizes = []struct {
	unit  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"", 1}}

// size reads a number of bytes like 512MiB.
func size(set func(*settings, int64)) func(*settings, string) error {
	return func(s *settings, v string) error {
		for _, u := range sizes {
			number, ok := strings.CutSuffix(v, u.unit)
			if !ok {
				continue
			}
			n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
			if err != nil || n < 1 || n > math.MaxInt64/u.bytes {
				break
			}
			set(s, n*u.bytes)
			return nil
		}
		return errors.New("must be a number of bytes, or like 512MiB or 2GiB")
	}
}

// variable is the name of an environment variable.
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func checkURL(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("must be an address that begins with http:// or https://")
	}
	return nil
}

// pairs reads comma-separated name=value.
func pairs(field func(*settings) *map[string]string) func(*settings, string) error {
	return func(s *settings, v string) error {
		m := map[string]string{}
		for _, part := range list(v) {
			name, value, ok := strings.Cut(part, "=")
			if !ok || name == "" || value == "" {
				return errors.New("must be comma-separated name=value")
			}
			m[name] = value
		}
		*field(s) = m
		return nil
	}
}

func list(v string) []string {
	var parts []string
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is neither an address nor a prefix", s)
	}
	return p, nil
}

func (s setting) env() string { return "BUREAU_" + strings.ToUpper(s.name) }

// addFlags declares the flags among the settings, and --config.
func addFlags(cmd *cobra.Command) {
	for _, s := range table {
		if s.flag != "" {
			cmd.PersistentFlags().String(s.name, "", fmt.Sprintf("%s, `%s` (%s; default %s)", s.help, s.flag, s.env(), s.value))
		}
	}
	cmd.PersistentFlags().String("config", "", "YAML `FILE` with settings by name; see 'bureau help settings'")
}

// load reads the settings that apply to cmd and clears secrets from the environment, so that no child process inherits them.
func load(cmd *cobra.Command) (settings, error) {
	s := settings{Addr: "127.0.0.1:8080"}
	file, err := readFile(cmd)
	if err != nil {
		return s, err
	}
	for _, entry := range table {
		from, value := "", ""
		if v, ok := file[entry.name]; ok {
			from, value = configFile(cmd)+": "+entry.name, v
		}
		if v := os.Getenv(entry.env()); v != "" {
			from, value = entry.env(), v
		}
		if entry.flag != "" {
			if f := cmd.Flag(entry.name); f != nil && f.Changed {
				from, value = "--"+entry.name, f.Value.String()
			}
		}
		if from == "" || value == "" {
			continue
		}
		if err := entry.set(&s, value); err != nil {
			return s, fmt.Errorf("%s: %w", from, err)
		}
		if strings.HasSuffix(entry.name, "_key") || strings.HasSuffix(entry.name, "_secret") || entry.name == "database_url" {
			_ = os.Unsetenv(entry.env())
		}
	}
	if s.DatabaseURL != "" && s.RootSecret == "" {
		return s, errors.New("BUREAU_DATABASE_URL needs BUREAU_ROOT_SECRET: every replica must seal with the same secret; " +
			"make one with `openssl rand -hex 32`")
	}
	s.OTLPEndpoint = os.Getenv(otlpEndpoint)
	if s.DataDir == "" {
		s.DataDir = "./data"
	}
	return s, nil
}

// otlpEndpoint is the variable that every program with OpenTelemetry knows: where traces go.
const otlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

// clearCollectorKeys removes from the environment what may hold a collector's credentials, once app.New has read it.
func clearCollectorKeys() {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		_ = os.Unsetenv(name)
	}
}

func configFile(cmd *cobra.Command) string {
	if f := cmd.Flag("config"); f != nil {
		return f.Value.String()
	}
	return ""
}

func readFile(cmd *cobra.Command) (map[string]string, error) {
	path := configFile(cmd)
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	var given map[string]any
	if err := yaml.Unmarshal(raw, &given); err != nil {
		return nil, fmt.Errorf("--config: %s must hold lines like `addr: 127.0.0.1:8080`: %w", path, err)
	}
	values := map[string]string{}
	for k, v := range given {
		name := strings.ToLower(strings.TrimPrefix(k, "BUREAU_"))
		if !slices.ContainsFunc(table, func(s setting) bool { return s.name == name }) {
			return nil, fmt.Errorf("%s: %s is not a setting; `bureau help settings` lists them", path, k)
		}
		if values[name], err = plain(v); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, k, err)
		}
	}
	return values, nil
}

// plain writes a value of the YAML file as the environment would have it.
func plain(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case map[string]any:
		return "", errors.New("must be one value, or a list of values")
	case []any:
		parts := make([]string, len(v))
		for i, part := range v {
			var err error
			if parts[i], err = plain(part); err != nil {
				return "", err
			}
		}
		return strings.Join(parts, ","), nil
	default:
		return fmt.Sprint(v), nil
	}
}

// settingsTopic is the help page that lists the table.
func settingsTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Settings are read from flags, then the environment, then the YAML file given by --config.\n\n")
	for _, s := range table {
		def := ""
		if s.value != "" {
			def = " (default " + s.value + ")"
		}
		fmt.Fprintf(&b, "  %-26s %s%s\n", s.env(), s.help, def)
	}
	fmt.Fprintf(&b, "\nTraces go to the collector at %s (OTLP over HTTP), if set; OpenTelemetry's other variables count too.\n", otlpEndpoint)
	b.WriteString("\nIn a YAML file the same names stand in lower case without BUREAU_; a list may be written as one:\n\n" +
		"  addr: 127.0.0.1:8080\n  data: /var/lib/bureau\n  trusted_proxies: [10.0.0.0/8]\n")
	b.WriteString("\nCommands other than serve know BUREAU_URL, too: the server to talk to.\n")
	return &cobra.Command{Use: "settings", Short: "Every setting, its variable and its default", Long: b.String()}
}
