package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// EnvironmentRepo keeps environments. It implements environment.Repository and, from the sessions of the same database,
// environment.Sessions.
type EnvironmentRepo struct{ s *Store }

var (
	_ environment.Repository = (*EnvironmentRepo)(nil)
	_ environment.Sessions   = (*EnvironmentRepo)(nil)
)

// Environments returns the repository of environments.
func (s *Store) Environments() *EnvironmentRepo { return &EnvironmentRepo{s} }

// environmentDoc is how the column config holds environment.Config.
type environmentDoc struct {
	Type       string       `json:"type"`
	Networking string       `json:"networking,omitempty"`
	Hosts      []string     `json:"hosts,omitempty"`
	MCP        bool         `json:"mcp,omitempty"`
	Registries bool         `json:"registries,omitempty"`
	Packages   *packagesDoc `json:"packages,omitempty"`
}

type packagesDoc struct {
	Apt   []string `json:"apt,omitempty"`
	Cargo []string `json:"cargo,omitempty"`
	Gem   []string `json:"gem,omitempty"`
	Go    []string `json:"go,omitempty"`
	Npm   []string `json:"npm,omitempty"`
	Pip   []string `json:"pip,omitempty"`
}

func environmentDocOf(c environment.Config) environmentDoc {
	d := environmentDoc{
		Type: string(c.Type), Networking: string(c.Networking.Type), Hosts: c.Networking.AllowedHosts, MCP: c.Networking.AllowMCPServers,
		Registries: c.Networking.AllowPackageManagers,
	}
	if !c.Packages.Empty() {
		p := packagesDoc(c.Packages)
		d.Packages = &p
	}
	return d
}

func (d environmentDoc) config() environment.Config {
	c := environment.Config{Type: environment.Type(d.Type), Networking: environment.Networking{
		Type: environment.NetworkingType(d.Networking), AllowedHosts: d.Hosts, AllowMCPServers: d.MCP, AllowPackageManagers: d.Registries,
	}}
	if d.Packages != nil {
		c.Packages = environment.Packages(*d.Packages)
	}
	return c
}

const environmentColumns = "id, name, description, scope, config, metadata, created_at, updated_at, archived_at"

const environmentByID = "SELECT " + environmentColumns + " FROM environments WHERE tenant_id = ? AND id = ?"

func scanEnvironment(tenant id.Tenant, row scanner) (environment.Environment, error) {
	e := environment.Environment{Tenant: tenant}
	var config, metadata rawJSON
	var created, updated, archived stamp
	if err := row.Scan(&e.ID, &e.Name, &e.Description, &e.Scope, &config, &metadata, &created, &updated, &archived); err != nil {
		return environment.Environment{}, err
	}
	var doc environmentDoc
	if err := json.Unmarshal(config, &doc); err != nil {
		return environment.Environment{}, fmt.Errorf("bunstore: environment config: %w", err)
	}
	e.Config = doc.config()
	if err := json.Unmarshal(metadata, &e.Metadata); err != nil {
		return environment.Environment{}, fmt.Errorf("bunstore: environment metadata: %w", err)
	}
	e.CreatedAt, e.UpdatedAt = created.Time(), updated.Time()
	if !archived.IsZero() {
		t := archived.Time()
		e.ArchivedAt = &t
	}
	return e, nil
}

// environmentErr makes a missing row the not-found error of the environment.
func environmentErr(err error, of id.Environment) error {
	if errors.Is(err, sql.ErrNoRows) {
		return id.NotFound[id.EnvironmentKind](of.String())
	}
	return mapErr(err)
}

// environmentRow is what is stored of e that changes, in the order of its columns.
func environmentRow(e environment.Environment) ([]any, error) {
	config, err := json.Marshal(environmentDocOf(e.Config))
	if err != nil {
		return nil, fmt.Errorf("bunstore: environment config: %w", err)
	}
	metadata := []byte("{}")
	if len(e.Metadata) > 0 {
		if metadata, err = json.Marshal(e.Metadata); err != nil {
			return nil, fmt.Errorf("bunstore: environment metadata: %w", err)
		}
	}
	var archived stamp
	if e.ArchivedAt != nil {
		archived = at(*e.ArchivedAt)
	}
	return []any{e.Name, e.Description, string(e.Scope), rawJSON(config), rawJSON(metadata), at(e.UpdatedAt), archived}, nil
}

