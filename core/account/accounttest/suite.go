// Package accounttest is the conformance suite of the repositories of core/account, and of its service over them. Its doubles of
// ports serve other packages' tests, too.
package accounttest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Repositories is what the suite runs against.
type Repositories interface {
	account.TenantRepository
	account.KeyRepository
	account.IdempotencyRepository
	account.CreditRepository
}

// Config of the suite.
type Config struct {
	// New returns an empty store and its transactions. It is called once per subtest.
	New func(t *testing.T) (Repositories, tx.Runner)
}

// Deps returns what a service over a store needs beside it, with doubles for the ports.
func Deps(repos Repositories, runner tx.Runner, clk clock.Clock) account.Deps {
	return account.Deps{
		TX: runner, Clock: clk, IDs: id.NewGenerator(time.Now), Logger: slog.New(slog.DiscardHandler), Bus: &Bus{}, Keeper: Keeper{},
		Tenants: repos, Keys: repos, Idempotency: repos, Credits: repos, Auditor: &Audit{},
	}
}

type env struct {
	Repositories
	tx    tx.Runner
	ctx   context.Context
	clock *clocktest.Clock
	ids   id.Generator
	bus   *Bus
	audit *Audit
	deps  account.Deps
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"tenants":                  tenants,
		"one operator":             oneOperator,
		"standing is locked":       standingLocked,
		"keys round trip":          keysRoundTrip,
		"duplicate key":            duplicateKey,
		"foreign tenant":           foreignTenant,
		"keys paging":              keysPaging,
		"touch":                    touch,
		"rollback":                 rollback,
		"cancelled":                cancelled,
		"bootstrap":                bootstrap,
		"bootstrap twice at once":  bootstrapTwice,
		"authenticate":             authenticate,
		"revocation reaches all":   revocationReachesAll,
		"permissions":              permissions,
		"last use":                 lastUse,
		"create tenant":            createTenant,
		"overview":                 overview,
		"idempotency":              idempotency,
		"idempotency of secrets":   idempotencySecret,
		"idempotency after crash":  idempotencyCrash,
		"idempotency at once":      idempotencyAtOnce,
		"idempotency isolation":    idempotencyIsolation,
		"idempotency is forgotten": idempotencyForgotten,
		"credits":                  credits,
		"credits without a limit":  creditsUnlimited,
		"credits roll back":        creditsRollBack,
		"credits at once":          creditsAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repos, runner := cfg.New(t)
			e := &env{
				Repositories: repos, tx: runner, ctx: t.Context(), clock: clocktest.New(), ids: id.NewGenerator(time.Now),
				bus: &Bus{}, audit: &Audit{},
			}
			e.deps = Deps(repos, runner, e.clock)
			e.deps.Bus, e.deps.Auditor = e.bus, e.audit
			fn(t, e)
		})
	}
}

