package gatetest

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite needs of a store.
type Store struct {
	TX        tx.Runner
	Tenants   Tenants
	Agents    Agents
	Policies  policy.Repository
	Archive   policy.Archive
	Counters  policy.Counters
	Approvals policy.Approvals
	Acts      gate.Repository
	Wallets   wallet.Repository
	Holds     wallet.HoldRepository
	Books     wallet.Books
	Swarms    gate.Swarms // nil: none can be frozen
	Doors     gate.Doors  // nil: there are none
}

// Tenants is the part of account.TenantRepository that the suite uses.
type Tenants interface {
	gate.Tenants
	InsertTenant(ctx context.Context, t account.Tenant) error
}

// Agents is both halves of a store of agents.
type Agents interface {
	agent.Repository
	agent.Standings
}

// Lab is a gate over a store, with a tenant, a clock, rules, a trail and an observer of its own.
type Lab struct {
	*gate.Gate

	Store    Store
	Scope    account.Scope
	Clock    *clocktest.Clock
	IDs      id.Generator
	Policies *policy.Service
	Wallets  *wallet.Service
	Trail    *Trail
	Told     *Told
	Observer *Observer
	Rules    *Rules
	Stopper  *Stopper
	Fences   *Fences

	deps gate.Deps
}

// Options change a Lab.
type Options struct {
	Config   gate.Config
	Policies gate.Policies // in place of the store's
	Time     gate.Timekeeper
}

// NewLab returns a Lab with a fresh tenant.
func NewLab(tb testing.TB, st Store, o Options) *Lab {
	tb.Helper()
	l := &Lab{
		Store: st, Clock: clocktest.New(), IDs: id.NewGenerator(time.Now), Trail: &Trail{tx: st.TX},
		Told: &Told{tx: st.TX, once: map[string]bool{}}, Observer: &Observer{tx: st.TX},
		Rules: &Rules{}, Stopper: &Stopper{}, Fences: &Fences{},
	}
	tenant := account.Tenant{
		ID: id.New[id.TenantKind](l.IDs), Name: "lab", Plan: account.PlanUnlimited, Standing: account.Active, CreatedAt: l.now(),
	}
	l.Told.tenant = tenant.ID
	must(tb, st.Tenants.InsertTenant(context.Background(), tenant))
	l.Scope = account.System(tenant.ID)
	quiet := slog.New(slog.DiscardHandler)
	var err error
	l.Policies, err = policy.NewService(policy.Deps{
		TX: st.TX, Clock: l.Clock, IDs: l.IDs, Logger: quiet, Repository: st.Policies, Archive: st.Archive, Trail: l.Trail, Rules: l.Rules,
	})
	must(tb, err)
	l.Wallets, err = wallet.NewService(wallet.Deps{
		TX: st.TX, Clock: l.Clock, IDs: l.IDs, Logger: quiet, Repository: st.Wallets, Holds: st.Holds, Books: st.Books,
		Owners: owners{}, Trail: l.Trail, Notices: l.Told,
	}, wallet.Config{LowBalance: lowBalance})
	must(tb, err)
	st.Approvals = ownApprovals{st.Approvals, tenant.ID}
	doors := st.Doors
	if o.Policies == nil {
		o.Policies = st.Policies
	} else {
		doors = nil // it would read the store's
	}
	l.deps = gate.Deps{
		TX: st.TX, Clock: l.Clock, IDs: l.IDs, Logger: quiet, Acts: st.Acts, Tenants: st.Tenants, Agents: st.Agents,
		Policies: o.Policies, Counters: st.Counters, Approvals: st.Approvals, Trail: l.Trail, Rules: l.Rules, Fences: l.Fences,
		Swarms: st.Swarms, Notices: l.Told, Time: o.Time, Doors: doors,
		Executors: map[rule.Action]gate.Executor{
			rule.ActionPayment: gate.Payments(l.Wallets), rule.ActionTransfer: gate.Transfers(l.Wallets),
		},
	}
	l.Gate, err = gate.New(l.deps, o.Config)
	must(tb, err)
	l.Connect(l.Observer, l.Stopper)
	return l
}

// ownApprovals hides what is due of other tenants. They belong to labs that share the store, have a clock of their own and wait for their own
// observer to hear of an end.
type ownApprovals struct {
	policy.Approvals
	tenant id.Tenant
}

