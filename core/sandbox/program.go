package sandbox

import (
	"context"
	"maps"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Start starts a program in the sandbox of a session, brought up to date, and keeps that open until the program has ended, which it does
// with ctx at the latest. The environment variables of the session's vaults are the program's too, unless c has others of the name.
func (s *Service) Start(
	ctx context.Context, sc account.Scope, of session.Session, a agent.Agent, c runtime.Command,
) (runtime.Process, error) {
	var p runtime.Process
	u, err := s.enter(ctx, sc, of, a, func(u *scene) (err error) {
		p, err = s.start(ctx, u, c)
		return err
	})
	switch {
	case u == nil:
		return nil, err
	case err != nil:
		s.release(u.box)
		return nil, err
	}
	go func() {
		_, _ = p.Wait()
		s.release(u.box)
	}()
	return p, nil
}

func (s *Service) start(ctx context.Context, u *scene, c runtime.Command) (runtime.Process, error) {
	if err := s.prepare(ctx, u); err != nil {
		return nil, err
	}
	env, err := s.variables(ctx, u)
	if err != nil {
		return nil, err
	}
	maps.Copy(env, c.Env)
	c.Env = env
	if exports := packageEnv(u.env.Config.Packages); len(exports) > 0 {
		c.Args = append([]string{"sh", "-c", "export " + strings.Join(exports, " ") + `; exec "$@"`, "sh"}, c.Args...)
	}
	return u.sandbox.Start(ctx, c)
}
