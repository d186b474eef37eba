package skill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// noticeQuarantined is the kind of notice that a quarantine is told of by.
const noticeQuarantined = "skill.quarantined"

// Move is a payment or a transfer that was made after a skill was used, by the same session.
type Move struct {
	Act         id.Act
	Agent       id.Agent
	Session     id.Session
	Action      string // payment or transfer
	Amount      money.Amount
	Payee       string
	Description string
	At          time.Time
}

// Extent counts what a digest has touched.
type Extent struct {
	Agents   int // that have it installed
	Sessions int // that used it
	Moves    int
	Moved    []money.Amount // what these payments and transfers come to, one for each currency
}

// Blast is what is known of a digest in quarantine.
type Blast struct {
	Digest string
	Holds  []Hold // empty when it was released
	Extent
}

// Notices is where quarantines are told of; core/webhook has them. Publish joins the transaction in ctx.
type Notices interface {
	Publish(ctx context.Context, sc account.Scope, kind string, agent id.Agent, data map[string]any) error
}

// QuarantineDeps are what Quarantines work with. All are required but those that say otherwise.
type QuarantineDeps struct {
	TX      tx.Runner
	Clock   clock.Clock
	Holds   HoldRepository
	Traces  Traces
	Market  *Market
	Library *Library
	Plugins *Service
	Audit   Auditor // nil: nobody is told
	Notices Notices // nil: likewise
}

// Quarantines pull a content of a skill from every agent at once. It is safe for concurrent use.
type Quarantines struct{ d QuarantineDeps }

// NewQuarantines checks its arguments.
func NewQuarantines(d QuarantineDeps) (*Quarantines, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"Holds", d.Holds == nil}, {"Traces", d.Traces == nil}, {"Market", d.Market == nil},
		{"Library", d.Library == nil}, {"Plugins", d.Plugins == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("skill: QuarantineDeps.%s is required", dep.name)
		}
	}
	return &Quarantines{d}, nil
}

// found is what a reference to a skill means to a quarantine.
type found struct {
	skill   id.Skill
	kind    ContentKind
	name    string
	digest  string   // the one that is offered or was handed in last
	digests []string // all that the skill has
	agent   id.Agent // who handed it in
}

// find looks a skill up among what agents handed in, instructions and plugins, whether it is offered or not.
func (q *Quarantines) find(ctx context.Context, sc account.Scope, ref string) (found, error) {
	if of, err := id.Parse[id.SkillKind](ref); err == nil {
		s, err := q.d.Market.d.Submissions.Submission(ctx, sc, of)
		if err == nil {
			f := found{skill: s.ID, kind: ContentStructured, name: s.Key, digest: s.Head.Digest, digests: []string{s.Head.Digest}, agent: s.Agent}
			if s.Approved != nil {
				f.digest, f.digests = s.Approved.Digest, append(f.digests, s.Approved.Digest)
			}
			return f, nil
		} else if !errors.Is(err, ErrSkillNotFound) {
			return found{}, err
		}
	}
	// A plugin goes before instructions of the same name, as it does where skills are installed.
	p, err := q.d.Plugins.find(ctx, ref)
	if err == nil && p.Kind == KindSkill {
		return q.plugin(ctx, p)
	} else if err != nil && !errors.Is(err, ErrNotFound) {
		return found{}, err
	}
	g, err := q.d.Library.Get(ctx, sc, ref)
	if errors.Is(err, ErrSkillNotFound) {
		if b, ok := q.builtin(ref); ok {
			g, err = b, nil
		}
	}
	if err != nil {
		return found{}, err
	}
	f := found{skill: g.Skill(), kind: ContentInstructions, name: g.Ref()}
	if g.Latest != nil {
		f.name, f.digest = g.Latest.Name, g.Latest.Digest()
	}
	f.digests = []string{f.digest}
	return f, nil
}

func (q *Quarantines) plugin(ctx context.Context, p Plugin) (found, error) {
	f := found{skill: p.Skill(), kind: ContentPlugin, name: p.Name}
	if p.Release != nil {
		f.digest = p.Release.Digest()
	}
	rels, err := q.d.Plugins.Releases.Releases(ctx, p.ID)
	for _, r := range rels {
		f.digests = append(f.digests, r.Digest())
	}
	return f, err
}

