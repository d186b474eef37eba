package usage

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

// PriceRepository stores prices. What it stores never changes: a price that counts no more is superseded, and can still be read by its id,
// since rows name it. Each tenant's prices, and the server's, have a version, which grows with every change and by which they can be read
// as they were. Every method joins the transaction in ctx.
type PriceRepository interface {
	// Versions returns the versions of the server's prices and of the tenant's own; 0: there were never any.
	Versions(ctx context.Context, sc account.Scope) (Versions, error)
	// Load returns the prices that the tenant, or with a zero tenant the server, had at a version.
	Load(ctx context.Context, sc account.Scope, version int64) ([]Price, error)
	// Get returns a price of the server's or of the tenant's own, superseded or not; id.NotFound when it is neither.
	Get(ctx context.Context, sc account.Scope, price id.Price) (Price, error)
	// Lock locks the prices of the tenant, or with a zero tenant the server's, until the transaction ends, and returns their version and
	// the content that the last Replace named.
	Lock(ctx context.Context, sc account.Scope) (version int64, content string, err error)
	// Replace supersedes prices and adds others, which makes the next version.
	Replace(ctx context.Context, sc account.Scope, c PriceChange) error
}

// PriceChange is a change of somebody's prices.
type PriceChange struct {
	Gone    []id.Price // superseded
	Made    []Price
	Content string // what the prices are made from, for Lock to return; the caller's own affair
	At      time.Time
}

// Versions are those of a tenant's prices.
type Versions struct {
	Server int64
	Own    int64
}

// PriceDeps is what a PriceBook needs; all fields are required.
type PriceDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository PriceRepository
	Trail      Trail
	Bus        bus.Bus
}

// PriceStale is how long a process may count with prices that were changed, when it does not hear of the change over the bus.
const PriceStale = time.Second

// PriceBook keeps the prices of the server and of its tenants, and has them in memory. A change counts at once in the process that makes
// it and in those that hear of it over the bus, and within PriceStale in every other. It is safe for concurrent use.
type PriceBook struct {
	d       PriceDeps
	builtin []Price
	content string // of builtin

	mu      sync.Mutex
	server  levelled
	tenants map[id.Tenant]tenantList
}

// levelled is the server's list at a version.
type levelled struct {
	version int64
	list    *List
}

type tenantList struct {
	list     *List
	versions Versions
	checked  time.Time
}

var _ Lists = (*PriceBook)(nil)

// topicPrices carries the UUID of a tenant whose prices changed, or nothing when the server's did.
const topicPrices = "usage.prices"

// mostTenants is how many tenants' lists are kept in memory; a list without prices of the tenant's own is a few words.
const mostTenants = 10_000

// NewPriceBook returns a PriceBook, or an error that names what d lacks.
func NewPriceBook(d PriceDeps) (*PriceBook, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil},
		{"Repository", d.Repository == nil}, {"Trail", d.Trail == nil}, {"Bus", d.Bus == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("usage: PriceDeps.%s is required", dep.name)
		}
	}
	prices, err := Builtin()
	if err != nil {
		return nil, err
	}
	l, err := NewList(prices)
	if err != nil {
		return nil, err
	}
	return &PriceBook{d: d, builtin: prices, content: builtinContent(), server: levelled{0, l}, tenants: map[id.Tenant]tenantList{}}, nil
}

// List implements Lists. Before the first Seed the server's prices are the built-in ones.
func (b *PriceBook) List(ctx context.Context, sc account.Scope) (*List, error) {
	now := b.d.Clock.Now()
	b.mu.Lock()
	known, ok := b.tenants[sc.Tenant]
	b.mu.Unlock()
	if age := now.Sub(known.checked); ok && age >= 0 && age < PriceStale {
		return known.list, nil
	}
	versions, err := b.d.Repository.Versions(ctx, sc)
	if err != nil {
		return nil, err
	}
	if !ok || known.versions != versions {
		if known.list, err = b.at(ctx, sc, versions); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.tenants) >= mostTenants {
		clear(b.tenants)
	}
	b.tenants[sc.Tenant] = tenantList{known.list, versions, now}
	return known.list, nil
}

