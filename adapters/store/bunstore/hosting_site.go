package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Claim implements hosting.Sites.
func (r *HostingRepo) Claim(ctx context.Context, site, owner string, now, until time.Time, force bool) (bool, error) {
	var n int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) (err error) {
		n, err = affected(db.ExecContext(ctx, `INSERT INTO hosting_sites (site, owner, lease_until) VALUES (?, ?, ?)
			ON CONFLICT (site) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
			WHERE ? OR hosting_sites.owner = excluded.owner OR hosting_sites.lease_until <= ?`, site, owner, at(until), force, at(now)))
		return err
	})
	return n > 0, err
}

// Release implements hosting.Sites.
func (r *HostingRepo) Release(ctx context.Context, site, owner string) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM hosting_sites WHERE site = ? AND owner = ?", site, owner)
		return mapErr(err)
	})
}

// Claimed implements hosting.Sites.
func (r *HostingRepo) Claimed(ctx context.Context, site string, now time.Time) (claimed bool, err error) {
	err = r.s.read(ctx).QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM hosting_sites WHERE site = ? AND lease_until > ?)", site, at(now)).Scan(&claimed)
	return claimed, mapErr(err)
}

// At implements hosting.Sites.
func (r *HostingRepo) At(ctx context.Context, site string, only id.Agent) ([]hosting.Placed, error) {
	w := newWhere("d.site = ? AND a.destroyed_at IS NULL", site)
	if !only.IsZero() {
		w.and("d.agent_id = ?", only)
	}
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (p hosting.Placed, err error) {
		var desired, status string
		var retry stamp
		err = row.Scan(&p.Tenant, &p.Agent, &desired, &status, &p.Generation, &retry, &p.Own, &p.Held)
		p.Desired, p.Status, p.RetryAt = hosting.Desired(desired), hosting.Status(status), retry.Time()
		return p, err
	}, `SELECT d.tenant_id, d.agent_id, d.desired, d.status, d.generation, d.retry_at, d.program IS NOT NULL,
			(a.archived_at IS NOT NULL OR d.program IS NOT NULL AND (a.standing = 'frozen' OR a.swarm_frozen))
		FROM deployments AS d JOIN agents AS a ON a.tenant_id = d.tenant_id AND a.id = d.agent_id WHERE `+w.sql(), w.args...)
}

// measuredJSON is the column measured.
type measuredJSON struct {
	Memory      int64   `json:"memory"`
	MemoryLimit int64   `json:"memory_limit"`
	CPU         float64 `json:"cpu"`
	Processes   int     `json:"processes"`
	At          string  `json:"at"`
}

// Measure implements hosting.Sites.
func (r *HostingRepo) Measure(ctx context.Context, site string, all []hosting.Measured) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for _, m := range all {
			text, err := json.Marshal(measuredJSON{m.Memory, m.MemoryLimit, m.CPUPercent, m.Processes, at(m.At).String()})
			if err != nil {
				return err
			}
			if _, err := db.ExecContext(ctx, "UPDATE deployments SET measured = ? WHERE site = ? AND agent_id = ?", string(text), site, m.Agent); err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

// Measured implements hosting.Sites.
func (r *HostingRepo) Measured(ctx context.Context, sc account.Scope, of id.Agent) (hosting.Measured, bool, error) {
	var text sql.NullString
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT measured FROM deployments WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, of).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !text.Valid {
		return hosting.Measured{}, false, nil
	}
	if err != nil {
		return hosting.Measured{}, false, mapErr(err)
	}
	var m measuredJSON
	if err := json.Unmarshal([]byte(text.String), &m); err != nil {
		return hosting.Measured{}, false, err
	}
	when, err := parseStamp(m.At)
	if err != nil {
		return hosting.Measured{}, false, err
	}
	return hosting.Measured{Agent: of, Stats: runtime.Stats{
		Memory: m.Memory, MemoryLimit: m.MemoryLimit, CPUPercent: m.CPU, Processes: m.Processes, At: when.Time(),
	}}, true, nil
}