// Due implements policy.Approvals.
func (o ownApprovals) Due(ctx context.Context, _ id.Tenant, now time.Time, limit int) ([]policy.Approval, error) {
	return o.Approvals.Due(ctx, o.tenant, now, limit)
}

// Peer returns a gate like another process has: over the same store, with a clock that is wrong by skew.
func (l *Lab) Peer(tb testing.TB, skew time.Duration) *gate.Gate {
	tb.Helper()
	d := l.deps
	wrong := clocktest.New()
	wrong.Set(l.Clock.Now().Add(skew))
	d.Clock = wrong
	g, err := gate.New(d, gate.Config{})
	must(tb, err)
	g.Connect(l.Observer, l.Stopper)
	return g
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (l *Lab) now() time.Time { return clock.Stored(l.Clock.Now()) }

// Agent makes an agent whose wallet has this many micro-units of USDC.
func (l *Lab) Agent(tb testing.TB, micros int64) id.Agent {
	tb.Helper()
	a := agent.Agent{
		ID: id.New[id.AgentKind](l.IDs), Tenant: l.Scope.Tenant, Version: 1, Standing: agent.Active, CreatedAt: l.now(), UpdatedAt: l.now(),
		Config: agent.Config{Name: "lab agent", Metadata: map[string]string{"team": "lab"}},
	}
	must(tb, l.Store.Agents.Insert(context.Background(), l.Scope, a))
	if micros > 0 {
		_, err := l.Wallets.Deposit(context.Background(), l.Scope, wallet.DepositRequest{Agent: a.ID, Amount: USDC(micros)})
		must(tb, err)
	}
	return a.ID
}

// Policy gives an agent a policy; the zero agent is the whole tenant.
func (l *Lab) Policy(tb testing.TB, a id.Agent, limits policy.Limits, rules ...policy.RuleRef) policy.Policy {
	tb.Helper()
	p, err := l.Policies.Create(context.Background(), l.Scope, policy.CreateRequest{
		Scope: policy.Scope{Tenant: a.IsZero(), Agent: a}, Limits: limits, Rules: rules,
	})
	must(tb, err)
	return p
}

// Balance returns what is available in an agent's wallet.
func (l *Lab) Balance(tb testing.TB, a id.Agent) int64 {
	tb.Helper()
	w, err := l.Wallets.Get(context.Background(), l.Scope, a, "")
	must(tb, err)
	return w.Available()
}

// Counter returns the one counter of a policy's limit in the window of this moment.
func (l *Lab) Counter(tb testing.TB, p policy.Policy, name string, w rule.Window, unit string) policy.Counter {
	tb.Helper()
	start, _ := policy.WindowStart(w, l.Clock.Now())
	cs, err := l.Store.Counters.Read(context.Background(), l.Scope, []policy.Key{{Policy: p.ID, Name: name, Window: w, Start: start, Unit: unit}})
	must(tb, err)
	return cs[0]
}

// Paid returns the sum of an agent's payments and transfers out, from the ledger.
func (l *Lab) Paid(tb testing.TB, a id.Agent) (sum int64, count int) {
	tb.Helper()
	req := page.Request{Limit: 100}
	for {
		p, err := l.Wallets.Transactions(context.Background(), l.Scope, a, "", req)
		must(tb, err)
		for _, t := range p.Items {
			if t.Kind == wallet.Payment || t.Kind == wallet.TransferOut {
				sum += t.Amount.Micros
				count++
			}
		}
		if p.Next == "" {
			return sum, count
		}
		req.Cursor = p.Next
	}
}

// Sound fails the test unless the ledger's invariants hold.
func (l *Lab) Sound(tb testing.TB) {
	tb.Helper()
	if err := l.Wallets.CheckInvariants(context.Background(), l.Scope); err != nil {
		tb.Error(err)
	}
}

// Payment returns an act that pays micro-units of USDC.
func Payment(a id.Agent, key string, micros int64) gate.Act {
	return gate.Act{Key: key, Action: rule.ActionPayment, Agent: a, Amount: ptr(USDC(micros)), Payee: "vendor.example", Category: "software"}
}

// USDC returns micro-units of the default currency.
func USDC(micros int64) money.Amount { return money.Of(micros, money.USDC) }

func ptr[T any](v T) *T { return &v }

// owners lets every agent receive a deposit.
type owners struct{}

func (owners) Exists(context.Context, account.Scope, id.Agent) error        { return nil }
func (owners) RequireActive(context.Context, account.Scope, id.Agent) error { return nil }

// Note is one entry of a Trail.
type Note struct {
	Action   string
	Agent    id.Agent
	Metadata map[string]any
}

// Trail keeps what was noted by transactions that committed. It is safe for concurrent use.
type Trail struct {
	tx    tx.Runner
	mu    sync.Mutex
	notes []Note
}

// Note implements policy.Trail and wallet.Trail.
func (t *Trail) Note(ctx context.Context, _ account.Scope, action string, a id.Agent, m map[string]any) error {
	t.tx.AfterCommit(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.notes = append(t.notes, Note{action, a, m})
	})
	return nil
}