func (e *env) service(t *testing.T) *account.Service {
	t.Helper()
	s, err := account.NewService(e.deps, account.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (e *env) newTenant(t *testing.T) account.Tenant {
	t.Helper()
	tn := account.Tenant{
		ID: id.New[id.TenantKind](e.ids), Name: "acme", Plan: account.PlanPro, Standing: account.Active, CreatedAt: clock.Stored(e.clock.Now()),
	}
	must(t, e.InsertTenant(e.ctx, tn))
	return tn
}

func (e *env) newKey(tenant id.Tenant, secret string) account.StoredKey {
	return account.StoredKey{Hash: account.HashSecret(secret), Key: account.Key{
		ID: id.New[id.APIKeyKind](e.ids), Tenant: tenant, Name: "k", Prefix: "abcdefgh",
		Permissions: []account.Permission{account.AgentsRead, account.Chat}, CreatedAt: clock.Stored(e.clock.Now()),
	}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("error: got %v, want %v", got, want)
	}
}

func wantKind(t *testing.T, got error, want fault.Kind) {
	t.Helper()
	if got == nil || fault.KindOf(got) != want {
		t.Fatalf("error: got %v, want kind %v", got, want)
	}
}

func diff(t *testing.T, want, got any, opts ...cmp.Option) {
	t.Helper()
	opts = append(opts, cmpopts.EquateEmpty(), cmpopts.EquateComparable(id.APIKey{}, id.Tenant{}))
	if d := cmp.Diff(want, got, opts...); d != "" {
		t.Fatalf("(-want +got)\n%s", d)
	}
}

func tenants(t *testing.T, e *env) {
	a := e.newTenant(t)
	b := e.newTenant(t)
	got, err := e.Tenant(e.ctx, account.System(a.ID))
	must(t, err)
	diff(t, a, got)
	must(t, e.SetPlan(e.ctx, account.System(a.ID), account.PlanTeam))
	a.Plan = account.PlanTeam
	all, err := e.Tenants(e.ctx)
	must(t, err)
	diff(t, []account.Tenant{a, b}, all)
	_, err = e.Tenant(e.ctx, account.System(id.New[id.TenantKind](e.ids)))
	wantKind(t, err, fault.NotFound)
	wantErr(t, e.InsertTenant(e.ctx, a), account.ErrDuplicate)
}

func oneOperator(t *testing.T, e *env) {
	_, ok, err := e.OperatorTenant(e.ctx)
	must(t, err)
	if ok {
		t.Fatal("an empty store has an operator")
	}
	op := account.Tenant{
		ID: id.New[id.TenantKind](e.ids), Name: "default", Plan: account.PlanUnlimited, Standing: account.Active, Operator: true,
		CreatedAt: clock.Stored(e.clock.Now()),
	}
	must(t, e.InsertTenant(e.ctx, op))
	second := op
	second.ID = id.New[id.TenantKind](e.ids)
	// The transaction goes on after the conflict.
	must(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		wantErr(t, e.InsertTenant(ctx, second), account.ErrDuplicate)
		got, ok, err := e.OperatorTenant(ctx)
		if err != nil || !ok {
			t.Errorf("operator: %v %v", ok, err)
		}
		diff(t, op, got)
		return nil
	}))
}

func standingLocked(t *testing.T, e *env) {
	tn := e.newTenant(t)
	sc := account.System(tn.ID)
	frozen := make(chan error, 1)
	must(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		s, err := e.LockStanding(ctx, sc)
		if err != nil || s != account.Active {
			t.Errorf("standing: %v %v", s, err)
		}
		go func() {
			_, err := e.SetStanding(e.ctx, sc, account.Frozen)
			frozen <- err
		}()
		select {
		case err := <-frozen:
			t.Errorf("the standing changed under a lock: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		return nil
	}))
	must(t, <-frozen)
	got, err := e.LockStanding(e.ctx, sc)
	must(t, err)
	diff(t, account.Frozen, got)
	changed, err := e.SetStanding(e.ctx, sc, account.Frozen)
	must(t, err)
	diff(t, false, changed)
	_, err = e.SetStanding(e.ctx, account.System(id.New[id.TenantKind](e.ids)), account.Frozen)
	wantKind(t, err, fault.NotFound)
}

func keysRoundTrip(t *testing.T, e *env) {
	tn := e.newTenant(t)
	sc := account.System(tn.ID)
	k := e.newKey(tn.ID, "s1")
	until := e.clock.Now().Add(time.Hour)
	k.ExpiresAt, k.CreatedBy, k.Bootstrap = &until, id.New[id.APIKeyKind](e.ids), true
	must(t, e.InsertKey(e.ctx, sc, k))
	h, ok, err := e.KeyByHash(e.ctx, k.Hash)
	must(t, err)
	diff(t, true, ok)
	diff(t, account.Holder{Key: k, Tenant: tn}, h)
	_, ok, err = e.KeyByHash(e.ctx, account.HashSecret("other"))
	must(t, err)
	diff(t, false, ok)

	gone, err := e.RevokeKey(e.ctx, sc, k.ID, e.clock.Now())
	must(t, err)
	at := e.clock.Now()
	k.RevokedAt = &at
	diff(t, k, gone)
	_, err = e.RevokeKey(e.ctx, sc, k.ID, e.clock.Now())
	wantKind(t, err, fault.NotFound)
	p, err := e.Keys(e.ctx, sc, page.Request{}, e.clock.Now())
	must(t, err)
	diff(t, page.Page[account.Key]{}, p)

	must(t, e.RestoreBootstrap(e.ctx, sc, k.Hash))
	h, _, err = e.KeyByHash(e.ctx, k.Hash)
	must(t, err)
	k.RevokedAt, k.ExpiresAt, k.Permissions = nil, nil, []account.Permission{account.Admin}
	diff(t, k, h.Key)
	dropped, err := e.RevokeBootstrap(e.ctx, sc, k.Hash, e.clock.Now())
	must(t, err)
	diff(t, 0, len(dropped))
	dropped, err = e.RevokeBootstrap(e.ctx, sc, account.HashSecret("s2"), e.clock.Now())
	must(t, err)
	diff(t, 1, len(dropped))
}