// builtin returns the guide of the server's own that has the id in the marketplace.
func (q *Quarantines) builtin(ref string) (Guide, bool) {
	of, err := id.Parse[id.SkillKind](ref)
	for _, g := range q.d.Library.Builtin("") {
		if err == nil && g.Skill() == of {
			return g, true
		}
	}
	return Guide{}, false
}

// QuarantineRequest says what to put into quarantine, and why.
type QuarantineRequest struct {
	// Digest is the content; "" is the one that the marketplace offers, or was handed in last.
	Digest string
	Reason string // required
}

// Quarantine pulls a content of a skill from every agent of the tenant: from the commit on no turn is offered it, the next call of a turn that
// has it is refused, it is not on the market, and it cannot be handed in, uploaded or installed again. Installations stay and say so, until
// the hold is released. The operator's quarantine of a plugin, and of what comes with the server, is everybody's.
//
// What an agent handed in may be quarantined by whom the agent is linked to, in any of its versions, and everything by an administrator. Errors are ErrSkillNotFound,
// ErrNotLinked, a fault.Invalid for the digest and the reason. A second quarantine changes nothing.
func (q *Quarantines) Quarantine(ctx context.Context, sc account.Scope, ref string, req QuarantineRequest) (Blast, error) {
	var f check.Faults
	if f.Given("reason", req.Reason, MaxReviewReason); req.Digest != "" && !validDigest(req.Digest) {
		f.Addf("digest", "must be the 64 lower-case hexadecimal digits of a SHA-256")
	}
	if err := f.Err(ErrSubmission); err != nil {
		return Blast{}, err
	}
	var digest string
	everybody := false
	err := q.d.TX.Do(ctx, func(ctx context.Context) error {
		of, err := q.find(ctx, sc, ref)
		if err != nil {
			return err
		}
		if of.kind == ContentStructured {
			if err := q.d.Market.mayReview(ctx, sc, of.agent); err != nil {
				return err
			}
		} else if err := sc.Require(account.Admin); err != nil {
			return err
		}
		if digest = req.Digest; digest == "" {
			digest = of.digest
		}
		if digest == "" {
			return fault.Invalidf("digest", "is required: the skill has no content yet")
		}
		if err := q.ownContent(ctx, sc, of, digest); err != nil {
			return err
		}
		h := Hold{
			Digest: digest, Tenant: sc.Tenant, Skill: of.skill, Kind: of.kind, Name: of.name, Reason: strings.TrimSpace(req.Reason), By: sc.Key, At: q.now(),
		}
		if of.kind == ContentPlugin && sc.Can(account.Operator) {
			h.Tenant = id.Tenant{}
		}
		everybody = h.Tenant.IsZero()
		return q.hold(ctx, sc, h)
	})
	if err != nil {
		return Blast{}, err
	}
	if everybody {
		q.d.Plugins.Launcher.Forget(digest) // what runs of a plugin; other servers find out at the next call
	}
	return q.Blast(ctx, sc, digest)
}

// ownContent returns a fault for a digest that is no content of the skill. Only an administrator may name another one by it: who is linked to one
// agent has no say in what others use.
func (q *Quarantines) ownContent(ctx context.Context, sc account.Scope, of found, digest string) error {
	if sc.Can(account.Admin) || slices.Contains(of.digests, digest) {
		return nil
	}
	_, versions, err := q.d.Market.d.Submissions.Match(ctx, sc, of.agent, of.name, "", digest)
	if err == nil && len(versions) == 0 {
		return fault.Invalidf("digest", "is no content of the skill")
	}
	return err
}

// Block puts digests into everybody's quarantine, whether anybody has them or not: also those of single files, which the security scan knows from then on. Only
// the operator may. A second block changes nothing.
func (q *Quarantines) Block(ctx context.Context, sc account.Scope, digest, reason string) (Blast, error) {
	if err := sc.Require(account.Operator); err != nil {
		return Blast{}, err
	}
	var f check.Faults
	if f.Given("reason", reason, MaxReviewReason); !validDigest(digest) {
		f.Addf("digest", "must be the 64 lower-case hexadecimal digits of a SHA-256")
	}
	if err := f.Err(ErrSubmission); err != nil {
		return Blast{}, err
	}
	err := q.d.TX.Do(ctx, func(ctx context.Context) error {
		return q.hold(ctx, sc, Hold{Digest: digest, Reason: strings.TrimSpace(reason), By: sc.Key, At: q.now()})
	})
	if err != nil {
		return Blast{}, err
	}
	q.d.Plugins.Launcher.Forget(digest)
	return q.Blast(ctx, sc, digest)
}

