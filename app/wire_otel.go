package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/run"
)

func telemetryModule(ctx context.Context) fx.Option {
	return fx.Module("telemetry", fx.Provide(
		func(cfg Config, o options, reg *prometheus.Registry, cl *closers) (*otel.Telemetry, error) {
			return provideTelemetry(ctx, cfg, o, reg, cl)
		},
	))
}

// flushTimeout is how long a server that ends waits for a collector to take the last spans.
const flushTimeout = 5 * time.Second

func provideTelemetry(ctx context.Context, cfg Config, o options, reg *prometheus.Registry, cl *closers) (*otel.Telemetry, error) {
	tracer := o.tracer
	if tracer == nil && cfg.OTLPEndpoint != "" {
		exporter, shutdown, err := otel.Exporter(ctx, cfg.OTLPEndpoint, cfg.Logger)
		if err != nil {
			return nil, fmt.Errorf("app: Config.OTLPEndpoint: %w", err)
		}
		tracer = exporter
		cl.add(func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
			defer cancel()
			if err := shutdown(ctx); err != nil { // spans are lost, nothing else: no reason to fail
				cfg.Logger.Warn("the last spans were not delivered", slog.Any("error", err))
			}
			return nil
		})
	}
	return otel.New(otel.Config{Tracer: tracer, Metrics: reg, Logger: cfg.Logger, Models: []string{cfg.LLM.Model}})
}

// observedTools observes the tools of a source; those that clients execute are not ours to observe.
type observedTools struct {
	run.ToolSource

	telemetry *otel.Telemetry
}

func (o observedTools) Tools(ctx context.Context, sc account.Scope, env run.Env) ([]run.BoundTool, error) {
	bound, err := o.ToolSource.Tools(ctx, sc, env)
	for i, b := range bound {
		if b.Tool != nil {
			bound[i].Tool = otel.WrapTool(b.Tool, o.telemetry)
		}
	}
	return bound, err
}
