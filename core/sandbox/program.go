package sandbox

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Start starts a program in the sandbox of a session, brought up to date, and keeps that open until the program has ended, which it does
// with ctx at the latest. The environment variables of the session's vaults are the program's too, unless c has others of the name.
func (s *Service) Start(
	ctx context.Context, sc account.Scope, of session.Session, a agent.Agent, c runtime.Command,
) (runtime.Process, error) {
	root, err := s.root(ctx, sc, of)
	if err != nil {
		return nil, err
	}
	env, err := s.environment(ctx, sc, root)
	if err != nil {
		return nil, err
	}
	if env.Config.Type == environment.SelfHosted {
		return nil, ErrSelfHosted
	}
	for {
		b, err := s.take(root.ID)
		if err != nil {
			return nil, err
		}
		p, err := s.start(ctx, &scene{sc: sc, sess: root, caller: of, agent: a, env: env, box: b}, c)
		if err == nil {
			go func() {
				_, _ = p.Wait()
				s.release(b)
			}()
			return p, nil
		}
		s.release(b)
		if !errors.Is(err, errStale) {
			return nil, err
		}
	}
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
