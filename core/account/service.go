package account

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Auditor records what happened to keys and tenants. Record joins the transaction in ctx. app wires core/audit, which is above
// this package.
type Auditor interface {
	Record(ctx context.Context, sc Scope, action string, metadata map[string]any) error
}

// AgentCounter counts the agents of sc's tenant that use a slot of its plan: those that are not archived.
type AgentCounter interface {
	CountAgents(ctx context.Context, sc Scope) (int, error)
}

// Deps are what the service needs; all of them are required but Agents and Links.
type Deps struct {
	TX          tx.Runner
	Clock       clock.Clock
	IDs         id.Generator
	Logger      *slog.Logger
	Bus         bus.Bus
	Keeper      keeper.Keeper
	Tenants     TenantRepository
	Keys        KeyRepository
	Idempotency IdempotencyRepository
	Credits     CreditRepository
	Auditor     Auditor
	Agents      AgentCounter   // nil counts none
	Links       LinkRepository // nil: nobody is linked to agents
}

// Config is how the service is tuned.
type Config struct {
	// FlushEvery is how often Run stores when keys were last used; 0 means a minute.
	FlushEvery time.Duration
}

// Service is safe for concurrent use.
type Service struct {
	deps  Deps
	cfg   Config
	cache *cache
	used  *useLog
}

// NewService returns a service over deps. Run must be running for revocations in other processes to be noticed before the cache
// forgets, and for the last use of keys to be stored.
func NewService(deps Deps, cfg Config) (*Service, error) {
	for _, d := range []struct {
		name    string
		missing bool
	}{
		{"TX", deps.TX == nil},
		{"Clock", deps.Clock == nil},
		{"IDs", deps.IDs == nil},
		{"Logger", deps.Logger == nil},
		{"Bus", deps.Bus == nil},
		{"Keeper", deps.Keeper == nil},
		{"Tenants", deps.Tenants == nil},
		{"Keys", deps.Keys == nil},
		{"Idempotency", deps.Idempotency == nil},
		{"Credits", deps.Credits == nil},
		{"Auditor", deps.Auditor == nil},
	} {
		if d.missing {
			return nil, errors.New("account: Deps." + d.name + " is required")
		}
	}
	if cfg.FlushEvery < 0 {
		return nil, errors.New("account: Config.FlushEvery must not be negative")
	}
	if cfg.FlushEvery == 0 {
		cfg.FlushEvery = time.Minute
	}
	return &Service{deps: deps, cfg: cfg, cache: newCache(), used: newUseLog()}, nil
}

// Bootstrapped is the outcome of Bootstrap.
type Bootstrapped struct {
	Tenant  Tenant
	Created bool   // the tenant was made by this call: the server starts for the first time
	Secret  string // the key that was made because none was given; "" otherwise. It cannot be read again
}

// defaultTenant is the name of the operator's tenant.
const defaultTenant = "default"

// Bootstrap makes sure that the operator can get in: it creates the operator's tenant once, gives it plan, and makes secret an
// admin key of it, whatever happened to that key before; bootstrap keys given earlier stop working. Without a secret the
// bootstrap key that exists stays, and when none exists one is made and returned. It may be called at every start, by several
// processes at once.
func (s *Service) Bootstrap(ctx context.Context, secret string, plan Plan) (Bootstrapped, error) {
	var out Bootstrapped
	var dropped []StoredKey
	run := func() error {
		return s.deps.TX.Do(ctx, func(ctx context.Context) error {
			out, dropped = Bootstrapped{}, nil
			now := clock.Stored(s.deps.Clock.Now())
			t, ok, err := s.deps.Tenants.OperatorTenant(ctx)
			if err != nil {
				return err
			}
			if !ok {
				t = Tenant{
					ID: id.New[id.TenantKind](s.deps.IDs), Name: defaultTenant, Plan: plan, Standing: Active, Operator: true,
					CreatedAt: now,
				}
				if err := s.deps.Tenants.InsertTenant(ctx, t); err != nil {
					return err
				}
				out.Created = true
			}
			sc := System(t.ID)
			if t.Plan != plan {
				if err := s.deps.Tenants.SetPlan(ctx, sc, plan); err != nil {
					return err
				}
				t.Plan = plan
			}
			out.Tenant = t
			switch {
			case secret != "":
				dropped, err = s.installBootstrap(ctx, sc, secret, now)
				return err
			case out.Created:
				out.Secret = NewSecret()
				_, err = s.insertKey(ctx, sc, newKey{name: "bootstrap", secret: out.Secret, perms: []Permission{Admin}, bootstrap: true}, now)
				return err
			}
			return nil
		})
	}
	err := run()
	if errors.Is(err, ErrDuplicate) {
		err = run() // another process of this server got there first; what it wrote is there now
	}
	if err != nil {
		return Bootstrapped{}, err
	}
	s.drop(ctx, dropped...)
	return out, nil
}