// Insert implements environment.Repository.
func (r *EnvironmentRepo) Insert(ctx context.Context, sc account.Scope, e environment.Environment) error {
	row, err := environmentRow(e)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO environments
			(name, description, scope, config, metadata, updated_at, archived_at, tenant_id, id, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, append(row, sc.Tenant, e.ID, at(e.CreatedAt))...)
		if isUnique(err) {
			return environment.ErrExists.Wrap(err)
		}
		return mapErr(err)
	})
}

// Get implements environment.Repository.
func (r *EnvironmentRepo) Get(ctx context.Context, sc account.Scope, of id.Environment) (environment.Environment, error) {
	return r.get(ctx, sc, of, "")
}

// Hold implements environment.Repository.
func (r *EnvironmentRepo) Hold(ctx context.Context, sc account.Scope, of id.Environment) (environment.Environment, error) {
	return r.get(ctx, sc, of, r.s.forShare())
}

func (r *EnvironmentRepo) get(ctx context.Context, sc account.Scope, of id.Environment, lock string) (environment.Environment, error) {
	e, err := scanEnvironment(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx, environmentByID+lock, sc.Tenant, of))
	if err != nil {
		return environment.Environment{}, environmentErr(err, of)
	}
	return e, nil
}

// List implements environment.Repository.
func (r *EnvironmentRepo) List(
	ctx context.Context, sc account.Scope, req environment.ListRequest,
) (page.Page[environment.Environment], error) {
	q, args := "SELECT "+environmentColumns+" FROM environments WHERE tenant_id = ?", []any{sc.Tenant}
	if !req.Archived {
		q += " AND archived_at IS NULL"
	}
	scan := func(row scanner) (environment.Environment, error) { return scanEnvironment(sc.Tenant, row) }
	key := func(e environment.Environment) id.Environment { return e.ID }
	return newestFirst(ctx, r.s.read(ctx), req.Request, scan, key, q, args...)
}

// Update implements environment.Repository.
func (r *EnvironmentRepo) Update(
	ctx context.Context, sc account.Scope, of id.Environment, change func(e *environment.Environment) error,
) (environment.Environment, error) {
	var out environment.Environment
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		e, err := r.get(ctx, sc, of, r.s.forUpdate())
		if err != nil {
			return err
		}
		if err := change(&e); err != nil {
			return err
		}
		out = e
		row, err := environmentRow(e)
		if err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, `UPDATE environments
			SET name = ?, description = ?, scope = ?, config = ?, metadata = ?, updated_at = ?, archived_at = ?
			WHERE tenant_id = ? AND id = ?`, append(row, sc.Tenant, of)...)
		return mapErr(err)
	})
	if err != nil {
		return environment.Environment{}, err
	}
	return out, nil
}

// Delete implements environment.Repository.
func (r *EnvironmentRepo) Delete(
	ctx context.Context, sc account.Scope, of id.Environment, last func(ctx context.Context) error,
) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if _, err := r.get(ctx, sc, of, r.s.forUpdate()); err != nil {
			return err
		}
		if err := last(ctx); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, "DELETE FROM environments WHERE tenant_id = ? AND id = ?", sc.Tenant, of)
		return mapErr(err)
	})
}

// UsesEnvironment implements environment.Sessions.
func (r *EnvironmentRepo) UsesEnvironment(ctx context.Context, sc account.Scope, of id.Environment) (bool, error) {
	var used bool
	err := r.s.read(ctx).QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sessions
		WHERE tenant_id = ? AND environment_id = ? AND archived_at IS NULL AND deleted_at IS NULL)`, sc.Tenant, of).Scan(&used)
	return used, mapErr(err)
}