// at returns the prices that counted for the tenant at versions.
func (b *PriceBook) at(ctx context.Context, sc account.Scope, v Versions) (*List, error) {
	b.mu.Lock()
	server := b.server
	b.mu.Unlock()
	if v.Server != server.version {
		prices, err := b.d.Repository.Load(ctx, account.Scope{}, v.Server)
		if err != nil {
			return nil, err
		}
		if server.list, err = NewList(prices); err != nil {
			return nil, err
		}
		b.mu.Lock()
		if v.Server > b.server.version {
			b.server = levelled{v.Server, server.list}
		}
		b.mu.Unlock()
	}
	if v.Own == 0 {
		return server.list, nil
	}
	prices, err := b.d.Repository.Load(ctx, sc, v.Own)
	if err != nil {
		return nil, err
	}
	own, err := NewList(prices)
	if err != nil {
		return nil, err
	}
	return own.Over(server.list), nil
}

// Run listens for changes that other processes make, until ctx ends.
func (b *PriceBook) Run(ctx context.Context) error {
	stop, err := b.d.Bus.Subscribe(ctx, topicPrices, func(payload []byte) {
		tenant, err := id.Parse[id.TenantKind](string(payload))
		b.forget(tenant, err != nil)
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	stop()
	return nil
}

func (b *PriceBook) forget(tenant id.Tenant, everybody bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if everybody {
		clear(b.tenants)
		return
	}
	delete(b.tenants, tenant)
}

// changed tells this process and the others that prices changed, once the transaction in ctx has committed.
func (b *PriceBook) changed(ctx context.Context, sc account.Scope) {
	b.d.TX.AfterCommit(ctx, func() {
		b.forget(sc.Tenant, sc.Tenant.IsZero())
		payload := ""
		if !sc.Tenant.IsZero() {
			payload = sc.Tenant.String()
		}
		if err := b.d.Bus.Publish(context.WithoutCancel(ctx), topicPrices, []byte(payload)); err != nil {
			b.d.Logger.WarnContext(ctx, "a change of prices was not published; other processes look for it within a second",
				slog.Any("error", err))
		}
	})
}

// Seed makes the server's prices those that this program ships, unless they are already. What they were stays readable by id. It returns
// how many prices it added. Of two programs that share a database, the one that started last has its way.
func (b *PriceBook) Seed(ctx context.Context) (added int, err error) {
	server := account.Scope{}
	err = b.d.TX.Do(ctx, func(ctx context.Context) error {
		added = 0
		version, content, err := b.d.Repository.Lock(ctx, server)
		if err != nil || content == b.content {
			return err
		}
		there, err := b.d.Repository.Load(ctx, server, version)
		if err != nil {
			return err
		}
		var gone []id.Price
		kept := map[int]bool{}
		for _, p := range there {
			if i := indexOf(b.builtin, p); i >= 0 && !kept[i] {
				kept[i] = true
			} else {
				gone = append(gone, p.ID)
			}
		}
		now := clock.Stored(b.d.Clock.Now())
		var made []Price
		for i, p := range b.builtin {
			if kept[i] {
				continue
			}
			p.ID, p.SetAt = id.New[id.PriceKind](b.d.IDs), now
			made = append(made, p)
		}
		added = len(made)
		if err := b.d.Repository.Replace(ctx, server, PriceChange{gone, made, b.content, now}); err != nil {
			return err
		}
		b.changed(ctx, server)
		return nil
	})
	return added, err
}

// indexOf returns where prices have one that says the same as p; -1 is nowhere.
func indexOf(prices []Price, p Price) int {
	for i, q := range prices {
		if q.says(p) {
			return i
		}
	}
	return -1
}