func duplicateKey(t *testing.T, e *env) {
	a, b := e.newTenant(t), e.newTenant(t)
	k := e.newKey(a.ID, "s")
	must(t, e.InsertKey(e.ctx, account.System(a.ID), k))
	k.ID = id.New[id.APIKeyKind](e.ids)
	wantErr(t, e.InsertKey(e.ctx, account.System(a.ID), k), account.ErrDuplicate)
	k.Tenant = b.ID
	wantErr(t, e.InsertKey(e.ctx, account.System(b.ID), k), account.ErrDuplicate)
}

func foreignTenant(t *testing.T, e *env) {
	a, b := e.newTenant(t), e.newTenant(t)
	k := e.newKey(a.ID, "s")
	must(t, e.InsertKey(e.ctx, account.System(a.ID), k))
	_, err := e.RevokeKey(e.ctx, account.System(b.ID), k.ID, e.clock.Now())
	wantKind(t, err, fault.NotFound)
	p, err := e.Keys(e.ctx, account.System(b.ID), page.Request{}, e.clock.Now())
	must(t, err)
	diff(t, 0, len(p.Items))
	must(t, e.RestoreBootstrap(e.ctx, account.System(b.ID), k.Hash))
	h, _, err := e.KeyByHash(e.ctx, k.Hash)
	must(t, err)
	diff(t, k, h.Key)
}

func keysPaging(t *testing.T, e *env) {
	tn := e.newTenant(t)
	sc := account.System(tn.ID)
	var want []id.APIKey
	for i := range 7 {
		k := e.newKey(tn.ID, string(rune('a'+i)))
		must(t, e.InsertKey(e.ctx, sc, k))
		want = append([]id.APIKey{k.ID}, want...)
	}
	key := func(k account.Key) id.APIKey { return k.ID }
	diff(t, want, pagetest.Walk(t, 3, key, func(req page.Request) (page.Page[account.Key], error) {
		return e.Keys(e.ctx, sc, req, e.clock.Now())
	}))
	_, err := e.Keys(e.ctx, sc, page.Request{Cursor: "nonsense"}, e.clock.Now())
	wantKind(t, err, fault.Invalid)
}

func touch(t *testing.T, e *env) {
	tn := e.newTenant(t)
	k := e.newKey(tn.ID, "s")
	must(t, e.InsertKey(e.ctx, account.System(tn.ID), k))
	now := e.clock.Now()
	for _, when := range []time.Time{now, now.Add(time.Minute), now.Add(-time.Minute)} {
		must(t, e.TouchKeys(e.ctx, map[id.APIKey]time.Time{k.ID: when, id.New[id.APIKeyKind](e.ids): when}))
	}
	h, _, err := e.KeyByHash(e.ctx, k.Hash)
	must(t, err)
	want := now.Add(time.Minute)
	diff(t, &want, h.Key.LastUsedAt)
}

func rollback(t *testing.T, e *env) {
	tn := e.newTenant(t)
	k := e.newKey(tn.ID, "s")
	boom := errors.New("boom")
	wantErr(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		must(t, e.InsertKey(ctx, account.System(tn.ID), k))
		return boom
	}), boom)
	_, ok, err := e.KeyByHash(e.ctx, k.Hash)
	must(t, err)
	diff(t, false, ok)
}

func cancelled(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, _, err := e.KeyByHash(ctx, account.HashSecret("s"))
	wantErr(t, err, context.Canceled)
}

