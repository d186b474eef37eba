package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tx"
)

// The bounds of an act's texts, in bytes.
const (
	maxKeyBytes  = 512
	maxNameBytes = 1024 // payee, category, tool
	maxTextBytes = 16 << 10
)

// Deps is what a Gate needs. Fields are required unless their comment says otherwise.
type Deps struct {
	TX        tx.Runner
	Clock     clock.Clock
	IDs       id.Generator
	Logger    *slog.Logger
	Acts      Repository
	Tenants   Tenants
	Agents    agent.Standings
	Policies  Policies
	Counters  policy.Counters
	Approvals policy.Approvals
	Trail     policy.Trail
	Executors map[rule.Action]Executor // by action; see Payments and Transfers
	Rules     policy.Rules             // nil: no rule is known, so policies that name one deny
	Fences    FenceChecker             // nil: an act with a fence is an error
	Time      Timekeeper               // nil: Clock chooses the windows
	Notices   Notices                  // nil: nobody is told
	Swarms    Swarms                   // nil: there are none
	Doors     Doors                    // nil: Tenants, Agents, Policies and Time are asked one after the other
}

// Policies is the part of policy.Repository that the gate reads.
type Policies interface {
	// Applicable returns every policy that holds for w.
	Applicable(ctx context.Context, sc account.Scope, w policy.Whom) ([]policy.Policy, error)
}

// Config tunes a Gate.
type Config struct {
	DefaultAllow bool          // agents without a policy may pay; false denies with the rule "no_policy"
	RuleTimeout  time.Duration // for one plugin rule over one act; 0 is policy.DefaultRuleTimeout
	PastActs     int           // how many acts a Backtest walks at most; 0 is MaxPastActs
}

// Gate is the one path by which agents act. It is safe for concurrent use. Its methods open their own transactions and must
// not be called inside one, unless they say so.
type Gate struct {
	d        Deps
	c        Config
	judge    policy.Judge
	seen     foresight
	observer Observer
	stopper  Interrupter
}

// New returns a Gate, or an error that names what d lacks.
func New(d Deps, c Config) (*Gate, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil}, {"Acts", d.Acts == nil},
		{"Tenants", d.Tenants == nil}, {"Agents", d.Agents == nil}, {"Policies", d.Policies == nil}, {"Counters", d.Counters == nil},
		{"Approvals", d.Approvals == nil}, {"Trail", d.Trail == nil}, {"Executors", d.Executors == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("gate: Deps.%s is required", f.name)
		}
	}
	if c.RuleTimeout < 0 {
		return nil, errors.New("gate: Config.RuleTimeout must not be negative")
	}
	if c.PastActs < 0 {
		return nil, errors.New("gate: Config.PastActs must not be negative")
	}
	if c.PastActs == 0 {
		c.PastActs = MaxPastActs
	}
	return &Gate{d: d, c: c, judge: policy.Judge{Rules: d.Rules, Timeout: c.RuleTimeout}}, nil
}

// Connect names who learns of the ends of acts and who ends turns; both may be nil. They live above the gate and need it
// themselves, which is why New does not take them. It must be called before the first act, and once.
func (g *Gate) Connect(o Observer, i Interrupter) {
	g.observer, g.stopper = o, i
	if e, ok := o.(Ender); ok {
		e.VoidWith(g.VoidSession)
	}
}

// Lookup returns the record of a key; false when no act has it. A parked act whose time is up is ended first.
func (g *Gate) Lookup(ctx context.Context, sc account.Scope, key string) (Record, bool, error) {
	rec, ok, err := g.d.Acts.ByKey(ctx, sc, key)
	if err != nil || !ok {
		return Record{}, false, err
	}
	rec.Found = true
	if rec.State == Parked {
		rec, err = g.refresh(ctx, sc, rec)
	}
	return rec, err == nil, err
}

// known returns the record of the act's key when there is one, or ErrKeyReused when it is another act's.
func (g *Gate) known(ctx context.Context, sc account.Scope, act Act, hash string) (Record, bool, error) {
	rec, ok, err := g.Lookup(ctx, sc, act.Key)
	if err != nil || !ok {
		return Record{}, false, err
	}
	if rec.ArgsHash != hash {
		return Record{}, false, ErrKeyReused
	}
	return rec, true, nil
}

