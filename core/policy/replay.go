package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// ErrEvidence is returned for a decision that cannot be made again, because what it rested on is not there.
var ErrEvidence = fault.New(fault.Conflict, "evidence_missing", "there is not enough evidence to make the decision again")

// Case is everything that a decision rested on.
type Case struct {
	Subject  Subject
	Policies []Policy // in the versions that applied
	Verdicts Verdicts // what their rules said
	Counters []Counter
	Options  Options
	// Fixed is a denial that was not for policies to find: of a frozen agent, an empty wallet, a person. nil: the policies decided.
	Fixed *Decision
}

// Replay decides a case. It is pure, and the same code that decides acts: the same case gives the same decision, but for its ID.
// ErrEvidence when a counter is missing that the decision needs.
func Replay(c Case) (Decision, error) {
	out := Decision{At: c.Options.At}
	for _, p := range c.Policies {
		out.Policies = append(out.Policies, PinnedVersion{p.ID, p.Version})
	}
	if c.Fixed != nil {
		out.Outcome, out.Rule, out.Reason, out.Would = c.Fixed.Outcome, c.Fixed.Rule, c.Fixed.Reason, c.Fixed.Would
		return out, nil
	}
	a := Assess(c.Policies, c.Verdicts, c.Subject, c.Options)
	if a.Outcome != Denied {
		counters := make([]Counter, len(a.Demands))
		for i, d := range a.Demands {
			n := slices.IndexFunc(c.Counters, func(o Counter) bool { return o.Key.Compare(d.Key) == 0 })
			if n < 0 {
				return Decision{}, ErrEvidence.Withf("how full %s was is not recorded", d.Key.Name)
			}
			counters[i] = c.Counters[n]
		}
		a.Watch(counters)
		if rule, reason, over := Exceeded(a.Demands, counters); over {
			a.Outcome, a.Rule, a.Reason = Denied, rule, reason
		} else if asked, ok := Asked(a.Demands, counters); ok && a.Outcome == Allowed && !c.Options.Approved {
			a.Outcome, a.Rule, a.Reason = Parked, asked.Rule, asked.Reason
		}
	}
	out.Outcome, out.Rule, out.Reason, out.Would = a.Outcome, a.Rule, a.Reason, a.Would()
	return out, nil
}

// FromNote reads a policy out of the audit entry of its making or its change. A limit that this server does not know is an error.
func FromNote(metadata []byte) (Policy, error) {
	var doc struct {
		Policy  string          `json:"policy_id"`
		Version int             `json:"version"`
		Mode    Mode            `json:"mode"`
		Scope   string          `json:"scope"`
		Swarm   string          `json:"swarm_id"`
		Session string          `json:"session_id"`
		Agent   string          `json:"agent_id"`
		Limits  json.RawMessage `json:"limits"`
		Rules   json.RawMessage `json:"rules"`
	}
	if err := json.Unmarshal(metadata, &doc); err != nil {
		return Policy{}, errors.New("policy: the entry is not a policy's")
	}
	u, err := id.ParseUUID(doc.Policy)
	if err != nil || doc.Version < 1 || !doc.Mode.valid() {
		return Policy{}, errors.New("policy: the entry is not a policy's")
	}
	p := Policy{ID: id.Of[id.PolicyKind](u), Version: doc.Version, Mode: doc.Mode.orDefault()}
	owner := func(text string) id.UUID {
		u, _ := id.ParseUUID(text) // the first notes did not name the agent; decisions do not look at it
		return u
	}
	switch doc.Scope {
	case "tenant":
		p.Scope.Tenant = true
	case "swarm":
		p.Scope.Swarm = id.Of[id.SwarmKind](owner(doc.Swarm))
	case "session":
		p.Scope.Session = id.Of[id.SessionKind](owner(doc.Session))
	default:
		p.Scope.Agent = id.Of[id.AgentKind](owner(doc.Agent))
	}
	if len(bytes.TrimSpace(doc.Limits)) > 0 {
		if p.Limits, err = DecodeLimits(doc.Limits); err != nil {
			return Policy{}, err
		}
	}
	if len(bytes.TrimSpace(doc.Rules)) > 0 {
		p.Rules, err = DecodeRules(doc.Rules)
	}
	return p, err
}