func bootstrap(t *testing.T, e *env) {
	s := e.service(t)
	first, err := s.Bootstrap(e.ctx, "", account.PlanFree)
	must(t, err)
	if !first.Created || first.Secret == "" || !first.Tenant.Operator || first.Tenant.Plan != account.PlanFree {
		t.Fatalf("first start: %+v", first)
	}
	sc, err := s.Authenticate(e.ctx, first.Secret)
	must(t, err)
	if !sc.Can(account.Operator) || !sc.Can(account.Admin) {
		t.Fatalf("scope %+v", sc)
	}
	again, err := s.Bootstrap(e.ctx, "", account.PlanUnlimited)
	must(t, err)
	first.Tenant.Plan = account.PlanUnlimited
	diff(t, account.Bootstrapped{Tenant: first.Tenant}, again)
	_, err = s.Authenticate(e.ctx, first.Secret)
	must(t, err)

	_, err = s.Bootstrap(e.ctx, "operator-key-1", account.PlanUnlimited)
	must(t, err)
	_, err = s.Authenticate(e.ctx, first.Secret)
	wantErr(t, err, account.ErrUnauthenticated)
	one, err := s.Authenticate(e.ctx, "operator-key-1")
	must(t, err)

	// The operator's key was revoked over the API; giving it again makes it work again.
	must(t, s.RevokeKey(e.ctx, one, one.Key))
	_, err = s.Authenticate(e.ctx, "operator-key-1")
	wantErr(t, err, account.ErrUnauthenticated)
	_, err = s.Bootstrap(e.ctx, "operator-key-1", account.PlanUnlimited)
	must(t, err)
	_, err = s.Authenticate(e.ctx, "operator-key-1")
	must(t, err)
	_, err = s.Bootstrap(e.ctx, "operator-key-2", account.PlanUnlimited)
	must(t, err)
	_, err = s.Authenticate(e.ctx, "operator-key-1")
	wantErr(t, err, account.ErrUnauthenticated)
	_, err = s.Authenticate(e.ctx, "operator-key-2")
	must(t, err)
	diff(t, []string{
		"api_key_created", "api_key_created", "api_key_revoked", "api_key_revoked", "api_key_created", "api_key_revoked",
	}, e.audit.Actions())
}

func bootstrapTwice(t *testing.T, e *env) {
	var wg sync.WaitGroup
	for range 4 {
		s := e.service(t)
		wg.Go(func() {
			if _, err := s.Bootstrap(e.ctx, "operator-key", account.PlanUnlimited); err != nil {
				t.Errorf("bootstrap: %v", err)
			}
		})
	}
	wg.Wait()
	all, err := e.Tenants(e.ctx)
	must(t, err)
	diff(t, 1, len(all))
	_, err = e.service(t).Authenticate(e.ctx, "operator-key")
	must(t, err)
}

func admin(t *testing.T, e *env, s *account.Service) account.Scope {
	t.Helper()
	b, err := s.Bootstrap(e.ctx, "admin-secret", account.PlanUnlimited)
	must(t, err)
	sc, err := s.Authenticate(e.ctx, "admin-secret")
	must(t, err)
	diff(t, b.Tenant.ID, sc.Tenant)
	return sc
}

func authenticate(t *testing.T, e *env) {
	s := e.service(t)
	sc := admin(t, e, s)
	for _, secret := range []string{"", "bur_", "unknown"} {
		_, err := s.Authenticate(e.ctx, secret)
		wantErr(t, err, account.ErrUnauthenticated)
	}
	until := e.clock.Now().Add(500 * time.Millisecond)
	key, secret, err := s.CreateKey(e.ctx, sc, account.CreateKeyRequest{
		Name: "short", Permissions: []account.Permission{account.Chat, account.Chat}, ExpiresAt: &until,
	})
	must(t, err)
	if len(secret) != len("bur_")+64 || secret[:8] != key.Prefix {
		t.Fatalf("secret of %d characters, prefix %q", len(secret), key.Prefix)
	}
	got, err := s.Authenticate(e.ctx, secret)
	must(t, err)
	diff(t, account.Scope{
		Tenant: sc.Tenant, Key: key.ID, Plan: account.PlanUnlimited, Permissions: []account.Permission{account.Chat}, Operator: true,
	}, got)
	if got.Can(account.Operator) || got.Can(account.AgentsRead) {
		t.Fatal("a key may more than it was given")
	}
	// It ends in time although what is known of it is cached for longer.
	e.clock.Advance(500 * time.Millisecond)
	_, err = s.Authenticate(e.ctx, secret)
	wantErr(t, err, account.ErrUnauthenticated)
}

