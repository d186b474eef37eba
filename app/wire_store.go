package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/blob/gocloud"
	blobpostgres "github.com/bureau-agents/bureau/adapters/blob/postgres"
	busmemory "github.com/bureau-agents/bureau/adapters/bus/memory"
	buspostgres "github.com/bureau-agents/bureau/adapters/bus/postgres"
	"github.com/bureau-agents/bureau/adapters/jobs/river"
	"github.com/bureau-agents/bureau/adapters/keeper/aesgcm"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/jobs"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/tx"
)

// base is what nearly every service needs.
type base struct {
	fx.In

	TX     tx.Runner
	Clock  clock.Clock
	IDs    id.Generator
	Logger *slog.Logger
}

func storeModule(ctx context.Context) fx.Option {
	return fx.Module("store", fx.Provide(
		func(cfg Config) *slog.Logger { return cfg.Logger },
		func(o options) clock.Clock {
			if o.clock != nil {
				return o.clock
			}
			return clock.Func(time.Now)
		},
		func(o options, c clock.Clock) id.Generator {
			if o.ids != nil {
				return o.ids
			}
			return id.NewGenerator(c.Now)
		},
		func(cfg Config, cl *closers) (*bunstore.Store, error) { return openStore(ctx, cfg, cl) },
		func(s *bunstore.Store, t *otel.Telemetry) tx.Runner { return otel.WrapTx(s, t) },
		func(cfg Config, s *bunstore.Store, cl *closers) (*river.Queue, error) {
			return openQueue(ctx, cfg, s, cl)
		},
		func(q *river.Queue) jobs.Queue { return q },
		func(cfg Config, o options, s *bunstore.Store, cl *closers, t *otel.Telemetry) (bus.Bus, error) {
			b, err := openBus(ctx, cfg, o, s, cl)
			if err != nil {
				return nil, err
			}
			return otel.WrapBus(b, t), nil
		},
		func(cfg Config, o options, s *bunstore.Store, t *otel.Telemetry) (blob.Store, error) {
			b, err := openBlobs(ctx, cfg, o, s)
			if err != nil {
				return nil, err
			}
			return otel.WrapBlob(b, t), nil
		},
		openKeeper,
	))
}

// openStore takes the data directory and opens the database.
func openStore(ctx context.Context, cfg Config, cl *closers) (*bunstore.Store, error) {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("app: the data directory: %w", err)
	}
	release, err := lockDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	cl.add(release)
	sc := bunstore.Config{URL: cfg.DatabaseURL, Logger: cfg.Logger}
	if sc.URL == "" {
		sc.Path = filepath.Join(cfg.DataDir, "bureau.db")
	}
	s, err := bunstore.Open(ctx, sc)
	if err != nil {
		return nil, err
	}
	cl.add(s.Close)
	return s, nil
}

// ErrHeld is returned by New when another process has the data directory.
var ErrHeld = errors.New("is held by another process")

// lockDir keeps a second process out of a data directory. The file names the process that has it, for whoever is kept out.
func lockDir(dir string) (release func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "bureau.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("app: the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 32))
		_ = f.Close()
		return nil, fmt.Errorf("app: the data directory %s %w (pid %s)", dir, ErrHeld, strings.TrimSpace(string(holder)))
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintln(f, os.Getpid()) // only a hint
	}
	return f.Close, nil
}

func openQueue(ctx context.Context, cfg Config, s *bunstore.Store, cl *closers) (*river.Queue, error) {
	q, err := river.New(ctx, river.Config{Store: s.SQL(), TX: s, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	cl.add(q.Close)
	return q, nil
}

func openBus(ctx context.Context, cfg Config, o options, s *bunstore.Store, cl *closers) (bus.Bus, error) {
	switch {
	case o.bus != nil:
		return o.bus, nil
	case cfg.DatabaseURL == "":
		return busmemory.New(), nil
	}
	b, err := buspostgres.New(ctx, buspostgres.Config{Store: s.SQL(), Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	cl.add(b.Close)
	return b, nil
}

// openBlobs keeps plugin binaries where every server that may run them finds them.
func openBlobs(ctx context.Context, cfg Config, o options, s *bunstore.Store) (blob.Store, error) {
	switch {
	case o.blobs != nil:
		return o.blobs, nil
	case cfg.DatabaseURL != "":
		return blobpostgres.Open(ctx, blobpostgres.Config{Store: s.SQL()})
	}
	return gocloud.Open(ctx, gocloud.Config{Dir: filepath.Join(cfg.DataDir, "blobs")})
}

// openKeeper seals with the root secret that is configured, or else with the one in the data directory, which the first start
// makes. The store comes first: it has taken the directory.
func openKeeper(cfg Config, o options, _ *bunstore.Store) (keeper.Keeper, error) {
	if o.keeper != nil {
		return o.keeper, nil
	}
	text := cfg.RootSecret
	if text == "" {
		var err error
		if text, err = rootSecretFile(filepath.Join(cfg.DataDir, "root-secret")); err != nil {
			return nil, err
		}
	}
	secret, err := aesgcm.ParseSecret(text)
	if err != nil {
		return nil, fmt.Errorf("app: Config.RootSecret: %w", err)
	}
	return aesgcm.New(aesgcm.Config{Root: secret})
}

func rootSecretFile(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(raw)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("app: the root secret: %w", err)
	}
	text := aesgcm.NewSecret().Hex()
	// Written aside and renamed: a crash must not leave half a secret that later starts would take for a whole one.
	aside := path + ".new"
	if err := os.WriteFile(aside, []byte(text+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("app: the root secret: %w", err)
	}
	if err := os.Rename(aside, path); err != nil {
		return "", fmt.Errorf("app: the root secret: %w", err)
	}
	return text, nil
}
