package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/app"
)

func serveCommand() *cobra.Command {
	var level string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Start the server",
		Long: `Start the server. It is ready when GET /healthz answers; it prints its URL and, at the first start, the admin API key.

SIGTERM drains for up to 30 seconds: streams are closed, running steps finish, the rest is taken up at the next start or by another
replica. SIGKILL loses nothing that was acknowledged.`,
		Example: `  bureau serve
  bureau serve --addr 0.0.0.0:8080 --data /var/lib/bureau
  BUREAU_DATABASE_URL=postgres://bureau@db/bureau BUREAU_ROOT_SECRET=$(cat secret) bureau serve`,
		Args: cobra.NoArgs,
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

// drain is how long a server takes to end after SIGTERM, at most.
const drain = 30 * time.Second

func serve(cmd *cobra.Command, s settings) error {
	ctx := cmd.Context()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", s.Addr, err)
	}
	defer listener.Close()
	if s.PublicURL == "" {
		s.PublicURL = "http://" + listener.Addr().String()
	}
	a, err := app.New(ctx, s.Config)
	if err != nil {
		return err
	}
	clearCollectorKeys()
	if err := a.Start(ctx); err != nil {
		return err
	}
	stopSocket, err := serveSocket(a, socketPath(s.DataDir))
	if err != nil {
		return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}

	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "Bureau serves at http://%s\n", listener.Addr())
	if key := a.BootstrapKey(); key != "" {
		fmt.Fprintf(out, "Admin API key (shown this once): %s\n", key)
	}

	server := newServer(a.Handler())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	a.CloseStreams()
	stopSocket()
	err = errors.Join(ignoreClosed(err), server.Shutdown(stopping), a.Stop(stopping))
	return err
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

// serveSocket lets the operator's own commands in: whoever can open the socket (mode 0600) owns the data directory anyway.
func serveSocket(a *app.App, path string) (stop func(), err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on the operator's socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	server := newServer(a.OperatorHandler())
	go func() { _ = server.Serve(listener) }()
	return func() { _ = server.Close() }, nil
}