func revocationReachesAll(t *testing.T, e *env) {
	here, there, deaf := e.service(t), e.service(t), e.service(t)
	ctx, stop := context.WithCancel(e.ctx)
	done := make(chan error, 1)
	go func() { done <- there.Run(ctx) }()
	for e.bus.Subscribers() == 0 {
		time.Sleep(time.Millisecond)
	}
	sc := admin(t, e, here)
	key, secret, err := here.CreateKey(e.ctx, sc, account.CreateKeyRequest{})
	must(t, err)
	for _, s := range []*account.Service{here, there, deaf} {
		_, err := s.Authenticate(e.ctx, secret)
		must(t, err)
	}
	must(t, here.RevokeKey(e.ctx, sc, key.ID))
	for _, s := range []*account.Service{here, there} {
		_, err := s.Authenticate(e.ctx, secret)
		wantErr(t, err, account.ErrUnauthenticated)
	}
	_, err = deaf.Authenticate(e.ctx, secret)
	must(t, err)
	e.clock.Advance(account.CacheTTL)
	_, err = deaf.Authenticate(e.ctx, secret)
	wantErr(t, err, account.ErrUnauthenticated)
	wantKind(t, here.RevokeKey(e.ctx, sc, key.ID), fault.NotFound)
	stop()
	must(t, <-done)
}

