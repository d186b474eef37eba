package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/core/account"
)

// settings is everything that can be configured, read from flags, the environment and a YAML file, in that order of precedence.
type settings struct {
	app.Config

	Addr string
}

// setting is one name under which a value can be given: the flag --data-dir... is only there for the few that are typed often; every
// setting has an environment variable BUREAU_NAME and the YAML key name.
type setting struct {
	name  string // snake_case; the variable is BUREAU_ and the upper-cased name
	flag  bool
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

var table = []setting{
	{"addr", true, "127.0.0.1:8080", "address to listen on", text(func(s *settings) *string { return &s.Addr })},
	{"data", true, "./data", "data directory: SQLite database, files, root secret, plugins", text(func(s *settings) *string { return &s.DataDir })},
	{"database_url", false, "", "postgres://... switches to Postgres; needs root_secret", text(func(s *settings) *string { return &s.DatabaseURL })},
	{"api_key", false, "", "bootstrap admin key; generated and printed once when unset", text(func(s *settings) *string { return &s.APIKey })},
	{
		"root_secret", false, "", "32 bytes, hex or base64, that seal secrets; generated into the data directory when unset",
		text(func(s *settings) *string { return &s.RootSecret }),
	},
	{"plan", false, "unlimited", "plan of the default tenant: free, pro, team, unlimited", func(s *settings, v string) error {
		s.Plan = account.Plan(v)
		return nil
	}},
	{"public_url", false, "", "address that users see; default from the listen address", text(func(s *settings) *string { return &s.PublicURL })},
	{"llm_provider", false, "offline", "default model provider: offline, openai, anthropic, google", text(func(s *settings) *string { return &s.LLM.Provider })},
	{"llm_base_url", false, "", "base URL of the provider, with or without /v1", text(func(s *settings) *string { return &s.LLM.BaseURL })},
	{"llm_api_key", false, "", "key for the provider", text(func(s *settings) *string { return &s.LLM.APIKey })},
	{"llm_model", false, "", "model when an agent names none", text(func(s *settings) *string { return &s.LLM.Model })},
	{"embedder", false, "hashing", "embedding provider: hashing, openai", text(func(s *settings) *string { return &s.Embedder.Provider })},
	{"embedder_base_url", false, "", "base URL of the embedding provider", text(func(s *settings) *string { return &s.Embedder.BaseURL })},
	{"embedder_api_key", false, "", "key for the embedding provider", text(func(s *settings) *string { return &s.Embedder.APIKey })},
	{"embedder_model", false, "", "embedding model", text(func(s *settings) *string { return &s.Embedder.Model })},
	{"embedder_dimensions", false, "1536", "length of the embedding model's vectors", func(s *settings, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return errors.New("must be a whole number above zero")
		}
		s.Embedder.Dimensions = n
		return nil
	}},
	{"trusted_proxies", false, "", "comma-separated addresses or prefixes whose X-Forwarded-For counts", func(s *settings, v string) error {
		for _, part := range list(v) {
			prefix, err := parsePrefix(part)
			if err != nil {
				return err
			}
			s.TrustedProxies = append(s.TrustedProxies, prefix)
		}
		return nil
	}},
	{"egress_allow", false, "", "comma-separated host:port of private addresses that tenants' URLs may reach", func(s *settings, v string) error {
		s.EgressAllow = list(v)
		return nil
	}},
	{"rate_limit_scale", false, "1", "multiplies every rate limit; 0 switches them off", func(s *settings, v string) error {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || f < 0 {
			return errors.New("must be a number that is not negative")
		}
		s.RateLimitScale = &f
		return nil
	}},
	{"default_policy", false, "deny", "whether an agent without any policy may pay: deny, allow", func(s *settings, v string) error {
		if v != "allow" && v != "deny" {
			return errors.New("must be allow or deny")
		}
		s.AllowByDefault = v == "allow"
		return nil
	}},
	{"source", false, "", "checkout of Bureau to build the shipped plugins from", text(func(s *settings) *string { return &s.CheckoutDir })},
}

func list(v string) []string {
	return slices.DeleteFunc(strings.Split(v, ","), func(s string) bool { return strings.TrimSpace(s) == "" })
}

func parsePrefix(s string) (netip.Prefix, error) {
	s = strings.TrimSpace(s)
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
		if s.flag {
			cmd.PersistentFlags().String(s.name, "", fmt.Sprintf("%s (%s, default %s)", s.help, s.env(), s.value))
		}
	}
	cmd.PersistentFlags().String("config", "", "YAML file with settings by name (see `bureau help settings`)")
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
			from, value = "config file: "+entry.name, v
		}
		if v := os.Getenv(entry.env()); v != "" {
			from, value = entry.env(), v
		}
		if entry.flag {
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

func readFile(cmd *cobra.Command) (map[string]string, error) {
	f := cmd.Flag("config")
	if f == nil || f.Value.String() == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(f.Value.String())
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	given := map[string]any{}
	if err := yaml.Unmarshal(raw, &given); err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	values := map[string]string{}
	for k, v := range given {
		name := strings.ToLower(strings.TrimPrefix(k, "BUREAU_"))
		if !slices.ContainsFunc(table, func(s setting) bool { return s.name == name }) {
			return nil, fmt.Errorf("--config: %s is not a setting; `bureau help settings` lists them", k)
		}
		if many, ok := v.([]any); ok {
			parts := make([]string, len(many))
			for i, m := range many {
				parts[i] = fmt.Sprint(m)
			}
			v = strings.Join(parts, ",")
		}
		values[name] = fmt.Sprint(v)
	}
	return values, nil
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
	b.WriteString("\nIn a YAML file the same names stand in lower case without BUREAU_:\n\n  addr: 127.0.0.1:8080\n  data: /var/lib/bureau\n")
	return &cobra.Command{Use: "settings", Short: "Every setting, its variable and its default", Long: b.String()}
}
