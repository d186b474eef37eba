package app

import (
	"context"
	"log/slog"
	"path/filepath"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/ports/runtime"
)

func runtimeModule() fx.Option {
	return fx.Module("runtime", fx.Provide(provideRuntime))
}

// provideRuntime makes the runtime that Config names. It opens no sandbox, so a server whose machine isolates nothing starts, says so,
// and refuses to run programs.
func provideRuntime(cfg Config, o options, lc fx.Lifecycle, cl *closers, t *otel.Telemetry) (runtime.Runtime, error) {
	if o.runtime != nil {
		return otel.WrapRuntime(o.runtime, t), nil
	}
	if cfg.Runtime.Provider == "none" {
		return noRuntime{}, nil
	}
	r, err := process.New(process.Config{
		Dir: filepath.Join(cfg.DataDir, "sandboxes"), Limits: cfg.Runtime.Limits, Timeout: cfg.Runtime.Timeout,
		MaxOutput: cfg.Runtime.MaxOutput, EgressAllow: cfg.EgressAllow, Paths: cfg.Runtime.Paths, Hidden: []string{cfg.DataDir},
		Unsafe: cfg.Runtime.Unsafe,
		Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	cl.add(r.Close)
	lc.Append(fx.Hook{OnStart: func(ctx context.Context) error {
		switch err := r.Check(ctx); {
		case err == nil:
		case cfg.Runtime.Unsafe:
			cfg.Logger.WarnContext(ctx, "programs that agents choose run with this server's rights", slog.Any("reason", err))
		default:
			cfg.Logger.WarnContext(ctx, "agents cannot run programs", slog.Any("reason", err))
		}
		return nil
	}})
	return otel.WrapRuntime(r, t), nil
}

// noRuntime runs nothing.
type noRuntime struct{}

func (noRuntime) Name() string { return "none" }

func (noRuntime) Open(context.Context, runtime.Spec) (runtime.Sandbox, error) {
	return nil, runtime.ErrIsolation.Withf("this server runs no programs: BUREAU_RUNTIME is none")
}

func (noRuntime) Remove(context.Context, string) error { return nil }

func (noRuntime) List(context.Context) ([]string, error) { return nil, nil }