func (s *Service) installBootstrap(ctx context.Context, sc Scope, secret string, now time.Time) ([]StoredKey, error) {
	hash := HashSecret(secret)
	h, ok, err := s.deps.Keys.KeyByHash(ctx, hash)
	switch {
	case err != nil:
		return nil, err
	case ok && h.Tenant.ID != sc.Tenant:
		return nil, fault.New(fault.Conflict, "bootstrap_key_taken", "the bootstrap API key belongs to another tenant")
	case ok:
		err = s.deps.Keys.RestoreBootstrap(ctx, sc, hash)
	default:
		_, err = s.insertKey(ctx, sc, newKey{name: "bootstrap", secret: secret, perms: []Permission{Admin}, bootstrap: true}, now)
	}
	if err != nil {
		return nil, err
	}
	dropped, err := s.deps.Keys.RevokeBootstrap(ctx, sc, hash, now)
	if err != nil {
		return nil, err
	}
	for _, k := range dropped {
		if err := s.unlink(ctx, sc, k.Key.ID); err != nil {
			return nil, err
		}
		if err := s.audit(ctx, sc, "api_key_revoked", k.Key); err != nil {
			return nil, err
		}
	}
	return dropped, nil
}

// CreateTenant makes a tenant with one key that has Admin in it, and returns the key's secret, which cannot be read again. Only the
// operator's admin keys may: other tenants would choose their own plan.
func (s *Service) CreateTenant(ctx context.Context, sc Scope, name string, plan Plan) (Tenant, Key, string, error) {
	if err := sc.Require(Operator); err != nil {
		return Tenant{}, Key{}, "", err
	}
	if err := checkName("name", name); err != nil {
		return Tenant{}, Key{}, "", err
	}
	plan, err := ParsePlan(string(plan))
	if err != nil {
		return Tenant{}, Key{}, "", err
	}
	now := clock.Stored(s.deps.Clock.Now())
	t := Tenant{ID: id.New[id.TenantKind](s.deps.IDs), Name: name, Plan: plan, Standing: Active, CreatedAt: now}
	secret := NewSecret()
	var key Key
	err = s.deps.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.deps.Tenants.InsertTenant(ctx, t); err != nil {
			return err
		}
		var err error
		key, err = s.insertKey(ctx, System(t.ID), newKey{name: "admin", secret: secret, perms: []Permission{Admin}}, now)
		return err
	})
	if err != nil {
		return Tenant{}, Key{}, "", err
	}
	return t, key, secret, nil
}

// GetTenant returns a tenant: the caller's own, or any for the operator. Others are id.NotFound.
func (s *Service) GetTenant(ctx context.Context, sc Scope, tenant id.Tenant) (Tenant, error) {
	sub, err := s.Enter(sc, tenant)
	if err != nil {
		return Tenant{}, err
	}
	return s.deps.Tenants.Tenant(ctx, sub)
}

// Enter returns the scope in which sc may act on tenant as a whole, for example to freeze it: sc itself for its own tenant, and for
// the operator one with the same key in the other tenant, which need not exist. Anybody else gets id.NotFound.
func (s *Service) Enter(sc Scope, tenant id.Tenant) (Scope, error) {
	switch {
	case tenant == sc.Tenant:
		return sc, nil
	case sc.Can(Operator):
		sc.Tenant = tenant
		sc.Operator = false
		return sc, nil
	}
	return Scope{}, id.NotFound[id.TenantKind](tenant.String())
}

// Tenants returns every tenant of the server, oldest first, for background work that goes through them all.
func (s *Service) Tenants(ctx context.Context) ([]Tenant, error) { return s.deps.Tenants.Tenants(ctx) }

// Limits returns what the plan of sc allows.
func (s *Service) Limits(sc Scope) Limits { return sc.Plan.Limits() }

// Overview is a tenant with its limits and what it uses of them.
type Overview struct {
	Tenant Tenant
	Limits Limits
	Agents int // agents that are not archived

	Credits Credits
}

// Overview returns the caller's own tenant.
func (s *Service) Overview(ctx context.Context, sc Scope) (Overview, error) {
	t, err := s.deps.Tenants.Tenant(ctx, sc)
	if err != nil {
		return Overview{}, err
	}
	out := Overview{Tenant: t, Limits: t.Plan.Limits()}
	if out.Credits, err = s.Credits(ctx, sc); err != nil {
		return Overview{}, err
	}
	if s.deps.Agents != nil {
		if out.Agents, err = s.deps.Agents.CountAgents(ctx, sc); err != nil {
			return Overview{}, err
		}
	}
	return out, nil
}

