package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// HostingRepo keeps how agents are hosted. It implements hosting.Repository and hosting.Sites.
type HostingRepo struct{ s *Store }

var (
	_ hosting.Repository = (*HostingRepo)(nil)
	_ hosting.Sites      = (*HostingRepo)(nil)
)

// Hosting returns the repository of how agents are hosted.
func (s *Store) Hosting() *HostingRepo { return &HostingRepo{s} }

const deploymentColumns = `tenant_id, agent_id, region, config, avatar_url, program, limits, desired, status, generation, needs_restart, site,
	spec_at, started_at, stopped_at, last_error, error_category, failures, retry_at, created_at, updated_at`

// programJSON is the column program, limitsJSON the column limits.
type programJSON struct {
	Image      string   `json:"image,omitempty"`
	Command    []string `json:"command,omitempty"`
	Port       int      `json:"port"`
	Protocol   string   `json:"protocol"`
	HealthPath string   `json:"health_path,omitempty"`
	Model      string   `json:"model,omitempty"`
	TokenName  string   `json:"token_name,omitempty"`
	Network    string   `json:"network,omitempty"`
	Hosts      []string `json:"hosts,omitempty"`
}

type limitsJSON struct {
	Memory    int64 `json:"memory,omitempty"`
	Processes int   `json:"processes,omitempty"`
	Disk      int64 `json:"disk,omitempty"`
	CPU       int   `json:"cpu,omitempty"`
	OpenFiles int   `json:"open_files,omitempty"`
}

func encodeProgram(p *hosting.Program) (sql.NullString, error) {
	if p == nil {
		return sql.NullString{}, nil
	}
	b, err := json.Marshal(programJSON{
		p.Image, p.Command, p.Port, string(p.Protocol), p.HealthPath, p.Model, p.TokenName, string(p.Network.Mode), p.Network.Hosts,
	})
	return sql.NullString{String: string(b), Valid: true}, err
}

func decodeProgram(text sql.NullString) (*hosting.Program, error) {
	if !text.Valid {
		return nil, nil //nolint:nilnil // NULL is how SQL spells that there is none
	}
	var p programJSON
	if err := json.Unmarshal([]byte(text.String), &p); err != nil {
		return nil, err
	}
	return &hosting.Program{
		Image: p.Image, Command: p.Command, Port: p.Port, Protocol: hosting.Protocol(p.Protocol), HealthPath: p.HealthPath,
		Model: p.Model, TokenName: p.TokenName,
		Network: runtime.Network{Mode: runtime.NetworkMode(p.Network), Hosts: p.Hosts},
	}, nil
}

func encodeLimits(l hosting.Limits) (string, error) {
	b, err := json.Marshal(limitsJSON{l.Memory, l.Processes, l.Disk, l.CPU, l.OpenFiles})
	return string(b), err
}

func decodeLimits(text string) (hosting.Limits, error) {
	var l limitsJSON
	err := json.Unmarshal([]byte(text), &l)
	return hosting.Limits{
		Limits: runtime.Limits{Memory: l.Memory, Processes: l.Processes, Disk: l.Disk}, CPU: l.CPU, OpenFiles: l.OpenFiles,
	}, err
}

func encodeTimes(all []time.Time) (string, error) {
	texts := make([]string, len(all))
	for i, t := range all {
		texts[i] = at(t).String()
	}
	b, err := json.Marshal(texts)
	return string(b), err
}

func decodeTimes(text string) ([]time.Time, error) {
	var texts []string
	if err := json.Unmarshal([]byte(text), &texts); err != nil {
		return nil, err
	}
	var all []time.Time
	for _, t := range texts {
		when, err := parseStamp(t)
		if err != nil {
			return nil, err
		}
		all = append(all, when.Time())
	}
	return all, nil
}

func scanDeployment(row scanner) (hosting.Deployment, error) {
	var d hosting.Deployment
	var region, config, limits, desired, status, category, failures string
	var program sql.NullString
	var spec, started, stopped, retry, created, updated stamp
	err := row.Scan(&d.Tenant, &d.Agent, &region, &config, &d.AvatarURL, &program, &limits, &desired, &status, &d.Generation, &d.NeedsRestart,
		&d.Site, &spec, &started, &stopped, &d.LastError, &category, &failures, &retry, &created, &updated)
	if err != nil {
		return hosting.Deployment{}, err
	}
	var errs [3]error
	d.Program, errs[0] = decodeProgram(program)
	d.Limits, errs[1] = decodeLimits(limits)
	d.Failures, errs[2] = decodeTimes(failures)
	if err := errors.Join(errs[:]...); err != nil {
		return hosting.Deployment{}, fmt.Errorf("bunstore: the deployment of %s: %w", d.Agent, err)
	}
	d.Region, d.Config, d.Desired, d.Status = hosting.Region(region), json.RawMessage(config), hosting.Desired(desired), hosting.Status(status)
	d.ErrorCategory = hosting.ErrorCategory(category)
	d.SpecAt, d.StartedAt, d.StoppedAt, d.RetryAt = spec.Time(), started.Time(), stopped.Time(), retry.Time()
	d.CreatedAt, d.UpdatedAt = created.Time(), updated.Time()
	return d, nil
}

