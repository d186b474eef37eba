package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/runtime"
)

var example = filepath.Join("..", "..", "..", "testdata", "bureau.yaml")

// loaded returns the settings of a command line.
func loaded(t *testing.T, args ...string) (settings, error) {
	t.Helper()
	cmd, _, err := root().Find(append([]string{"serve"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return load(cmd)
}

// The example file names every setting with its default, and nothing else.
func TestExampleFile(t *testing.T) {
	raw, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	if err := yaml.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, s := range table {
		want[s.name] = s.value
	}
	shown := map[string]string{}
	for name, v := range got {
		if shown[name], err = plain(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d := cmp.Diff(want, shown); d != "" {
		t.Errorf("(-the table +the file)\n%s", d)
	}
	fromFile, err := loaded(t, "--config", example)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := loaded(t)
	if err != nil {
		t.Fatal(err)
	}
	a, b := fromFile.WithDefaults(), bare.WithDefaults()
	if a.DataDir != b.DataDir || fromFile.Addr != bare.Addr || a.LLM != b.LLM || *a.RateLimitScale != *b.RateLimitScale || a.Plan != b.Plan {
		t.Errorf("the file changes something:\n%+v\n%+v", fromFile, bare)
	}
}

// A flag beats the environment, which beats the file.
func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("addr: file:1\ndata: file\nBUREAU_PLAN: free\ntrusted_proxies: [10.0.0.0/8, 127.0.0.1]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BUREAU_ADDR", "env:1")
	t.Setenv("BUREAU_PLAN", "team")
	t.Setenv("BUREAU_LLM_API_KEY", "sk-secret")
	s, err := loaded(t, "--config", file, "--addr", "flag:1")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(s.Addr, s.DataDir, s.Plan, s.LLM.APIKey, s.TrustedProxies)
	want := fmt.Sprint("flag:1", "file", "team", "sk-secret",
		[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")})
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if v, ok := os.LookupEnv("BUREAU_LLM_API_KEY"); ok {
		t.Errorf("child processes would inherit %q", v)
	}
}

func TestBadSettings(t *testing.T) {
	for _, c := range []struct{ env, value, want string }{
		{"BUREAU_PLAN", "gold", `BUREAU_PLAN: "gold" is none of free, pro, team, unlimited`},
		{"BUREAU_RATE_LIMIT_SCALE", "-1", "not negative"},
		{"BUREAU_RATE_LIMIT_SCALE", "nan", "not negative"},
		{"BUREAU_ROOT_SECRET", "short", "32 bytes"},
		{"BUREAU_DATABASE_URL", "mysql://u:hunter2@h", "must begin with postgres://"},
		{"BUREAU_DATABASE_URL", "postgres://u:hunter2@h/d", "needs BUREAU_ROOT_SECRET"},
		{"BUREAU_LLM_PROVIDER", "x", "none of offline, openai"},
		{"BUREAU_LLM_BASE_URL", "localhost:1", "http://"},
		{"BUREAU_EMBEDDER_DIMENSIONS", "0", "above zero"},
		{"BUREAU_TRUSTED_PROXIES", "10.0.0.0/8, x", `"x" is neither`},
		{"BUREAU_EGRESS_ALLOW", "a:b:c", "host:port"},
		{"BUREAU_DEFAULT_POLICY", "maybe", "none of deny, allow"},
		{"BUREAU_RUNTIME", "podman", "none of process, docker, kubernetes, none"},
		{"BUREAU_AGENT_HEALTH", "500ms", "at least 1s"},
		{"BUREAU_SANDBOX_MEMORY", "1GB", "like 512MiB"},
		{"BUREAU_SANDBOX_MEMORY", "0", "like 512MiB"},
		{"BUREAU_SANDBOX_DISK", "9999999999TiB", "like 512MiB"},
		{"BUREAU_SANDBOX_PROCESSES", "-1", "above zero"},
		{"BUREAU_SANDBOX_TIMEOUT", "11m", "at most 10m"},
		{"BUREAU_SANDBOX_TIMEOUT", "30", "like 30s"},
		{"BUREAU_SANDBOX_PATHS", "opt", "absolute path"},
		{"BUREAU_UNSAFE_SANDBOX", "yes", "none of 0, 1"},
		{"BUREAU_CARD_REPORTS_DAYS", "0", "BUREAU_CARD_REPORTS_DAYS: must be a whole number from 1 to 3650"},
		{"BUREAU_CARD_REPORTS_DAYS", "1y", "from 1 to 3650"},
		{"BUREAU_CARD_REPORTS", "10000001", "from 1 to 10000000"},
		{"BUREAU_CARD_REPORTS_PER_CARD", "-1", "from 1 to 10000"},
		{"BUREAU_CARD_REPORTS_SIZE", "1023KiB", "BUREAU_CARD_REPORTS_SIZE: must be from 1MiB to 1TiB"},
		{"BUREAU_CARD_REPORTS_SIZE", "2GB", "like 512MiB"},
		{"BUREAU_ANONYMOUS_CARD_REPORTS_DAYS", "3651", "from 1 to 3650"},
		{"BUREAU_ANONYMOUS_CARD_REPORTS", "0", "from 1 to 10000000"},
		{"BUREAU_ANONYMOUS_CARD_REPORTS_SIZE", "2TiB", "from 1MiB to 1TiB"},
		{"BUREAU_CARD_KEYS", "no/such/file", "BUREAU_CARD_KEYS: open no/such/file"},
		{"BUREAU_CARD_KEYS", "settings.go", "BUREAU_CARD_KEYS: settings.go: card: no JWK Set"},
		{"BUREAU_CARD_SIGNING_KEY", "no/such/file", "BUREAU_CARD_SIGNING_KEY: open no/such/file"},
		{"BUREAU_CARD_SIGNING_KEY", "settings.go", "BUREAU_CARD_SIGNING_KEY: settings.go: card: no JWK"},
	} {
		t.Run(c.env+" "+c.value, func(t *testing.T) {
			t.Setenv(c.env, c.value)
			_, err := loaded(t)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	for text, want := range map[string]string{
		"adr: x":             "adr is not a setting",
		"data: {a: b}":       "data: must be one value",
		"- a":                "must hold lines like",
		"data: /x\ndata: /y": "already defined",
	} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loaded(t, "--config", file); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestCardReportSettings(t *testing.T) {
	given, want := loadedReports(t), app.Config{
		CardReports:          app.CardReportsConfig{Keep: validation.DefaultKeepFor, Room: validation.DefaultRoom},
		AnonymousCardReports: app.CardReportsConfig{Keep: validation.DefaultKeepAnonymous, Room: validation.DefaultRoomAnonymous},
	}
	want.AnonymousCardReports.Room.PerCard = 0 // is no setting
	if given.CardReports != want.CardReports || given.AnonymousCardReports != want.AnonymousCardReports {
		t.Errorf("the defaults that are told are not those that are: %+v, %+v", given.CardReports, given.AnonymousCardReports)
	}
	for name, value := range map[string]string{
		"CARD_REPORTS_DAYS": "3650", "CARD_REPORTS": "7", "CARD_REPORTS_PER_CARD": "3", "CARD_REPORTS_SIZE": "1TiB",
		"ANONYMOUS_CARD_REPORTS_DAYS": "1", "ANONYMOUS_CARD_REPORTS": "9", "ANONYMOUS_CARD_REPORTS_SIZE": "1MiB",
	} {
		t.Setenv("BUREAU_"+name, value)
	}
	given = loadedReports(t)
	if given.CardReports != (app.CardReportsConfig{Keep: 3650 * 24 * time.Hour, Room: validation.Room{Reports: 7, PerCard: 3, Bytes: 1 << 40}}) ||
		given.AnonymousCardReports != (app.CardReportsConfig{Keep: 24 * time.Hour, Room: validation.Room{Reports: 9, Bytes: 1 << 20}}) {
		t.Errorf("%+v, %+v", given.CardReports, given.AnonymousCardReports)
	}
}

// loadedReports returns the configuration by the example file and the environment.
func loadedReports(t *testing.T) app.Config {
	t.Helper()
	s, err := loaded(t, "--config", example)
	if err != nil {
		t.Fatal(err)
	}
	return s.Config
}

func TestAgentTimes(t *testing.T) {
	t.Setenv("BUREAU_AGENT_START", "3m")
	t.Setenv("BUREAU_AGENT_HEALTH", "5s")
	s, err := loaded(t)
	if err != nil {
		t.Fatal(err)
	}
	if h := s.WithDefaults().Hosting; h.StartTimeout != 3*time.Minute || h.HealthEvery != 5*time.Second {
		t.Errorf("%+v", h)
	}
}

func TestSandboxSettings(t *testing.T) {
	for name, value := range map[string]string{
		"MEMORY": "512MiB", "DISK": "2 GiB", "PROCESSES": "8", "TIMEOUT": "2m", "OUTPUT": "1024", "PATHS": "/opt/a, /opt/b",
	} {
		t.Setenv("BUREAU_SANDBOX_"+name, value)
	}
	t.Setenv("BUREAU_UNSAFE_SANDBOX", "1")
	s, err := loaded(t)
	if err != nil {
		t.Fatal(err)
	}
	want := app.RuntimeConfig{
		Provider: "process", Limits: runtime.Limits{Memory: 512 << 20, Processes: 8, Disk: 2 << 30}, Timeout: 2 * time.Minute, MaxOutput: 1024,
		Paths: []string{"/opt/a", "/opt/b"}, Unsafe: true,
	}
	if d := cmp.Diff(want, s.WithDefaults().Runtime); d != "" {
		t.Error(d)
	}
}
