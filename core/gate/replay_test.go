package gate

import (
	"testing"

	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
)

// FuzzReplay looks for entries and policies, which are a stranger's bytes, that panic.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"action":"payment","outcome":"deny","rule":"daily_limit","reason":"r","decided_at":"2026-07-15T12:30:00Z","amount":"10.00",
		"currency":"USDC","payee":"x.example","basis":"policies","policies":[{"policy_id":"01a201f1-2a87-70f6-85d4-a95683890a79","version":1}],
		"limits":[{"policy_id":"01a201f1-2a87-70f6-85d4-a95683890a79","limit":"daily_limit","window":"day","window_start":"2026-07-15T00:00:00Z",
		"unit":"USDC","spent":"1","reserved":"0"}],"verdicts":[],"paid_before":["01a201f1-2a87-70f6-85d4-a95683890a79"]}`),
		[]byte(`{"policy_id":"01a201f1-2a87-70f6-85d4-a95683890a79","version":1,"scope":"agent","limits":{"daily_limit":{"amount":"5","currency":"USDC"}},"rules":[]}`))
	f.Add([]byte(`{"action":"transfer","outcome":"allow","decided_at":"2026-07-15T12:30:00Z"}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, entry, note []byte) {
		r, err := Replay(id.Agent{}, entry, func(id.Policy, int) (policy.Policy, error) { return policy.FromNote(note) })
		if err != nil {
			return
		}
		again, err := Replay(id.Agent{}, entry, func(id.Policy, int) (policy.Policy, error) { return policy.FromNote(note) })
		if err != nil || len(again.Differences) != len(r.Differences) || again.Now.Outcome != r.Now.Outcome || again.Now.Rule != r.Now.Rule {
			t.Errorf("%+v the second time, %v; %+v the first", again, err, r)
		}
	})
}
