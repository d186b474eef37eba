package gate

import (
	"context"
	"slices"
	"sync"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
)

// foresight remembers which plugin rules the acts of an agent had to pass, so that the next one asks them before its transaction
// begins instead of opening one to learn which they are. It decides nothing: the transaction compares what was asked with the
// policies and the agent as they are by then, and asks again when they differ.
type foresight struct {
	mu     sync.Mutex
	agents map[foreseenKey]foreseen
}

type foreseenKey struct {
	tenant id.Tenant
	agent  id.Agent
}

// foreseen is what the rules were told of.
type foreseen struct {
	policies []policy.Policy
	info     agent.StandingInfo
}

// maxForeseen bounds how many agents are remembered, and maxForeseenBytes what of each.
const (
	maxForeseen      = 4096
	maxForeseenBytes = 16 << 10
)

// slim is what is remembered of policies: limits are not for rules.
func slim(policies []policy.Policy) []policy.Policy {
	out := make([]policy.Policy, len(policies))
	for i, p := range policies {
		out[i] = policy.Policy{ID: p.ID, Version: p.Version, Rules: p.Rules}
	}
	return out
}

func (s foreseen) size() (n int) {
	for _, p := range s.policies {
		for _, r := range p.Rules {
			n += len(r.Config)
		}
	}
	return n
}

func (f *foresight) of(sc account.Scope, a id.Agent) foreseen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.agents[foreseenKey{sc.Tenant, a}]
}

func (f *foresight) remember(sc account.Scope, a id.Agent, seen foreseen) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := foreseenKey{sc.Tenant, a}
	switch {
	case !slices.ContainsFunc(seen.policies, func(p policy.Policy) bool { return len(p.Rules) > 0 }):
		delete(f.agents, key)
		return
	case seen.size() > maxForeseenBytes:
		delete(f.agents, key)
		return
	case f.agents == nil || len(f.agents) >= maxForeseen:
		f.agents = make(map[foreseenKey]foreseen)
	}
	seen.policies = slim(seen.policies)
	f.agents[key] = seen
}

// foresee asks the rules that the act will probably have to pass.
func (g *Gate) foresee(ctx context.Context, sc account.Scope, act Act) (foreseen, policy.Verdicts, error) {
	seen := g.seen.of(sc, act.Agent)
	if len(seen.policies) == 0 || !policy.Judged(act.Action) {
		return seen, nil, nil
	}
	at, err := g.now(ctx)
	if err != nil {
		return seen, nil, err
	}
	return seen, g.judge.Ask(ctx, sc, seen.policies, subjectOf(act, seen.info), at), nil
}

// same reports whether the same rules would be told the same. An agent's name and labels belong to its version.
func (s foreseen) same(now foreseen) bool {
	return s.info.Version == now.info.Version && s.info.Swarm == now.info.Swarm &&
		slices.EqualFunc(s.policies, now.policies, func(a, b policy.Policy) bool { return a.ID == b.ID && a.Version == b.Version })
}
