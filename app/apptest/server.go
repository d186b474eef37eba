package apptest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/oauth/oauthtest"
	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/ports/payment/paymenttest"
)

// Config says what kind of server a test wants. The zero value is the embedded default, without rate limits.
type Config struct {
	// DatabaseURL is a Postgres database that belongs to this server; "" is SQLite in a directory of the test's.
	DatabaseURL string
	// Change has the last word on the configuration; nil changes nothing.
	Change func(*app.Config)
	// Options replace ports, as for app.New.
	Options []app.Option
}

// Server is a running Bureau. It stops when its test ends.
type Server struct {
	// App gives access to the services behind the API.
	*app.App
	// URL is where the API is served, without a slash at the end.
	URL string
	// Admin calls the API with the bootstrap key, which is the operator's.
	Admin *Client
	// Slack and GitHub are what its integrations talk to.
	Slack  *oauthtest.Slack
	GitHub *oauthtest.GitHub
	// Rail is the payment rail "fake", and Shop the one by which requests are paid for.
	Rail *paymenttest.Fake
	Shop paymenttest.Shop
	// Models is a server of models that its model cards may reach.
	Models *Models

	log *logBuffer
}

// stopTimeout bounds how long a server may take to stop.
const stopTimeout = 30 * time.Second

// Start starts a server and fails the test when that fails. What the server logged is shown when the test has failed.
func Start(tb testing.TB, cfg Config) *Server {
	tb.Helper()
	log := &logBuffer{}
	noLimits := 0.0
	c := app.Config{
		DataDir: tb.TempDir(), DatabaseURL: cfg.DatabaseURL, RootSecret: strings.Repeat("5e", 32), RateLimitScale: &noLimits,
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	slack, github := oauthtest.NewSlack(tb), oauthtest.NewGitHub(tb)
	c.OAuth.Slack = app.SlackConfig{
		ClientID: oauthtest.ClientID, ClientSecret: oauthtest.ClientSecret, SigningSecret: oauthtest.HookSecret, BaseURL: slack.URL,
	}
	c.OAuth.GitHub = app.GitHubConfig{
		ClientID: oauthtest.ClientID, ClientSecret: oauthtest.ClientSecret, WebhookSecret: oauthtest.HookSecret, BaseURL: github.URL,
	}
	models := NewModels(tb)
	c.EgressAllow = []string{models.Host()}
	if cfg.Change != nil {
		cfg.Change(&c)
	}
	if file := filepath.Join(c.DataDir, databaseFile); c.DatabaseURL == "" {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			migratedSQLite.Copy(tb, file)
		}
	}
	ctx := context.WithoutCancel(tb.Context()) // it ends before the clean-up, which stops the server in order
	rail, shop := paymenttest.New("fake"), paymenttest.Shop{Fake: paymenttest.New("shop")}
	a, err := app.New(ctx, c, append([]app.Option{app.WithRail(rail), app.WithRail(shop)}, cfg.Options...)...)
	if err != nil {
		tb.Fatalf("apptest: %v", err)
	}
	tb.Cleanup(func() {
		stopping, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		if err := a.Stop(stopping); err != nil {
			tb.Errorf("apptest: stop: %v", err)
		}
		if tb.Failed() {
			tb.Logf("the server's log:\n%s", log)
		}
	})
	if err := a.Start(ctx); err != nil {
		tb.Fatalf("apptest: %v", err)
	}
	srv := httptest.NewServer(a.Handler())
	tb.Cleanup(func() {
		a.CloseStreams() // which the test server would wait for
		srv.Close()
	})
	key := c.APIKey
	if key == "" {
		key = a.BootstrapKey()
	}
	s := &Server{App: a, URL: srv.URL, Slack: slack, GitHub: github, Rail: rail, Shop: shop, Models: models, log: log}
	s.Admin = &Client{tb: tb, url: srv.URL, key: key}
	return s
}

// As returns a client with another key; "" sends none.
func (s *Server) As(key string) *Client { return &Client{tb: s.Admin.tb, url: s.URL, key: key} }

// Log returns what the server has logged so far.
func (s *Server) Log() string { return s.log.String() }

// pluginPatience is how long shipped plugins may take: from a checkout the first test of a source has to compile them.
const pluginPatience = 5 * time.Minute

// WaitForPlugins waits until plugins of these names are ready; without names, until all that are registered are.
func (s *Server) WaitForPlugins(names ...string) {
	tb := s.Admin.tb
	tb.Helper()
	deadline := time.Now().Add(pluginPatience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var list struct {
			Data []struct{ Name, State string }
		}
		s.Admin.Call("GET", "/v1/plugins?limit=100", nil, &list)
		state := map[string]string{}
		for _, p := range list.Data {
			state[p.Name] = p.State
		}
		awaited := names
		if len(awaited) == 0 {
			awaited = slices.Collect(maps.Keys(state))
		}
		if !slices.ContainsFunc(awaited, func(name string) bool { return state[name] != "ready" }) {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("apptest: plugins are not ready: %v", state)
		}
		select {
		case <-tick.C:
		case <-tb.Context().Done():
			tb.Fatal("apptest: the test ended while plugins were awaited")
		}
	}
}

// logBuffer keeps a log in memory.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns everything that was written.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
