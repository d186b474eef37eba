package skill

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Trust says how far a skill is trusted on an agent.
type Trust string

// The levels.
const (
	// TrustVerified is for what somebody answers for: plugins, which the operator installed with a checksum and signed; instructions that come with
	// the server; instructions that somebody of the tenant uploaded, and what agents handed in and a person approved, when the security scan has
	// passed them.
	TrustVerified Trust = "verified"
	// TrustCommunity is for everything else, and for verified skills that were installed at this level. What it keeps a skill from:
	//   - a plugin's calls each wait for a person's confirmation, and it is given no secrets;
	//   - the files of instructions do not come into sandboxes: they can be read, not run;
	//   - an agent that has instructions or a structured skill of this level pays, by whatever tool, with a person's confirmation only.
	TrustCommunity Trust = "clawhub"
)

// ParseTrust reads a level; "" is whatever the skill has.
func ParseTrust(s string) (Trust, error) {
	switch t := Trust(s); t {
	case "", TrustVerified, TrustCommunity:
		return t, nil
	}
	return "", fault.Invalidf("trust_level", "must be %s or %s", TrustVerified, TrustCommunity)
}

// ErrUnverified is returned when a skill is to be installed as verified that is not.
var ErrUnverified = fault.New(fault.Conflict, "skill_not_verified", "the skill is not verified; it can be installed as clawhub")

// trustOf is the level of what was scanned; no report is no clean one.
func trustOf(r *scan.Report) Trust {
	if r != nil && r.Verdict == scan.Pass {
		return TrustVerified
	}
	return TrustCommunity
}

// trust is the level of a version that an agent handed in. One that was approved and is denied by now loses it on the agents that kept it.
func (v SubmissionVersion) trust() Trust {
	if v.Status != ReviewApproved {
		return TrustCommunity
	}
	return trustOf(v.Scan)
}

// trust is the level of a version of instructions.
func (g Guide) trust(v GuideVersion) Trust {
	if g.Source == SourceBuiltin {
		return TrustVerified
	}
	if v.Withheld {
		return TrustCommunity
	}
	return trustOf(v.Scan)
}

// Trust is the level that the offer can be installed at.
func (o Offer) Trust() Trust {
	switch {
	case o.Structured != nil:
		return o.Structured.trust()
	case o.Guide != nil && o.Guide.Latest != nil:
		return o.Guide.trust(*o.Guide.Latest)
	case o.Plugin != nil:
		return TrustVerified
	}
	return TrustCommunity
}

// Trust is the level that the skill has on the agent: the lower one of the skill's own, as it is now, and of what it was installed at.
func (h Held) Trust() Trust {
	own := TrustCommunity
	switch {
	case h.Plugin != nil:
		own = TrustVerified
	case h.Structured != nil:
		own = h.Structured.trust()
	case h.Kind == ContentInstructions && h.GuideVersion.Number > 0:
		own = h.Guide.trust(h.GuideVersion)
	}
	if h.Level == TrustCommunity {
		return TrustCommunity
	}
	return own
}

// Cautious reports whether the agent has a skill of words that is not verified, so that its payments need a person's confirmation: whatever
// such a skill says may be meant to make it pay. A skill that the agent cannot use does not count. The agent is not looked up.
func (m *Market) Cautious(ctx context.Context, sc account.Scope, agent id.Agent) (bool, error) {
	pins, err := m.d.Installations.Pins(ctx, sc, agent)
	if err != nil || len(pins) == 0 {
		return false, err
	}
	others, err := m.others(ctx, sc, pins)
	if err != nil {
		return false, err
	}
	for _, h := range others {
		if h.Problem == "" && h.Trust() == TrustCommunity {
			return true, nil
		}
	}
	return false, nil
}

// Offered is an installed skill as a tool.
type Offered struct {
	tool.Tool
	Confirm bool // every call waits for a person's confirmation
}

// secretless calls a tool without secrets, whatever it declares.
type secretless struct{ tool.Tool }

// Spec implements tool.Tool.
func (t secretless) Spec() tool.Spec {
	s := t.Tool.Spec()
	s.Needs.Secrets = nil
	return s
}

// Call implements tool.Tool.
func (t secretless) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	call.Secrets = nil
	return t.Tool.Call(ctx, call)
}
