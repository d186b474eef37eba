package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// DocumentRepo keeps the documents of agents. It implements agent.DocumentRepository.
type DocumentRepo struct{ s *Store }

var _ agent.DocumentRepository = (*DocumentRepo)(nil)

// Documents returns the repository of agents' documents.
func (s *Store) Documents() *DocumentRepo { return &DocumentRepo{s} }

// documentColumns are read by scanDocument; content is the column or an empty text in its place.
func documentColumns(content string) string {
	return "path, version, " + content + ", hash, size, removed, written_at"
}

func scanDocument(row scanner) (agent.Document, error) {
	var d agent.Document
	var path string
	var written stamp
	err := row.Scan(&path, &d.Version, &d.Content, &d.Hash, &d.Size, &d.Removed, &written)
	d.Path, d.UpdatedAt = agent.DocumentPath(path), written.Time()
	return d, err
}

// LockDocuments implements agent.DocumentRepository.
func (r *DocumentRepo) LockDocuments(ctx context.Context, sc account.Scope, agentID id.Agent) error {
	return r.s.lock(ctx, "agent:documents:"+sc.Tenant.UUID().String()+":"+agentID.UUID().String())
}

// Document implements agent.DocumentRepository.
func (r *DocumentRepo) Document(
	ctx context.Context, sc account.Scope, agentID id.Agent, path agent.DocumentPath,
) (agent.Document, bool, error) {
	d, err := scanDocument(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+documentColumns("content")+
		" FROM agent_documents WHERE tenant_id = ? AND agent_id = ? AND path = ? AND replaced_at IS NULL", sc.Tenant, agentID, string(path)))
	if errors.Is(err, sql.ErrNoRows) {
		return agent.Document{}, false, nil
	}
	return d, err == nil, mapErr(err)
}

// Documents implements agent.DocumentRepository.
func (r *DocumentRepo) Documents(
	ctx context.Context, sc account.Scope, agentID id.Agent, when time.Time, whole bool,
) ([]agent.Document, error) {
	content := "content"
	if !whole {
		content = "CASE WHEN path LIKE 'rules/%' THEN '' ELSE content END"
	}
	w := newWhere("tenant_id = ? AND agent_id = ?", sc.Tenant, agentID)
	if when.IsZero() {
		w.and("replaced_at IS NULL")
	} else {
		w.and("valid_from <= ? AND (replaced_at IS NULL OR replaced_at > ?)", at(when), at(when))
	}
	order := " ORDER BY path"
	if r.s.postgres() {
		order += ` COLLATE "C"`
	}
	return queryAll(ctx, r.s.read(ctx), scanDocument,
		"SELECT "+documentColumns(content)+" FROM agent_documents WHERE "+w.sql()+" AND NOT removed"+order, w.args...)
}

// AddDocument implements agent.DocumentRepository.
func (r *DocumentRepo) AddDocument(ctx context.Context, sc account.Scope, agentID id.Agent, d agent.Document) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		written := at(d.UpdatedAt)
		if _, err := db.ExecContext(ctx, `UPDATE agent_documents SET replaced_at = ?
			WHERE tenant_id = ? AND agent_id = ? AND path = ? AND replaced_at IS NULL`, written, sc.Tenant, agentID, string(d.Path)); err != nil {
			return mapErr(err)
		}
		if _, err := db.ExecContext(ctx, `INSERT INTO agent_documents
			(tenant_id, agent_id, path, version, content, hash, size, removed, written_at, valid_from) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sc.Tenant, agentID, string(d.Path), d.Version, d.Content, d.Hash, d.Size, d.Removed, written, written); err != nil {
			return mapErr(err)
		}
		if d.Version > agent.MaxDocumentVersions {
			if err := r.forgetVersions(ctx, db, sc, agentID, d); err != nil {
				return err
			}
		}
		if !d.Removed {
			return nil
		}
		_, err := db.ExecContext(ctx, `DELETE FROM agent_documents WHERE tenant_id = ? AND agent_id = ? AND path IN (
			SELECT path FROM (SELECT path, row_number() OVER (ORDER BY written_at DESC, path) AS n FROM agent_documents
				WHERE tenant_id = ? AND agent_id = ? AND replaced_at IS NULL AND removed) AS gone WHERE n > ?)`,
			sc.Tenant, agentID, sc.Tenant, agentID, agent.MaxRemovedRules)
		return mapErr(err)
	})
}

// forgetVersions removes the versions before the newest ones; the oldest that stays takes their place in time.
func (r *DocumentRepo) forgetVersions(ctx context.Context, db bun.IDB, sc account.Scope, agentID id.Agent, d agent.Document) error {
	oldest := d.Version - agent.MaxDocumentVersions + 1
	if _, err := db.ExecContext(ctx, `UPDATE agent_documents SET valid_from = COALESCE((SELECT min(valid_from) FROM agent_documents AS f
			WHERE f.tenant_id = ? AND f.agent_id = ? AND f.path = ? AND f.version < ?), valid_from)
		WHERE tenant_id = ? AND agent_id = ? AND path = ? AND version = ?`,
		sc.Tenant, agentID, string(d.Path), oldest, sc.Tenant, agentID, string(d.Path), oldest); err != nil {
		return mapErr(err)
	}
	_, err := db.ExecContext(ctx, "DELETE FROM agent_documents WHERE tenant_id = ? AND agent_id = ? AND path = ? AND version < ?",
		sc.Tenant, agentID, string(d.Path), oldest)
	return mapErr(err)
}

// DocumentVersions implements agent.DocumentRepository.
func (r *DocumentRepo) DocumentVersions(
	ctx context.Context, sc account.Scope, agentID id.Agent, path agent.DocumentPath, req page.Request,
) (page.Page[agent.Document], error) {
	w := newWhere("tenant_id = ? AND agent_id = ? AND path = ?", sc.Tenant, agentID, string(path))
	if req.Cursor != "" {
		place, err := decodeCursor(req.Cursor, 1)
		if err != nil {
			return page.Page[agent.Document]{}, err
		}
		before, err := strconv.Atoi(place[0])
		if err != nil {
			return page.Page[agent.Document]{}, errCursor()
		}
		w.and("version < ?", before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), scanDocument, "SELECT "+documentColumns("''")+
		" FROM agent_documents WHERE "+w.sql()+" ORDER BY version DESC LIMIT ?", append(w.args, req.Size()+1)...)
	if err != nil {
		return page.Page[agent.Document]{}, err
	}
	return pageOf(found, req.Size(), func(d agent.Document) (agent.Document, error) { return d, nil },
		func(d agent.Document) []string { return []string{strconv.Itoa(d.Version)} })
}

// DocumentVersion implements agent.DocumentRepository.
func (r *DocumentRepo) DocumentVersion(
	ctx context.Context, sc account.Scope, agentID id.Agent, path agent.DocumentPath, version int,
) (agent.Document, error) {
	d, err := scanDocument(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+documentColumns("content")+
		" FROM agent_documents WHERE tenant_id = ? AND agent_id = ? AND path = ? AND version = ?", sc.Tenant, agentID, string(path), version))
	if errors.Is(err, sql.ErrNoRows) {
		return agent.Document{}, agent.ErrDocumentNotFound.Withf("there is no version %d of %s", version, path)
	}
	return d, mapErr(err)
}

// DeleteDocuments implements agent.DocumentRepository.
func (r *DocumentRepo) DeleteDocuments(ctx context.Context, sc account.Scope, agentID id.Agent) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM agent_documents WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, agentID)
		return mapErr(err)
	})
}
