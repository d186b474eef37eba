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
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// RemoteRepo keeps remote agents. It implements remote.Repository.
type RemoteRepo struct{ s *Store }

var _ remote.Repository = (*RemoteRepo)(nil)

// RemoteAgents returns the repository of remote agents.
func (s *Store) RemoteAgents() *RemoteRepo { return &RemoteRepo{s} }

// remoteDoc is how the column detail of remote_agents holds the rest of a remote.Remote.
type remoteDoc struct {
	Description  string        `json:"description,omitempty"`
	RequireValid bool          `json:"require_valid,omitempty"`
	Credential   credentialDoc `json:"credential,omitzero"`
	Card         cardDoc       `json:"card"`
	Pin          signatureDoc  `json:"pin,omitzero"`
	Suspicion    string        `json:"suspicion,omitempty"`
	CheckedAt    time.Time     `json:"checked_at"`
	ChangedAt    time.Time     `json:"changed_at"`
	StaleAt      time.Time     `json:"stale_at"`
	Unreachable  time.Time     `json:"unreachable_since,omitzero"`
	Trouble      string        `json:"trouble,omitempty"`
}

type credentialDoc struct {
	Kind      remote.CredentialKind `json:"kind"`
	Header    string                `json:"header,omitempty"`
	AnyOrigin bool                  `json:"any_origin,omitempty"`
}

const remoteColumns = "id, agent_id, name, url, card, credential, detail, next_check_at, created_at, updated_at"

func scanRemote(tenant id.Tenant, row scanner, before ...any) (remote.Remote, error) {
	r := remote.Remote{Tenant: tenant}
	var text, detail []byte
	var next, created, updated stamp
	err := row.Scan(append(before, &r.ID, &r.Agent, &r.Name, &r.URL, &text, &r.Credential.Sealed, &detail, &next, &created, &updated)...)
	if err != nil {
		return remote.Remote{}, err
	}
	var doc remoteDoc
	if err := json.Unmarshal(detail, &doc); err != nil {
		return remote.Remote{}, fmt.Errorf("bunstore: remote agent: %w", err)
	}
	r.Description, r.RequireValid, r.Card = doc.Description, doc.RequireValid, doc.Card.card(text)
	r.Credential.Kind, r.Credential.Header, r.Credential.AnyOrigin = doc.Credential.Kind, doc.Credential.Header, doc.Credential.AnyOrigin
	r.Pin, r.Suspicion = remote.Signature(doc.Pin), doc.Suspicion
	r.CheckedAt, r.ChangedAt, r.StaleAt = doc.CheckedAt.UTC(), doc.ChangedAt.UTC(), doc.StaleAt.UTC()
	r.UnreachableSince, r.Trouble = doc.Unreachable.UTC(), doc.Trouble
	r.NextCheckAt, r.CreatedAt, r.UpdatedAt = next.Time(), created.Time(), updated.Time()
	return r, nil
}

// remoteDetail is the column detail of a remote agent.
func remoteDetail(r remote.Remote) (string, error) {
	b, err := json.Marshal(remoteDoc{
		Description: r.Description, RequireValid: r.RequireValid,
		Credential: credentialDoc{r.Credential.Kind, r.Credential.Header, r.Credential.AnyOrigin}, Card: cardDocOf(r.Card),
		Pin: signatureDoc(r.Pin), Suspicion: r.Suspicion, CheckedAt: r.CheckedAt, ChangedAt: r.ChangedAt, StaleAt: r.StaleAt,
		Unreachable: r.UnreachableSince, Trouble: r.Trouble,
	})
	if err != nil {
		return "", fmt.Errorf("bunstore: remote agent: %w", err)
	}
	return string(b), nil
}

// Insert implements remote.Repository.
func (q *RemoteRepo) Insert(ctx context.Context, sc account.Scope, r remote.Remote, most int) error {
	detail, err := remoteDetail(r)
	if err != nil {
		return err
	}
	return q.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := q.s.lock(ctx, "remote_agents:"+sc.Tenant.String()); err != nil {
			return err
		}
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM remote_agents WHERE tenant_id = ?", sc.Tenant).Scan(&n); err != nil {
			return mapErr(err)
		}
		if n >= most {
			return remote.ErrTooMany.Withf("the account has %d remote agents, which is the most", n)
		}
		done, err := affected(db.ExecContext(ctx, "INSERT INTO remote_agents (tenant_id, "+remoteColumns+
			") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, name) DO NOTHING", sc.Tenant, r.ID, r.Agent, r.Name, r.URL,
			notNil(r.Card.Text), r.Credential.Sealed, detail, at(r.NextCheckAt), at(r.CreatedAt), at(r.UpdatedAt)))
		if err == nil && done == 0 {
			return remote.ErrNameTaken.Withf("there is a remote agent of the name %q", r.Name)
		}
		return err
	})
}