func (q *Quarantines) now() time.Time { return clock.Stored(q.d.Clock.Now()) }

// hold writes a hold down and tells everybody whom it concerns, in one transaction.
func (q *Quarantines) hold(ctx context.Context, sc account.Scope, h Hold) error {
	fresh, err := q.d.Holds.Hold(ctx, h)
	if err != nil || !fresh {
		return err
	}
	concerned := []id.Tenant{h.Tenant}
	if h.Tenant.IsZero() {
		if concerned, err = q.d.Traces.Tenants(ctx, h.Digest); err != nil {
			return err
		}
		if err := q.record(ctx, sc, "skill_quarantined", h, map[string]any{"tenants": len(concerned)}); err != nil {
			return err
		}
	}
	for _, tenant := range concerned {
		of := sc
		if tenant != sc.Tenant {
			of = account.System(tenant)
		}
		extent, err := q.d.Traces.Extent(ctx, of, h.Digest)
		if err != nil {
			return err
		}
		data := h.data()
		data["agents"], data["sessions"], data["payments"] = extent.Agents, extent.Sessions, extent.Moves
		if !h.Tenant.IsZero() || tenant != sc.Tenant {
			if err := q.record(ctx, of, "skill_quarantined", h, map[string]any{"agents": extent.Agents, "sessions": extent.Sessions}); err != nil {
				return err
			}
		}
		if q.d.Notices == nil {
			continue
		}
		if err := q.d.Notices.Publish(ctx, of, noticeQuarantined, id.Agent{}, data); err != nil {
			return err
		}
	}
	return nil
}

// data is what trail and notices say of a hold.
func (h Hold) data() map[string]any {
	m := map[string]any{"sha256": h.Digest, "reason": h.Reason, "everybody": h.Tenant.IsZero()}
	if !h.Skill.IsZero() {
		m["skill_id"], m["kind"], m["name"] = h.Skill.UUID().String(), string(h.Kind), h.Name
	}
	return m
}

func (q *Quarantines) record(ctx context.Context, sc account.Scope, action string, h Hold, more map[string]any) error {
	m := h.data()
	for k, v := range more {
		m[k] = v
	}
	return (&Market{d: MarketDeps{Audit: q.d.Audit}}).record(ctx, sc, action, id.Agent{}, m)
}

// Release ends the quarantine of a content of a skill, so that agents that have it installed can use it again. Only an administrator may; the
// operator ends everybody's quarantine of a plugin by it. With "" as digest every content of the skill is released. Errors are
// ErrSkillNotFound and ErrNotQuarantined.
func (q *Quarantines) Release(ctx context.Context, sc account.Scope, ref, digest string) error {
	if err := sc.Require(account.Admin); err != nil {
		return err
	}
	if digest != "" && !validDigest(digest) {
		return fault.Invalidf("query.digest", "must be the 64 lower-case hexadecimal digits of a SHA-256")
	}
	return q.d.TX.Do(ctx, func(ctx context.Context) error {
		of, err := q.find(ctx, sc, ref)
		if err != nil {
			return err
		}
		holds, err := q.holdsOf(ctx, sc, of)
		if err != nil {
			return err
		}
		ended := 0
		for _, h := range holds {
			if digest != "" && h.Digest != digest || h.Tenant.IsZero() && !sc.Can(account.Operator) {
				continue
			}
			if err := q.d.Holds.Release(ctx, h.Tenant, h.Digest); err != nil {
				return err
			}
			if err := q.record(ctx, sc, "skill_released", h, nil); err != nil {
				return err
			}
			ended++
		}
		if ended == 0 {
			return ErrNotQuarantined
		}
		return nil
	})
}

// Unblock ends everybody's hold of a digest. Only the operator may; ErrNotQuarantined.
func (q *Quarantines) Unblock(ctx context.Context, sc account.Scope, digest string) error {
	if err := sc.Require(account.Operator); err != nil {
		return err
	}
	if !validDigest(digest) {
		return fault.Invalidf("query.digest", "must be the 64 lower-case hexadecimal digits of a SHA-256")
	}
	return q.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := q.d.Holds.Release(ctx, id.Tenant{}, digest); err != nil {
			return err
		}
		return q.record(ctx, sc, "skill_released", Hold{Digest: digest}, nil)
	})
}