// Get implements hosting.Repository.
func (r *HostingRepo) Get(ctx context.Context, sc account.Scope, of id.Agent) (hosting.Deployment, error) {
	return r.get(ctx, sc, of, "")
}

func (r *HostingRepo) get(ctx context.Context, sc account.Scope, of id.Agent, lock string) (hosting.Deployment, error) {
	d, err := scanDeployment(r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+deploymentColumns+" FROM deployments WHERE tenant_id = ? AND agent_id = ?"+lock, sc.Tenant, of))
	if errors.Is(err, sql.ErrNoRows) {
		return hosting.New(sc.Tenant, of), nil
	}
	return d, mapErr(err)
}

// Find implements hosting.Repository.
func (r *HostingRepo) Find(ctx context.Context, sc account.Scope, agents []id.Agent) (map[id.Agent]hosting.Deployment, error) {
	found := map[id.Agent]hosting.Deployment{}
	if len(agents) == 0 {
		return found, nil
	}
	all, err := queryAll(ctx, r.s.read(ctx), scanDeployment,
		"SELECT "+deploymentColumns+" FROM deployments WHERE tenant_id = ? AND agent_id IN (?)", sc.Tenant, bun.List(agents))
	for _, d := range all {
		found[d.Agent] = d
	}
	return found, err
}

// Update implements hosting.Repository. Two who make the same row at once meet at its key: the second changes what the first has made.
func (r *HostingRepo) Update(
	ctx context.Context, sc account.Scope, of id.Agent, change func(d *hosting.Deployment) error,
) (hosting.Deployment, error) {
	var d hosting.Deployment
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for {
			var err error
			if d, err = r.get(ctx, sc, of, r.s.forUpdate()); err != nil {
				return err
			}
			fresh := d.CreatedAt.IsZero()
			if err := change(&d); err != nil {
				return err
			}
			n, err := r.put(ctx, db, sc, d, fresh)
			if err != nil || n > 0 {
				return err
			}
		}
	})
	if err != nil {
		return hosting.Deployment{}, err
	}
	return d, nil
}

// put writes a row and reports how many it wrote: none when it was to be fresh and is there.
func (r *HostingRepo) put(ctx context.Context, db bun.IDB, sc account.Scope, d hosting.Deployment, fresh bool) (int64, error) {
	program, err := encodeProgram(d.Program)
	if err != nil {
		return 0, err
	}
	limits, err := encodeLimits(d.Limits)
	if err != nil {
		return 0, err
	}
	failures, err := encodeTimes(d.Failures)
	if err != nil {
		return 0, err
	}
	values := []any{
		string(d.Region), string(d.Config), d.AvatarURL, program, limits, string(d.Desired), string(d.Status), d.Generation, d.NeedsRestart, d.Site,
		at(d.SpecAt), at(d.StartedAt), at(d.StoppedAt), d.LastError, string(d.ErrorCategory), failures, at(d.RetryAt), at(d.CreatedAt), at(d.UpdatedAt),
		sc.Tenant, d.Agent,
	}
	if fresh {
		return affected(db.ExecContext(ctx, `INSERT INTO deployments (region, config, avatar_url, program, limits, desired, status, generation,
			needs_restart, site, spec_at, started_at, stopped_at, last_error, error_category, failures, retry_at, created_at, updated_at,
			tenant_id, agent_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant_id, agent_id) DO NOTHING`, values...))
	}
	return affected(db.ExecContext(ctx, `UPDATE deployments SET region = ?, config = ?, avatar_url = ?, program = ?, limits = ?, desired = ?,
		status = ?, generation = ?, needs_restart = ?, site = ?, spec_at = ?, started_at = ?, stopped_at = ?, last_error = ?, error_category = ?,
		failures = ?, retry_at = ?, created_at = ?, updated_at = ? WHERE tenant_id = ? AND agent_id = ?`, values...))
}

// Remove implements hosting.Repository.
func (r *HostingRepo) Remove(ctx context.Context, sc account.Scope, of id.Agent) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM deployments WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, of)
		return mapErr(err)
	})
}

// CountRunning implements hosting.Repository.
func (r *HostingRepo) CountRunning(ctx context.Context, sc account.Scope) (n int, err error) {
	err = r.s.read(ctx).QueryRowContext(ctx, "SELECT count(*) FROM deployments WHERE tenant_id = ? AND status = 'running'", sc.Tenant).Scan(&n)
	return n, mapErr(err)
}
