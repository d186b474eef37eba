package app

import (
	"context"
	"path/filepath"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/plugin/host"
	"github.com/bureau-agents/bureau/adapters/plugin/shipped"
	"github.com/bureau-agents/bureau/adapters/plugin/signer"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/keeper"
)

func pluginModule() fx.Option {
	return fx.Module("plugins",
		fx.Provide(provideHost, provideSigner, provideShipped, provideSkills),
		fx.Invoke(func(lc fx.Lifecycle, s *skill.Service) {
			lc.Append(fx.Hook{OnStart: s.AnnounceShipped})
			// Building may take a minute; nobody waits for it. Failures are logged and shown on the plugin.
			background(lc, func(ctx context.Context) { _ = s.InstallShipped(ctx, false) })
		}))
}

func provideHost(lc fx.Lifecycle, b base, cfg Config) (skill.Launcher, error) {
	dir, err := filepath.Abs(filepath.Join(cfg.DataDir, "plugins"))
	if err != nil {
		return nil, err
	}
	h, err := host.New(host.Config{Dir: dir, Logger: b.Logger, EgressAllow: cfg.EgressAllow})
	if err != nil {
		return nil, err
	}
	lc.Append(fx.Hook{OnStop: h.Stop})
	return h, nil
}

func provideSigner(b base, s *bunstore.Store, k keeper.Keeper) (skill.Signer, error) {
	return signer.New(signer.Deps{Keys: s.Skills(), Keeper: k, Clock: b.Clock})
}

func provideShipped(b base, cfg Config) (skill.Shipped, error) {
	return shipped.New(shipped.Config{Logger: b.Logger, Checkout: cfg.CheckoutDir, Fallback: filepath.Join(cfg.DataDir, "build")})
}