// All returns all notes, oldest first.
func (t *Trail) All() []Note {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.notes)
}

// Of returns the notes of an action, oldest first.
func (t *Trail) Of(action string) []Note {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Note
	for _, n := range t.notes {
		if n.Action == action {
			out = append(out, n)
		}
	}
	return out
}

// Observer keeps the ends that committed. It is safe for concurrent use.
type Observer struct {
	tx   tx.Runner
	mu   sync.Mutex
	recs []gate.Record
	Err  error // what ActEnded returns
}

// ActEnded implements gate.Observer.
func (o *Observer) ActEnded(ctx context.Context, _ account.Scope, rec gate.Record) error {
	if o.Err != nil {
		return o.Err
	}
	o.tx.AfterCommit(ctx, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.recs = append(o.recs, rec)
	})
	return nil
}

// States returns the states of an act's ends, in order.
func (o *Observer) States(act id.Act) []gate.State {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []gate.State
	for _, r := range o.recs {
		if r.ID == act {
			out = append(out, r.State)
		}
	}
	return out
}

// Stopper is a gate.Interrupter that counts. It is safe for concurrent use.
type Stopper struct {
	mu     sync.Mutex
	calls  int
	agents []id.Agent
	Turns  int // what InterruptAgents returns
}

// InterruptAgents implements gate.Interrupter.
func (s *Stopper) InterruptAgents(_ context.Context, _ account.Scope, agents []id.Agent, _ string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.agents = append(s.agents, agents...)
	return s.Turns, nil
}

// Fences lets every fence through but those of lost turns. It is safe for concurrent use.
type Fences struct {
	mu   sync.Mutex
	lost map[id.Turn]bool
}

// Lose makes a turn somebody else's.
func (f *Fences) Lose(t id.Turn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost == nil {
		f.lost = map[id.Turn]bool{}
	}
	f.lost[t] = true
}

// CheckFence implements gate.FenceChecker.
func (f *Fences) CheckFence(_ context.Context, _ account.Scope, fence gate.Fence) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost[fence.Turn] {
		return errFenced
	}
	return nil
}

// Rules is a policy.Rules whose rules are functions. It is safe for concurrent use.
type Rules struct {
	mu  sync.Mutex
	all map[string]Rule
}

// Rule is a rule.Evaluator made of a function.
type Rule struct {
	Inputs []string
	Fn     func(ctx context.Context, in rule.Input) (rule.Verdict, error)
}

// Set adds a rule or replaces it.
func (r *Rules) Set(name string, v Rule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]Rule{}
	}
	r.all[name] = v
}

// Remove takes a rule away.
func (r *Rules) Remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, name)
}

// Rule implements policy.Rules.
func (r *Rules) Rule(_ context.Context, _ account.Scope, name string) (rule.Evaluator, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.all[name]
	if !ok {
		return nil, policy.ErrRuleUnknown
	}
	return evaluator{name, v}, nil
}

type evaluator struct {
	name string
	Rule
}

func (e evaluator) Describe() rule.Description {
	return rule.Description{Name: e.name, Summary: "a rule of the suite", Inputs: e.Inputs}
}

func (evaluator) Validate(context.Context, json.RawMessage) error { return nil }

func (e evaluator) Evaluate(ctx context.Context, in rule.Input) (rule.Verdict, error) {
	return e.Fn(ctx, in)
}