// CreateKeyRequest says which key is wanted.
type CreateKeyRequest struct {
	Name        string       // 1 to 100 characters; "" means "API key"
	Permissions []Permission // empty means those of the key that asks; never more than those
	ExpiresAt   *time.Time   // nil never; must be in the future
}

// CreateKey makes a key in the caller's tenant and returns it with its secret, which cannot be read again. It needs Admin.
func (s *Service) CreateKey(ctx context.Context, sc Scope, req CreateKeyRequest) (Key, string, error) {
	if err := sc.Require(Admin); err != nil {
		return Key{}, "", err
	}
	if req.Name == "" {
		req.Name = "API key"
	}
	if err := checkName("name", req.Name); err != nil {
		return Key{}, "", err
	}
	perms, err := parsePermissions(req.Permissions)
	if err != nil {
		return Key{}, "", err
	}
	if len(perms) == 0 {
		perms = sc.Permissions
	}
	for _, p := range perms {
		if err := sc.Require(p); err != nil {
			return Key{}, "", err
		}
	}
	now := clock.Stored(s.deps.Clock.Now())
	if req.ExpiresAt != nil {
		if !req.ExpiresAt.After(now) {
			return Key{}, "", fault.Invalidf("expires_at", "must be in the future")
		}
		at := clock.Stored(*req.ExpiresAt)
		req.ExpiresAt = &at
	}
	secret := NewSecret()
	var key Key
	err = s.deps.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		key, err = s.insertKey(ctx, sc, newKey{name: req.Name, secret: secret, perms: perms, expires: req.ExpiresAt}, now)
		return err
	})
	if err != nil {
		return Key{}, "", err
	}
	return key, secret, nil
}

// ListKeys lists the keys of the caller's tenant that are not revoked, newest first, without those of sign-ins that have
// expired. It needs Admin.
func (s *Service) ListKeys(ctx context.Context, sc Scope, req page.Request) (page.Page[Key], error) {
	if err := sc.Require(Admin); err != nil {
		return page.Page[Key]{}, err
	}
	return s.deps.Keys.Keys(ctx, sc, req, clock.Stored(s.deps.Clock.Now()))
}

// RevokeKey ends a key of the caller's tenant; requests with it fail from now on in this process, and in the others as soon as the
// bus told them, CacheTTL later at most. It needs Admin. A key may end itself.
func (s *Service) RevokeKey(ctx context.Context, sc Scope, key id.APIKey) error {
	if err := sc.Require(Admin); err != nil {
		return err
	}
	var revoked StoredKey
	err := s.deps.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		revoked, err = s.deps.Keys.RevokeKey(ctx, sc, key, clock.Stored(s.deps.Clock.Now()))
		if err != nil {
			return err
		}
		if err := s.unlink(ctx, sc, key); err != nil {
			return err
		}
		return s.audit(ctx, sc, "api_key_revoked", revoked.Key)
	})
	if err != nil {
		return err
	}
	s.drop(ctx, revoked)
	return nil
}

// unlink removes the links that mean a key.
func (s *Service) unlink(ctx context.Context, sc Scope, key id.APIKey) error {
	if s.deps.Links == nil {
		return nil
	}
	return s.deps.Links.ForgetLinks(ctx, sc, id.Agent{}, key)
}

type newKey struct {
	name      string
	secret    string
	perms     []Permission
	expires   *time.Time
	bootstrap bool
}

func (s *Service) insertKey(ctx context.Context, sc Scope, n newKey, now time.Time) (Key, error) {
	key := Key{
		ID: id.New[id.APIKeyKind](s.deps.IDs), Tenant: sc.Tenant, Name: n.name, Prefix: secretHint(n.secret),
		Permissions: n.perms, Bootstrap: n.bootstrap, CreatedBy: sc.Key, ExpiresAt: n.expires, CreatedAt: now,
	}
	if err := s.deps.Keys.InsertKey(ctx, sc, StoredKey{Key: key, Hash: HashSecret(n.secret)}); err != nil {
		return Key{}, err
	}
	if s.deps.Links != nil {
		if err := s.deps.Links.BindLinks(ctx, sc, key.Name, key.ID); err != nil {
			return Key{}, err
		}
	}
	return key, s.audit(ctx, sc, "api_key_created", key)
}

func (s *Service) audit(ctx context.Context, sc Scope, action string, key Key) error {
	return s.deps.Auditor.Record(ctx, sc, action, map[string]any{"api_key_id": key.ID.UUID().String(), "name": key.Name})
}
