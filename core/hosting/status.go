package hosting

import (
	"context"
	"errors"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Source says where a Report comes from.
type Source string

// The sources.
const (
	SourceRuntime Source = "runtime" // observed now
	SourceCache   Source = "cache"   // what was kept last, because this server does not reach the instance
)

// InstanceNone is the state in a Report of an instance that is not there.
const InstanceNone runtime.InstanceState = "none"

// Report is how an agent is at a moment.
type Report struct {
	Deployment Deployment
	Instance   runtime.InstanceState // InstanceNone: there is none
	Live       bool                  // the instance runs, and that is known and not remembered from long ago
	Stats      *runtime.Stats        // nil: not known
	Source     Source
}

// fresh is how old a measurement may be to say anything about now.
const fresh = time.Minute

// Status observes an agent's instance where this server reaches it, and reports what is remembered of it otherwise.
func (s *Service) Status(ctx context.Context, sc account.Scope, a id.Agent) (Report, error) {
	d, err := s.Get(ctx, sc, a)
	if err != nil {
		return Report{}, err
	}
	r := Report{Deployment: d, Instance: InstanceNone, Source: SourceRuntime}
	if d.Site == "" {
		return r, nil
	}
	if s.d.Host == nil || d.Site != s.d.Supervisor.Site() {
		return s.remembered(ctx, sc, r)
	}
	i, err := s.d.Host.Inspect(ctx, InstanceID(a))
	if errors.Is(err, runtime.ErrNoInstance) {
		return r, nil
	}
	if err != nil {
		return s.remembered(ctx, sc, r)
	}
	r.Instance = i.State
	if i.State != runtime.InstanceRunning {
		return r, nil
	}
	r.Live = d.Status == Running
	if st, err := s.d.Host.Stats(ctx, InstanceID(a)); err == nil {
		r.Stats = &st
	}
	return r, nil
}

// remembered fills in a report from what was measured last.
func (s *Service) remembered(ctx context.Context, sc account.Scope, r Report) (Report, error) {
	r.Source = SourceCache
	if r.Deployment.Status != Running {
		return r, nil
	}
	m, ok, err := s.d.Sites.Measured(ctx, sc, r.Deployment.Agent)
	if err != nil || !ok {
		return r, err
	}
	r.Stats = &m.Stats
	if s.now().Sub(m.At) < fresh {
		r.Instance, r.Live = runtime.InstanceRunning, true
	}
	return r, nil
}
