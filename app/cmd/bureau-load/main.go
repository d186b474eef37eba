// Command bureau-load measures the real binary over HTTP, each figure beside the bare limit of the same machine in the same run: a
// net/http handler that answers the same JSON, and a plain single-row transaction on the same kind of database. The generator
// shares the machine with the server, so ratios say more than rates, and the server's CPU time per call says most.
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
	"slices"
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
	server := flag.String("database", "", "postgres:// URL of a server on which a database is made and dropped again; default: SQLite")
	chosen := flag.String("parts", strings.Join(partNames(), ","), "which figures to measure")
	bin := flag.String("bin", "", "a binary with its plugins beside it; default: built from this module")
	flag.Parse()
	if err := run(ctx, bench{
		out: os.Stdout, connections: *connections, span: *span, parts: strings.Split(*chosen, ","),
	}, *bin, *server); err != nil {
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
	database    string // URL; "" is SQLite
	connections int
	span        time.Duration
	parts       []string
}

// parts are the figures, in the order in which they are taken.
var parts = []struct {
	name    string
	measure func(*bench, context.Context) error
}{
	{"reads", (*bench).reads}, {"creates", (*bench).creates}, {"first", (*bench).firstRequest}, {"payments", (*bench).payments},
	{"streams", (*bench).streams}, {"replicas", (*bench).replicas}, {"freeze", (*bench).freezes},
}

func partNames() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func run(ctx context.Context, b bench, bin, server string) (err error) {
	if b.dir, err = os.MkdirTemp("", "bureau-load-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if bin == "" {
		if bin, err = process.Build(ctx, b.dir); err != nil {
			return err
		}
	}
	b.model = newFakeModel()
	defer b.model.close()
	env := []string{"BUREAU_LLM_PROVIDER=openai", "BUREAU_LLM_BASE_URL=" + b.model.url(), "BUREAU_LLM_API_KEY=none", "BUREAU_LLM_MODEL=fake"}
	if server != "" {
		var drop func()
		if b.database, drop, err = makeDatabase(ctx, server); err != nil {
			return err
		}
		defer drop()
		env = append(env, "BUREAU_DATABASE_URL="+b.database, "BUREAU_ROOT_SECRET="+strings.Repeat("5a", 32))
	}
	log, err := os.Create(filepath.Join(b.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	if err := b.measure(ctx, process.Options{Bin: bin, Data: filepath.Join(b.dir, "data"), Env: env, Log: log}); err != nil {
		raw, _ := os.ReadFile(log.Name())
		return errors.Join(err, fmt.Errorf("the end of the server's log:\n%s", raw[max(0, len(raw)-2000):]))
	}
	return nil
}

func (b *bench) measure(ctx context.Context, options process.Options) error {
	began := time.Now()
	s, err := process.Start(ctx, options)
	if err != nil {
		return err
	}
	defer s.Kill()
	b.server = s
	b.say("start to healthy, empty database", "%s", time.Since(began).Round(time.Millisecond))
	s.Stop()
	began = time.Now()
	if err := s.Restart(ctx); err != nil {
		return err
	}
	b.say("start to healthy, existing database", "%s", time.Since(began).Round(time.Millisecond))
	if err := b.memory("memory, right after start"); err != nil {
		return err
	}
	if err := pause(ctx, settle); err != nil {
		return err
	}
	if err := b.memory("memory, idle for 5 s"); err != nil {
		return err
	}
	for _, p := range parts {
		if !slices.Contains(b.parts, p.name) {
			continue
		}
		if err := p.measure(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return b.memory("memory, after the load")
}

// settle is how long the server is left alone before its idle memory is read.
const settle = 5 * time.Second

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// say prints one row of the table.
func (b *bench) say(what, format string, args ...any) {
	fmt.Fprintf(b.out, "%-46s %s\n", what, fmt.Sprintf(format, args...))
}

// memory prints the resident set of the server, and how much of it is the binary's own pages, which every process that runs it
// shares and which the kernel may drop.
func (b *bench) memory(what string) error {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.server.PID()))
	if err != nil {
		return err
	}
	mib := map[string]float64{}
	for line := range strings.Lines(string(raw)) {
		name, rest, _ := strings.Cut(line, ":")
		var kib int
		if _, err := fmt.Sscanf(strings.TrimSpace(rest), "%d kB", &kib); err == nil {
			mib[name] = float64(kib) / 1024
		}
	}
	b.say(what, "%.1f MiB, of which %.1f MiB are files", mib["VmRSS"], mib["RssFile"])
	return nil
}
