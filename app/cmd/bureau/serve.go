package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/app"
)

func serveCommand() *cobra.Command {
	var level string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Start the server",
		Long: `Start the server. It is ready when GET /healthz answers; it prints, at the first start, the admin API key, and its URL.

SIGTERM drains for up to 30 seconds: streams are closed, running steps finish, the rest is taken up at the next start or by another
replica. SIGKILL loses nothing that was acknowledged.

Programs that agents choose run in sandboxes, for which the server must be root with CAP_SYS_ADMIN, or user namespaces be allowed. Where
neither is so, the server logs it at its start, serves everything else, and refuses to run them.

Flags are for what is typed often; ` + "`bureau help settings`" + ` lists every setting: models, Postgres, payment rails, limits of sandboxes and
files, Slack, GitHub, signing in.`,
		Example: `  bureau serve
  bureau serve --addr 0.0.0.0:8080 --data /var/lib/bureau
  BUREAU_DATABASE_URL=postgres://bureau@db/bureau BUREAU_ROOT_SECRET=$(cat secret) bureau serve`,
		Args: takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := load(cmd)
			if err != nil {
				return err
			}
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return fmt.Errorf("--log-level: %q is none of debug, info, warn, error", level)
			}
			s.Logger = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
			return serve(cmd, s)
		},
	}
	cmd.Flags().StringVar(&level, "log-level", "info", "debug, info, warn, error")
	return cmd
}

// weakKey is below how many characters a bootstrap key draws a warning.
const weakKey = 20

// lingers is for how long the address of a server that was killed may be taken: programs that it was about to start hold it until they
// are.
const lingers = 2 * time.Second

// listen says what to do when the address cannot be had.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	for begun := time.Now(); errors.Is(err, syscall.EADDRINUSE) && time.Since(begun) < lingers && ctx.Err() == nil; {
		time.Sleep(50 * time.Millisecond)
		listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: another program does; choose another address with --addr (BUREAU_ADDR)", addr)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w; --addr (BUREAU_ADDR) is HOST:PORT", addr, err)
	}
	return listener, nil
}

// drain is how long a server takes to end after SIGTERM, at most.
const drain = 30 * time.Second

func serve(cmd *cobra.Command, s settings) error {
	ctx := cmd.Context()
	if err := undumpable(); err != nil {
		s.Logger.Warn("other processes of this user can read this one's memory", slog.Any("error", err))
	}
	if n := len(s.APIKey); n > 0 && n < weakKey {
		s.Logger.Warn("BUREAU_API_KEY is short enough to be guessed; make one with `openssl rand -hex 32`", slog.Int("characters", n))
	}
	listener, err := listen(ctx, s.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	address := reachable(listener.Addr())
	if s.PublicURL == "" {
		s.PublicURL = address
	}
	a, err := app.New(ctx, s.Config)
	if errors.Is(err, app.ErrHeld) {
		return fmt.Errorf("%w: stop it, or choose another directory with --data (BUREAU_DATA)", err)
	}
	if err != nil {
		return err
	}
	clearCollectorKeys()
	out := cmd.OutOrStdout()
	if key := a.BootstrapKey(); key != "" { // before anything else can fail: there is no second chance to see it
		fmt.Fprintf(out, "Admin API key (shown this once): %s\n", key)
	}
	if err := a.Start(ctx); err != nil {
		return err
	}
	stopSocket, err := serveSocket(a, s.DataDir)
	if err != nil {
		return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}

	fmt.Fprintf(out, "Bureau serves at %s\n", address)
	s.Logger.Info("serving", slog.String("address", listener.Addr().String()), slog.String("data", s.DataDir),
		slog.Bool("postgres", s.DatabaseURL != ""), slog.String("version", app.Version()))
	go watchMemory(ctx)
	server := newServer(a.Handler())
	server.ErrorLog = slog.NewLogLogger(s.Logger.Handler(), slog.LevelWarn)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.Logger.Info("stopping", slog.String("because", context.Cause(ctx).Error()))
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	a.CloseStreams()
	stopSocket()
	err = errors.Join(ignoreClosed(err), server.Shutdown(stopping), a.Stop(stopping))
	s.Logger.Info("stopped")
	return err
}

// reachable is the URL under which a browser on this machine finds the listener.
func reachable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("http://localhost:%d", tcp.Port)
	}
	return "http://" + addr.String()
}

func newServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