func permissions(t *testing.T, e *env) {
	s := e.service(t)
	sc := admin(t, e, s)
	_, secret, err := s.CreateKey(e.ctx, sc, account.CreateKeyRequest{Permissions: []account.Permission{account.AgentsWrite}})
	must(t, err)
	weak, err := s.Authenticate(e.ctx, secret)
	must(t, err)
	_, _, err = s.CreateKey(e.ctx, weak, account.CreateKeyRequest{})
	wantErr(t, err, account.ErrForbidden)
	_, err = s.ListKeys(e.ctx, weak, page.Request{})
	wantErr(t, err, account.ErrForbidden)
	wantErr(t, s.RevokeKey(e.ctx, weak, sc.Key), account.ErrForbidden)
	_, _, _, err = s.CreateTenant(e.ctx, weak, "x", account.PlanFree)
	wantErr(t, err, account.ErrForbidden)

	for name, req := range map[string]account.CreateKeyRequest{
		"unknown scope":   {Permissions: []account.Permission{account.Chat, "fly"}},
		"operator":        {Permissions: []account.Permission{account.Operator}},
		"blank name":      {Name: " "},
		"long name":       {Name: string(bytes.Repeat([]byte("x"), 101))},
		"expired at once": {ExpiresAt: ptr(e.clock.Now())},
	} {
		if _, _, err := s.CreateKey(e.ctx, sc, req); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, secret, err = s.CreateKey(e.ctx, sc, account.CreateKeyRequest{})
	must(t, err)
	heir, err := s.Authenticate(e.ctx, secret)
	must(t, err)
	diff(t, sc.Permissions, heir.Permissions)
}

func ptr[T any](v T) *T { return &v }

func lastUse(t *testing.T, e *env) {
	s := e.service(t)
	sc := admin(t, e, s)
	e.clock.Advance(2 * account.CacheTTL)
	_, err := s.Authenticate(e.ctx, "admin-secret")
	must(t, err)
	s.Flush(e.ctx)
	p, err := s.ListKeys(e.ctx, sc, page.Request{})
	must(t, err)
	diff(t, 1, len(p.Items))
	diff(t, ptr(e.clock.Now()), p.Items[0].LastUsedAt)
}

func createTenant(t *testing.T, e *env) {
	s := e.service(t)
	sc := admin(t, e, s)
	tn, key, secret, err := s.CreateTenant(e.ctx, sc, "Acme", "builder")
	must(t, err)
	diff(t, account.PlanPro, tn.Plan)
	other, err := s.Authenticate(e.ctx, secret)
	must(t, err)
	diff(t, account.Scope{
		Tenant: tn.ID, Key: key.ID, Plan: account.PlanPro, Permissions: []account.Permission{account.Admin},
	}, other)
	// An admin of a tenant is not the operator.
	_, _, _, err = s.CreateTenant(e.ctx, other, "Next", account.PlanUnlimited)
	wantErr(t, err, account.ErrForbidden)
	_, err = s.GetTenant(e.ctx, other, sc.Tenant)
	wantKind(t, err, fault.NotFound)
	got, err := s.GetTenant(e.ctx, sc, tn.ID)
	must(t, err)
	diff(t, tn, got)
	got, err = s.GetTenant(e.ctx, other, tn.ID)
	must(t, err)
	diff(t, tn, got)
	for _, bad := range []struct{ name, plan string }{{"", "free"}, {"x", "gold"}} {
		_, _, _, err := s.CreateTenant(e.ctx, sc, bad.name, account.Plan(bad.plan))
		wantKind(t, err, fault.Invalid)
	}
}

type agents int

func (a agents) CountAgents(context.Context, account.Scope) (int, error) { return int(a), nil }

func overview(t *testing.T, e *env) {
	e.deps.Agents = agents(2)
	s := e.service(t)
	sc := admin(t, e, s)
	got, err := s.Overview(e.ctx, sc)
	must(t, err)
	left, err := s.Credits(e.ctx, sc)
	must(t, err)
	diff(t, account.Overview{Tenant: got.Tenant, Limits: account.PlanUnlimited.Limits(), Agents: 2, Credits: left}, got)
	diff(t, sc.Tenant, got.Tenant.ID)
}

func request(body string) account.IdempotentRequest {
	return account.IdempotentRequest{Route: "POST /v1/things", Key: "key-1", Parts: [][]byte{nil, []byte(body)}}
}

func begin(t *testing.T, e *env, s *account.Service, sc account.Scope, req account.IdempotentRequest) *account.Ticket {
	t.Helper()
	ticket, answer, err := s.BeginIdempotent(e.ctx, sc, req)
	must(t, err)
	if ticket == nil || answer != nil {
		t.Fatalf("ticket %v, answer %v", ticket, answer)
	}
	return ticket
}

func idempotency(t *testing.T, e *env) {
	s := e.service(t)
	sc := account.System(e.newTenant(t).ID)
	ticket := begin(t, e, s, sc, request("a"))
	_, _, err := s.BeginIdempotent(e.ctx, sc, request("a"))
	wantErr(t, err, account.ErrIdempotencyInFlight)
	if f, _ := fault.As(err); f.RetryAfter <= 0 {
		t.Fatal("no time to try again")
	}
	_, _, err = s.BeginIdempotent(e.ctx, sc, request("b"))
	wantErr(t, err, account.ErrIdempotencyReused)

	want := account.Answer{Status: 201, ContentType: "application/json", Body: []byte(`{"x":1}`)}
	must(t, s.EndIdempotent(e.ctx, sc, ticket, want, false))
	e.clock.Advance(account.IdempotencyKept - time.Second)
	_, got, err := s.BeginIdempotent(e.ctx, sc, request("a"))
	must(t, err)
	diff(t, &want, got)
	_, _, err = s.BeginIdempotent(e.ctx, sc, request("b"))
	wantErr(t, err, account.ErrIdempotencyReused)
	e.clock.Advance(time.Second)
	begin(t, e, s, sc, request("b"))
}

func idempotencySecret(t *testing.T, e *env) {
	s := e.service(t)
	sc := account.System(e.newTenant(t).ID)
	want := account.Answer{Status: 201, ContentType: "application/json", Body: []byte("top secret")}
	must(t, s.EndIdempotent(e.ctx, sc, begin(t, e, s, sc, request("a")), want, true))

	stored := storedRecord(t, e, sc)
	if !stored.Sealed || bytes.Contains(stored.Answer.Body, want.Body) {
		t.Fatal("the secret is stored in the clear")
	}
	_, got, err := s.BeginIdempotent(e.ctx, sc, request("a"))
	must(t, err)
	diff(t, &want, got)

	e.clock.Advance(account.IdempotencySecretKept)
	_, _, err = s.BeginIdempotent(e.ctx, sc, request("a"))
	wantErr(t, err, account.ErrIdempotencyGone)
	n, err := s.ExpireIdempotency(e.ctx)
	must(t, err)
	diff(t, 0, n)
	_, _, err = s.BeginIdempotent(e.ctx, sc, request("a"))
	wantErr(t, err, account.ErrIdempotencyGone)
}

// storedRecord returns the record of request("a") as the store has it.
func storedRecord(t *testing.T, e *env, sc account.Scope) account.IdempotencyRecord {
	t.Helper()
	spy := &reserveSpy{Repositories: e.Repositories}
	deps := e.deps
	deps.Idempotency = spy
	s, err := account.NewService(deps, account.Config{})
	must(t, err)
	_, _, err = s.BeginIdempotent(e.ctx, sc, request("a"))
	must(t, err)
	return spy.stored
}

// reserveSpy remembers what the store has.
type reserveSpy struct {
	Repositories
	stored account.IdempotencyRecord
}

// ReserveIdempotency implements account.IdempotencyRepository.
func (r *reserveSpy) ReserveIdempotency(
	ctx context.Context, sc account.Scope, rec account.IdempotencyRecord,
) (account.IdempotencyRecord, bool, error) {
	stored, reserved, err := r.Repositories.ReserveIdempotency(ctx, sc, rec)
	r.stored = stored
	return stored, reserved, err
}

func idempotencyCrash(t *testing.T, e *env) {
	s := e.service(t)
	sc := account.System(e.newTenant(t).ID)
	lost := begin(t, e, s, sc, request("a"))
	e.clock.Advance(account.IdempotencyTakeover - time.Second)
	_, _, err := s.BeginIdempotent(e.ctx, sc, request("a"))
	wantErr(t, err, account.ErrIdempotencyInFlight)
	e.clock.Advance(time.Second)
	heir := begin(t, e, s, sc, request("a"))
	// The first one was only slow. Whatever it does now changes nothing.
	must(t, s.EndIdempotent(e.ctx, sc, lost, account.Answer{Status: 500}, false))
	must(t, s.AbandonIdempotent(e.ctx, sc, lost))
	want := account.Answer{Status: 200, Body: []byte("heir")}
	must(t, s.EndIdempotent(e.ctx, sc, heir, want, false))
	_, got, err := s.BeginIdempotent(e.ctx, sc, request("a"))
	must(t, err)
	diff(t, &want, got)

	req := request("a")
	req.Key = "key-2"
	must(t, s.AbandonIdempotent(e.ctx, sc, begin(t, e, s, sc, req)))
	begin(t, e, s, sc, req)
}

func idempotencyAtOnce(t *testing.T, e *env) {
	s := e.service(t)
	sc := account.System(e.newTenant(t).ID)
	var mu sync.Mutex
	tickets, waits := 0, 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ticket, _, err := s.BeginIdempotent(e.ctx, sc, request("a"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case ticket != nil:
				tickets++
			case errors.Is(err, account.ErrIdempotencyInFlight):
				waits++
			default:
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	diff(t, [2]int{1, 7}, [2]int{tickets, waits})
}

func idempotencyIsolation(t *testing.T, e *env) {
	s := e.service(t)
	a, b := account.System(e.newTenant(t).ID), account.System(e.newTenant(t).ID)
	begin(t, e, s, a, request("a"))
	begin(t, e, s, b, request("a"))
	a.Key = id.New[id.APIKeyKind](e.ids)
	begin(t, e, s, a, request("a"))
	req := request("a")
	req.Route = "POST /v1/others"
	begin(t, e, s, a, req)
}

func idempotencyForgotten(t *testing.T, e *env) {
	s := e.service(t)
	sc := account.System(e.newTenant(t).ID)
	must(t, s.EndIdempotent(e.ctx, sc, begin(t, e, s, sc, request("a")), account.Answer{Status: 204}, false))
	n, err := s.ExpireIdempotency(e.ctx)
	must(t, err)
	diff(t, 0, n)
	e.clock.Advance(account.IdempotencyKept)
	n, err = s.ExpireIdempotency(e.ctx)
	must(t, err)
	diff(t, 1, n)
	begin(t, e, s, sc, request("a"))
}
