package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/plugins/wire"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
)

// errTimeout is returned when a plugin overran its deadline.
var errTimeout = fault.New(fault.Timeout, "plugin_timeout", "the plugin did not answer in time")

// skillFacade is a skill as core sees it.
type skillFacade struct {
	h *Host
	b skill.Binary
	m skill.Manifest
}

var _ tool.Tool = (*skillFacade)(nil)

// Spec returns the signed manifest's words.
func (f *skillFacade) Spec() tool.Spec { return f.m.Tool() }

// Call asks the skill's process. It is given the declared secrets and no others.
func (f *skillFacade) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	if len(call.Secrets) > 0 {
		declared := map[string]string{}
		for name, v := range call.Secrets {
			if slices.Contains(f.m.Needs.Secrets, name) {
				declared[name] = v
			}
		}
		call.Secrets = declared
	}
	var res tool.Result
	err := bounded(ctx, f.h.cfg.CallTimeout, func(ctx context.Context) error {
		return f.h.call(ctx, f.b, f.m, false, func(ctx context.Context, c grpc.ClientConnInterface) (err error) {
			res, err = wire.NewSkill(c).Call(ctx, call)
			return err
		})
	})
	if err != nil {
		return tool.Result{}, f.h.report(ctx, f.m, tool.ErrUnavailable, err)
	}
	if len(res.Text) > f.h.cfg.MaxResultBytes {
		return tool.Result{}, f.h.report(ctx, f.m, tool.ErrUnavailable,
			wire.ErrAnswer.Withf("it answered more than %d bytes", f.h.cfg.MaxResultBytes))
	}
	return res, nil
}

// ruleFacade is a rule as core sees it.
type ruleFacade struct {
	h *Host
	b skill.Binary
	m skill.Manifest
}

var _ rule.Evaluator = (*ruleFacade)(nil)

// Describe returns the signed manifest's words.
func (f *ruleFacade) Describe() rule.Description { return f.m.Rule() }

// Validate asks the rule's process.
func (f *ruleFacade) Validate(ctx context.Context, config json.RawMessage) error {
	return f.ask(ctx, func(ctx context.Context, r *wire.Rule) error { return r.Validate(ctx, config) })
}

// Evaluate asks the rule's process. It is told the declared inputs and no others.
func (f *ruleFacade) Evaluate(ctx context.Context, in rule.Input) (v rule.Verdict, err error) {
	err = f.ask(ctx, func(ctx context.Context, r *wire.Rule) (err error) {
		v, err = r.Evaluate(ctx, in, f.m.Inputs)
		return err
	})
	if err != nil {
		return rule.Verdict{}, err
	}
	return v, nil
}

// ask makes a call that has no side effects, so another process may be asked when one dies with it.
func (f *ruleFacade) ask(ctx context.Context, fn func(context.Context, *wire.Rule) error) error {
	err := bounded(ctx, f.h.cfg.RuleTimeout, func(ctx context.Context) error {
		return f.h.call(ctx, f.b, f.m, true, func(ctx context.Context, c grpc.ClientConnInterface) error {
			return fn(ctx, wire.NewRule(c))
		})
	})
	if err != nil {
		return f.h.report(ctx, f.m, rule.ErrUnavailable, err)
	}
	return nil
}

func bounded(ctx context.Context, limit time.Duration, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return fn(ctx)
}

// report says what went wrong in the words of the port, with the plugin's name before it.
func (h *Host) report(ctx context.Context, m skill.Manifest, unavailable *fault.Error, err error) error {
	var f *failure
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return fmt.Errorf("%s(%s): %w", m.Kind, m.Name, ctx.Err())
	case errors.As(err, &f):
		h.cfg.Logger.WarnContext(ctx, "plugin is not available", "plugin", m.Name, "kind", m.Kind, "error", err)
		return unavailable.Withf("the %s %q is not available at the moment", m.Kind, m.Name).WithRetry(f.retry).Wrap(err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		h.cfg.Logger.WarnContext(ctx, "plugin did not answer in time", "plugin", m.Name, "kind", m.Kind)
		return errTimeout.Withf("the %s %q did not answer in time", m.Kind, m.Name).Wrap(err)
	case fault.KindOf(err) == fault.Internal:
		h.cfg.Logger.ErrorContext(ctx, "plugin failed", "plugin", m.Name, "kind", m.Kind, "error", err)
	}
	return fmt.Errorf("%s(%s): %w", m.Kind, m.Name, err)
}
