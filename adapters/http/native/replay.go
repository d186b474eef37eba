package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
)

type replayWire struct {
	EntryID      string                 `json:"entry_id"`
	Type         string                 `json:"type" enum:"replay"`
	Same         bool                   `json:"same" doc:"Whether the decision comes out as it was noted."`
	DecisionThen decisionWire           `json:"decision_then" doc:"As it was noted."`
	DecisionNow  decisionWire           `json:"decision_now" doc:"Made again, of the noted act, counters and rules' verdicts, by the policies in the versions of then."`
	Basis        string                 `json:"basis" enum:"policies,standing,funds,person" doc:"What the decision rests on. All but policies is taken as it was noted: a freeze, an empty wallet, a person's word."`
	Differences  []replayDifferenceWire `json:"differences" nullable:"false"`
}

type replayDifferenceWire struct {
	Field string `json:"field" enum:"outcome,rule,reason,would"`
	Then  string `json:"then"`
	Now   string `json:"now"`
}

func (f *face) registerReplay() {
	httpx.Register(f.Face, httpx.Op{
		ID: "replayDecision", Method: http.MethodPost, Path: "/v1/audit/{entry_id}/replay", Tag: "audit",
		Summary: "Make a noted decision once more", Permission: account.AuditRead, Statuses: []int{http.StatusConflict},
		Description: "Nothing is done or kept. An entry that notes no decision, or not enough to make it again, is a conflict. " +
			"`bureau audit replay FILE ENTRY` does the same with an export, without the server.",
	}, func(ctx context.Context, in *auditEntryInput) (*output[replayWire], error) {
		entry, err := id.Parse[id.AuditEntryKind](in.EntryID)
		if err != nil {
			return nil, err
		}
		sc := httpx.Scope(ctx)
		e, err := f.deps.Audit.Get(ctx, sc, entry)
		if err != nil {
			return nil, err
		}
		r, err := gate.Replay(e.Agent, e.Metadata, func(p id.Policy, version int) (policy.Policy, error) {
			v, err := f.deps.Policies.Version(ctx, sc, p, version)
			return v.Policy, err
		})
		if err != nil {
			return nil, err
		}
		w := replayWire{
			EntryID: e.ID.String(), Type: "replay", Same: len(r.Differences) == 0, DecisionThen: showDecision(r.Then),
			DecisionNow: showDecision(r.Now), Basis: r.Basis, Differences: []replayDifferenceWire{},
		}
		for _, d := range r.Differences {
			w.Differences = append(w.Differences, replayDifferenceWire(d))
		}
		return ok(w), nil
	})
}
