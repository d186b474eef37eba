package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
)

// PriceRepo keeps what models cost. It implements usage.PriceRepository.
type PriceRepo struct{ s *Store }

var _ usage.PriceRepository = (*PriceRepo)(nil)

// Prices returns the repository of prices.
func (s *Store) Prices() *PriceRepo { return &PriceRepo{s} }

// priceOwner is a tenant in price_versions, "" the server.
func priceOwner(sc account.Scope) string {
	if sc.Tenant.IsZero() {
		return ""
	}
	return sc.Tenant.UUID().String()
}

// Versions implements usage.PriceRepository.
func (r *PriceRepo) Versions(ctx context.Context, sc account.Scope) (v usage.Versions, err error) {
	err = eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var owner string
		var version int64
		err := row.Scan(&owner, &version)
		if owner == "" {
			v.Server = version
		} else {
			v.Own = version
		}
		return err
	}, "SELECT owner, version FROM price_versions WHERE owner IN (?, ?)", "", priceOwner(sc))
	return v, err
}

const priceColumns = "id, tenant_id, provider, model, valid_from, valid_until, terms, source, source_url, set_at, set_by, superseded_at"

// Load implements usage.PriceRepository.
func (r *PriceRepo) Load(ctx context.Context, sc account.Scope, version int64) ([]usage.Price, error) {
	cond, args := "tenant_id = ?", []any{sc.Tenant}
	if sc.Tenant.IsZero() {
		cond, args = "tenant_id IS NULL", nil
	}
	return queryAll(ctx, r.s.read(ctx), scanPrice, "SELECT "+priceColumns+" FROM prices WHERE "+cond+
		" AND made_in <= ? AND (gone_in IS NULL OR gone_in > ?) ORDER BY made_in, id", append(args, version, version)...)
}

// Get implements usage.PriceRepository.
func (r *PriceRepo) Get(ctx context.Context, sc account.Scope, price id.Price) (usage.Price, error) {
	p, err := scanPrice(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+priceColumns+
		" FROM prices WHERE id = ? AND (tenant_id IS NULL OR tenant_id = ?)", price, sc.Tenant))
	if errors.Is(err, sql.ErrNoRows) {
		return usage.Price{}, id.NotFound[id.PriceKind](price.String())
	}
	return p, mapErr(err)
}

// Lock implements usage.PriceRepository.
func (r *PriceRepo) Lock(ctx context.Context, sc account.Scope) (version int64, content string, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if _, err := db.ExecContext(ctx, "INSERT INTO price_versions (owner, version, content) VALUES (?, 0, '') ON CONFLICT DO NOTHING",
			priceOwner(sc)); err != nil {
			return mapErr(err)
		}
		return mapErr(db.QueryRowContext(ctx, "SELECT version, content FROM price_versions WHERE owner = ?"+r.s.forUpdate(), priceOwner(sc)).
			Scan(&version, &content))
	})
	return version, content, err
}