// Blocked lists everybody's holds, the latest first. Only the operator may.
func (q *Quarantines) Blocked(ctx context.Context, sc account.Scope) ([]Hold, error) {
	if err := sc.Require(account.Operator); err != nil {
		return nil, err
	}
	return q.d.Holds.HoldsOf(ctx, sc, id.Skill{})
}

// holdsOf returns the holds that concern a skill: those that were made of it, and those of one of its contents.
func (q *Quarantines) holdsOf(ctx context.Context, sc account.Scope, of found) ([]Hold, error) {
	holds, err := q.d.Holds.HoldsOf(ctx, sc, of.skill)
	if err != nil {
		return nil, err
	}
	more, err := q.d.Holds.Holds(ctx, sc, of.digests)
	if err != nil {
		return nil, err
	}
	seen := map[Hold]bool{}
	for _, h := range holds {
		seen[Hold{Digest: h.Digest, Tenant: h.Tenant}] = true
	}
	for _, h := range more {
		if key := (Hold{Digest: h.Digest, Tenant: h.Tenant}); !seen[key] {
			seen[key] = true
			holds = append(holds, h)
		}
	}
	return holds, nil
}

// Of returns the contents of a skill that are in quarantine, with what each has touched; ErrSkillNotFound.
func (q *Quarantines) Of(ctx context.Context, sc account.Scope, ref string) ([]Blast, error) {
	of, err := q.find(ctx, sc, ref)
	if err != nil {
		return nil, err
	}
	holds, err := q.holdsOf(ctx, sc, of)
	if err != nil {
		return nil, err
	}
	var out []Blast
	seen := map[string]bool{}
	for _, h := range holds {
		if seen[h.Digest] {
			continue
		}
		seen[h.Digest] = true
		b, err := q.Blast(ctx, sc, h.Digest)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// Blast returns what a digest has touched in the tenant.
func (q *Quarantines) Blast(ctx context.Context, sc account.Scope, digest string) (Blast, error) {
	b := Blast{Digest: digest}
	var err error
	if b.Holds, err = q.d.Holds.Holds(ctx, sc, []string{digest}); err != nil {
		return b, err
	}
	b.Extent, err = q.d.Traces.Extent(ctx, sc, digest)
	return b, err
}

// touched returns the digest that lists of what a skill touched are about.
func (q *Quarantines) touched(ctx context.Context, sc account.Scope, ref, digest string) (string, error) {
	of, err := q.find(ctx, sc, ref)
	switch {
	case err != nil:
		return "", err
	case digest != "" && !validDigest(digest):
		return "", fault.Invalidf("query.digest", "must be the 64 lower-case hexadecimal digits of a SHA-256")
	case digest != "":
		return digest, nil
	}
	holds, err := q.holdsOf(ctx, sc, of)
	if err == nil && len(holds) > 0 {
		return holds[0].Digest, nil
	}
	return of.digest, err
}

// Agents lists who has a content of the skill installed; "" is the one that was put into quarantine last, or is offered.
func (q *Quarantines) Agents(ctx context.Context, sc account.Scope, ref, digest string, req page.Request) (page.Page[Installation], error) {
	digest, err := q.touched(ctx, sc, ref, digest)
	if err != nil {
		return page.Page[Installation]{}, err
	}
	return q.d.Traces.Agents(ctx, sc, digest, req)
}

// Uses lists the sessions that used a content of the skill, as Agents.
func (q *Quarantines) Uses(ctx context.Context, sc account.Scope, ref, digest string, req page.Request) (page.Page[Use], error) {
	digest, err := q.touched(ctx, sc, ref, digest)
	if err != nil {
		return page.Page[Use]{}, err
	}
	return q.d.Traces.Uses(ctx, sc, digest, req)
}

// Moves lists the payments and transfers that were made after a content of the skill was used, as Agents. Who was paid what is
// not for everybody who may see skills: account.ErrForbidden without account.WalletsRead.
func (q *Quarantines) Moves(ctx context.Context, sc account.Scope, ref, digest string, req page.Request) (page.Page[Move], error) {
	if err := sc.Require(account.WalletsRead); err != nil {
		return page.Page[Move]{}, err
	}
	digest, err := q.touched(ctx, sc, ref, digest)
	if err != nil {
		return page.Page[Move]{}, err
	}
	return q.d.Traces.Moves(ctx, sc, digest, req)
}