// checked completes an act and refuses one that nobody could do. The hash covers what makes it the act that it is; what a
// model call consumes at most is an estimate and may differ when it is asked for again.
func (g *Gate) checked(act Act) (Act, string, error) {
	if act.Agent.IsZero() {
		return Act{}, "", fault.Invalidf("agent_id", "is required")
	}
	for _, t := range []struct {
		path, text string
		most       int
	}{
		{"key", act.Key, maxKeyBytes}, {"payee", act.Payee, maxNameBytes}, {"category", act.Category, maxNameBytes},
		{"tool", act.Tool, maxNameBytes}, {"description", act.Description, maxTextBytes}, {"rail", act.Rail, maxNameBytes},
	} {
		if err := checkText(t.path, t.text, t.most); err != nil {
			return Act{}, "", err
		}
	}
	if act.Amount != nil {
		if _, err := money.ParseCurrency(string(act.Amount.Currency)); err != nil {
			return Act{}, "", err
		}
	}
	moves := act.Action == rule.ActionPayment || act.Action == rule.ActionTransfer
	switch {
	case moves && act.Amount == nil:
		return Act{}, "", fault.Invalidf("amount", "is required")
	case act.Rail != "" && act.Action != rule.ActionPayment:
		return Act{}, "", fault.Invalidf("rail", "is for payments only")
	case moves && act.Amount.Micros <= 0:
		return Act{}, "", fault.Invalidf("amount", "must be above zero")
	case act.Amount != nil && act.Amount.Micros < 0 || act.Tokens < 0:
		return Act{}, "", fault.Invalidf("amount", "must not be negative")
	}
	if act.Action == rule.ActionTransfer {
		to, err := id.Parse[id.AgentKind](act.Payee)
		if err != nil {
			return Act{}, "", err
		}
		if to == act.Agent {
			return Act{}, "", fault.Invalidf("to_agent_id", "must be another agent")
		}
		act.Payee = to.String()
	}
	args := struct {
		Action, Agent, Amount, Payee, Category, Description, Tool string
		Arguments                                                 any
		Rail                                                      string `json:",omitempty"` // acts had none at first
	}{
		Action: string(act.Action), Agent: act.Agent.String(), Payee: act.Payee, Category: act.Category,
		Description: act.Description, Tool: act.Tool, Rail: act.Rail,
	}
	if moves {
		args.Amount = act.Amount.String()
	}
	if len(act.Arguments) > 0 {
		// Decoding and encoding again brings objects into one order, so that the same arguments hash alike.
		if err := json.Unmarshal(act.Arguments, &args.Arguments); err != nil {
			return Act{}, "", fault.Invalidf("arguments", "must be JSON")
		}
	}
	b, err := json.Marshal(args)
	if err != nil {
		return Act{}, "", fmt.Errorf("gate: %w", err)
	}
	sum := sha256.Sum256(b)
	return act, hex.EncodeToString(sum[:]), nil
}

// checkText refuses what not every database can keep.
func checkText(path, text string, most int) error {
	switch {
	case len(text) > most:
		return fault.Invalidf(path, "must have at most %d bytes", most)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return fault.Invalidf(path, "must be UTF-8 without NUL")
	}
	return nil
}

// receiver returns to whom a transfer goes; zero for every other act.
func receiver(act Act) id.Agent {
	if act.Action != rule.ActionTransfer {
		return id.Agent{}
	}
	to, err := id.Parse[id.AgentKind](act.Payee)
	if err != nil {
		return id.Agent{} // checked let none such through
	}
	return to
}

// lockTurns takes the locks that come before those on approvals and acts of a session.
func (g *Gate) lockTurns(ctx context.Context, sc account.Scope, session id.Session) error {
	l, ok := g.observer.(Locker)
	if !ok || session.IsZero() {
		return nil
	}
	return l.LockTurns(ctx, sc, session)
}

// record makes the record of an act from its first decision.
func (g *Gate) record(sc account.Scope, act Act, hash string, at time.Time) Record {
	rec := Record{ID: id.New[id.ActKind](g.d.IDs), Tenant: sc.Tenant, Act: act, ArgsHash: hash, CreatedAt: at}
	rec.Act.Fence = nil
	if rec.Act.Key == "" {
		rec.Act.Key = rec.ID.UUID().String()
	}
	return rec
}

// ended tells the observer, inside the deciding transaction.
func (g *Gate) ended(ctx context.Context, sc account.Scope, rec Record) error {
	if g.observer == nil {
		return nil
	}
	return g.observer.ActEnded(ctx, sc, rec)
}

func (g *Gate) fence(ctx context.Context, sc account.Scope, f *Fence) error {
	if f == nil {
		return nil
	}
	if g.d.Fences == nil {
		return errors.New("gate: an act has a fence, and Deps.Fences is nil")
	}
	return g.d.Fences.CheckFence(ctx, sc, *f)
}

func (g *Gate) now(ctx context.Context) (time.Time, error) {
	if g.d.Time != nil {
		t, err := g.d.Time.Now(ctx)
		if err != nil {
			return time.Time{}, err
		}
		return clock.Stored(t), nil
	}
	return clock.Stored(g.d.Clock.Now()), nil
}