// Replace implements usage.PriceRepository.
func (r *PriceRepo) Replace(ctx context.Context, sc account.Scope, c usage.PriceChange) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var version int64
		if err := db.QueryRowContext(ctx, "UPDATE price_versions SET version = version + 1, content = ? WHERE owner = ? RETURNING version",
			c.Content, priceOwner(sc)).Scan(&version); err != nil {
			return mapErr(err)
		}
		for chunk := range slices.Chunk(c.Gone, usageChunk) {
			if _, err := db.ExecContext(ctx, "UPDATE prices SET gone_in = ?, superseded_at = ? WHERE id IN (?) AND gone_in IS NULL",
				version, at(c.At), bun.List(chunk)); err != nil {
				return mapErr(err)
			}
		}
		for chunk := range slices.Chunk(c.Made, usageChunk) {
			var args []any
			for _, p := range chunk {
				terms, err := json.Marshal(termsOf(p))
				if err != nil {
					return err
				}
				args = append(args, p.ID, sc.Tenant, p.Provider, p.Model, at(p.From), at(p.Until), rawJSON(terms), p.Source.Text, p.Source.URL,
					at(p.SetAt), p.SetBy, version)
			}
			_, err := unprepared(db).ExecContext(ctx, `INSERT INTO prices (id, tenant_id, provider, model, valid_from, valid_until, terms, source,
				source_url, set_at, set_by, made_in) VALUES `+
				strings.Join(slices.Repeat([]string{"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"}, len(chunk)), ", "), args...)
			if err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

func scanPrice(row scanner) (usage.Price, error) {
	var p usage.Price
	var tenant id.Tenant
	var from, until, set, superseded stamp
	var raw rawJSON
	if err := row.Scan(&p.ID, &tenant, &p.Provider, &p.Model, &from, &until, &raw, &p.Source.Text, &p.Source.URL, &set, &p.SetBy,
		&superseded); err != nil {
		return usage.Price{}, err
	}
	var t termsRow
	if err := json.Unmarshal(raw, &t); err != nil {
		return usage.Price{}, err
	}
	t.into(&p)
	p.Own = !tenant.IsZero()
	p.From, p.Until, p.SetAt, p.Superseded = from.Time(), until.Time(), set.Time(), superseded.Time()
	return p, nil
}

// termsRow is what a price asks.
type termsRow struct {
	Rates       ratesRow         `json:"rates"`
	Tiers       []tierRow        `json:"tiers,omitempty"`
	Multipliers map[string]int64 `json:"multipliers,omitempty"`
	Deprecated  *time.Time       `json:"deprecated,omitempty"`
}

type tierRow struct {
	Above int64    `json:"above"`
	Rates ratesRow `json:"rates"`
}

type ratesRow struct {
	Input        *int64              `json:"in,omitempty"`
	Output       *int64              `json:"out,omitempty"`
	CacheRead    *int64              `json:"cache_read,omitempty"`
	CacheWrite5m *int64              `json:"cache_write_5m,omitempty"`
	CacheWrite1h *int64              `json:"cache_write_1h,omitempty"`
	Reasoning    *int64              `json:"reasoning,omitempty"`
	Services     map[string]ratesRow `json:"services,omitempty"`
}

func termsOf(p usage.Price) termsRow {
	t := termsRow{Rates: ratesOf(p.Rates), Multipliers: p.Multipliers}
	for _, tier := range p.Tiers {
		t.Tiers = append(t.Tiers, tierRow{tier.Above, ratesOf(tier.Rates)})
	}
	if !p.Deprecated.IsZero() {
		t.Deprecated = &p.Deprecated
	}
	return t
}

func ratesOf(r usage.Rates) ratesRow {
	out := ratesRow{
		Input: &r.Input, Output: &r.Output, CacheRead: r.CacheRead, CacheWrite5m: r.CacheWrite5m, CacheWrite1h: r.CacheWrite1h,
		Reasoning: r.Reasoning,
	}
	for name, s := range r.Services {
		if out.Services == nil {
			out.Services = map[string]ratesRow{}
		}
		out.Services[name] = ratesRow{
			Input: s.Input, Output: s.Output, CacheRead: s.CacheRead, CacheWrite5m: s.CacheWrite5m, CacheWrite1h: s.CacheWrite1h,
			Reasoning: s.Reasoning,
		}
	}
	return out
}

func (t termsRow) into(p *usage.Price) {
	p.Rates, p.Multipliers = t.Rates.rates(), t.Multipliers
	for _, tier := range t.Tiers {
		p.Tiers = append(p.Tiers, usage.Tier{Above: tier.Above, Rates: tier.Rates.rates()})
	}
	if t.Deprecated != nil {
		p.Deprecated = t.Deprecated.UTC()
	}
}

func (r ratesRow) rates() usage.Rates {
	out := usage.Rates{CacheRead: r.CacheRead, CacheWrite5m: r.CacheWrite5m, CacheWrite1h: r.CacheWrite1h, Reasoning: r.Reasoning}
	if r.Input != nil {
		out.Input = *r.Input
	}
	if r.Output != nil {
		out.Output = *r.Output
	}
	for name, s := range r.Services {
		if out.Services == nil {
			out.Services = map[string]usage.ServiceRates{}
		}
		out.Services[name] = usage.ServiceRates{
			Input: s.Input, Output: s.Output, CacheRead: s.CacheRead, CacheWrite5m: s.CacheWrite5m, CacheWrite1h: s.CacheWrite1h,
			Reasoning: s.Reasoning,
		}
	}
	return out
}
