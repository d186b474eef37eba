// Command bureau-load measures the real binary over HTTP, each figure beside the bare limit of the same machine in the same run: a
// net/http handler that answers the same JSON, and a plain single-row transaction on the same database.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/bureau-agents/bureau/app/internal/process"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	connections := flag.Int("connections", 32, "concurrent callers")
	span := flag.Duration("time", 5*time.Second, "how long each figure is measured")
	database := flag.String("database", "", "postgres:// URL of an empty database; default: SQLite")
	flag.Parse()
	if err := run(ctx, os.Stdout, *connections, *span, *database); err != nil {
		fmt.Fprintln(os.Stderr, "bureau-load:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

// bench is one run: a server, and what it is compared with.
type bench struct {
	out         io.Writer
	server      *process.Server
	model       *fakeModel
	dir         string
	database    string
	connections int
	span        time.Duration
}

func run(ctx context.Context, out io.Writer, connections int, span time.Duration, database string) error {
	dir, err := os.MkdirTemp("", "bureau-load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := process.Build(ctx, dir)
	if err != nil {
		return err
	}
	model := newFakeModel()
	defer model.close()
	env := []string{"BUREAU_LLM_PROVIDER=openai", "BUREAU_LLM_BASE_URL=" + model.url(), "BUREAU_LLM_API_KEY=none", "BUREAU_LLM_MODEL=fake"}
	if database != "" {
		env = append(env, "BUREAU_DATABASE_URL="+database, "BUREAU_ROOT_SECRET="+strings.Repeat("5a", 32))
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	began := time.Now()
	s, err := process.Start(ctx, process.Options{Bin: bin, Data: filepath.Join(dir, "data"), Env: env, Log: log})
	if err != nil {
		raw, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w\n%s", err, raw)
	}
	defer s.Kill()
	b := &bench{out: out, server: s, model: model, dir: dir, database: database, connections: connections, span: span}
	b.say("start to healthy, empty database", "%s", time.Since(began).Round(time.Millisecond))
	s.Stop()
	began = time.Now()
	if err := s.Restart(ctx); err != nil {
		return err
	}
	b.say("start to healthy, existing database", "%s", time.Since(began).Round(time.Millisecond))
	if err := b.memory("memory after start"); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{b.reads, b.creates, b.firstRequest, b.payments, b.pluginRule} {
		if err := part(ctx); err != nil {
			raw, _ := os.ReadFile(log.Name())
			return errors.Join(err, fmt.Errorf("server log: %s", raw[max(0, len(raw)-2000):]))
		}
	}
	return b.memory("memory after the load")
}

func (b *bench) say(what, format string, args ...any) {
	fmt.Fprintf(b.out, "%-44s %s\n", what, fmt.Sprintf(format, args...))
}

// memory prints the resident set of the server.
func (b *bench) memory(what string) error {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.server.PID()))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(raw)) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var n int
			if _, err := fmt.Sscanf(strings.TrimSpace(kib), "%d kB", &n); err != nil {
				return err
			}
			b.say(what, "%.1f MiB", float64(n)/1024)
		}
	}
	return nil
}