// notNil is an empty text for none.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Get implements remote.Repository.
func (q *RemoteRepo) Get(ctx context.Context, sc account.Scope, of id.RemoteAgent) (remote.Remote, error) {
	return q.get(ctx, q.s.read(ctx), sc, of, "")
}

func (q *RemoteRepo) get(ctx context.Context, db bun.IDB, sc account.Scope, of id.RemoteAgent, lock string) (remote.Remote, error) {
	r, err := scanRemote(sc.Tenant, db.QueryRowContext(ctx,
		"SELECT "+remoteColumns+" FROM remote_agents WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, of))
	if errors.Is(err, sql.ErrNoRows) {
		return remote.Remote{}, id.NotFound[id.RemoteAgentKind](of.String())
	}
	return r, mapErr(err)
}

// ByAgent implements remote.Repository.
func (q *RemoteRepo) ByAgent(ctx context.Context, sc account.Scope, of id.Agent) (remote.Remote, bool, error) {
	r, err := scanRemote(sc.Tenant, q.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+remoteColumns+" FROM remote_agents WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, of))
	if errors.Is(err, sql.ErrNoRows) {
		return remote.Remote{}, false, nil
	}
	return r, err == nil, mapErr(err)
}

// List implements remote.Repository.
func (q *RemoteRepo) List(ctx context.Context, sc account.Scope, req page.Request) (page.Page[remote.Remote], error) {
	return newestFirst(ctx, q.s.read(ctx), req, func(row scanner) (remote.Remote, error) { return scanRemote(sc.Tenant, row) },
		func(r remote.Remote) id.RemoteAgent { return r.ID }, "SELECT "+remoteColumns+" FROM remote_agents WHERE tenant_id = ?", sc.Tenant)
}

// Update implements remote.Repository.
func (q *RemoteRepo) Update(
	ctx context.Context, sc account.Scope, of id.RemoteAgent, change func(*remote.Remote) error,
) (remote.Remote, error) {
	var out remote.Remote
	err := q.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		r, err := q.get(ctx, db, sc, of, q.s.forUpdate())
		if err != nil {
			return err
		}
		was := r
		if err := change(&r); err != nil {
			return err
		}
		r.ID, r.Tenant, r.Agent, r.CreatedAt = was.ID, was.Tenant, was.Agent, was.CreatedAt
		detail, err := remoteDetail(r)
		if err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, `UPDATE remote_agents SET name = ?, url = ?, card = ?, credential = ?, detail = ?, next_check_at = ?,
			updated_at = ? WHERE tenant_id = ? AND id = ?`,
			r.Name, r.URL, notNil(r.Card.Text), r.Credential.Sealed, detail, at(r.NextCheckAt), at(r.UpdatedAt), sc.Tenant, of)
		if isUnique(err) {
			return remote.ErrNameTaken.Withf("there is a remote agent of the name %q", r.Name).Wrap(err)
		}
		out = r
		return mapErr(err)
	})
	return out, err
}

// Delete implements remote.Repository.
func (q *RemoteRepo) Delete(ctx context.Context, sc account.Scope, of id.RemoteAgent) error {
	return q.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		r, err := q.get(ctx, db, sc, of, q.s.forUpdate())
		if err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, "DELETE FROM remote_agents WHERE tenant_id = ? AND id = ?", sc.Tenant, of); err != nil {
			return mapErr(err)
		}
		if _, err := db.ExecContext(ctx, "DELETE FROM remote_agent_changes WHERE tenant_id = ? AND remote_id = ?", sc.Tenant, of); err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, "DELETE FROM remote_conversations WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, r.Agent)
		return mapErr(err)
	})
}

// Claim implements remote.Repository.
func (q *RemoteRepo) Claim(ctx context.Context, now, next time.Time, limit int) ([]remote.Remote, error) {
	var out []remote.Remote
	err := q.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		pick := fmt.Sprintf("SELECT id FROM remote_agents WHERE next_check_at <= ? ORDER BY next_check_at, id LIMIT %d", limit)
		in := "IN (" + pick + ")"
		if q.s.postgres() {
			in = "= ANY (ARRAY(" + pick + " FOR UPDATE SKIP LOCKED))" // as a joined subquery it might lock more than its limit
		}
		var err error
		out, err = queryAll(ctx, db, func(row scanner) (remote.Remote, error) {
			var tenant id.Tenant
			r, err := scanRemote(tenant, row, &tenant)
			r.Tenant = tenant
			return r, err
		}, "UPDATE remote_agents SET next_check_at = ? WHERE id "+in+" RETURNING tenant_id, "+remoteColumns, at(next), at(now))
		return err
	})
	return out, err
}
