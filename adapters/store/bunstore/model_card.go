package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// ModelCardRepo keeps model cards. It implements model.CardRepository.
type ModelCardRepo struct{ s *Store }

var _ model.CardRepository = (*ModelCardRepo)(nil)

// ModelCards returns the repository of model cards.
func (s *Store) ModelCards() *ModelCardRepo { return &ModelCardRepo{s} }

const cardColumns = "id, model_id, model, provider, base_url, headers, key_preview, is_default, version, sealed, created_at, updated_at"

func scanCard(tenant id.Tenant, row scanner) (model.CardRecord, error) {
	var r model.CardRecord
	var provider string
	var headers rawJSON
	var created, updated stamp
	err := row.Scan(&r.ID, &r.ModelID, &r.Model, &provider, &r.BaseURL, &headers, &r.KeyPreview, &r.Default, &r.Version, &r.Sealed,
		&created, &updated)
	if err != nil {
		return model.CardRecord{}, err
	}
	if err := json.Unmarshal(headers, &r.Headers); err != nil {
		return model.CardRecord{}, fmt.Errorf("bunstore: model card %s: %w", r.ID, err)
	}
	r.Tenant, r.Provider, r.CreatedAt, r.UpdatedAt = tenant, model.CardProvider(provider), created.Time(), updated.Time()
	return r, nil
}

func encodeHeaders(names []string) (string, error) {
	if names == nil {
		return "[]", nil
	}
	b, err := json.Marshal(names)
	if err != nil {
		return "", fmt.Errorf("bunstore: model card: %w", err)
	}
	return string(b), nil
}

// takeDefault makes room for another default card. Those who want to be it wait for each other.
func (r *ModelCardRepo) takeDefault(ctx context.Context, db bun.IDB, sc account.Scope, c model.CardRecord) error {
	if !c.Default {
		return nil
	}
	if err := r.s.lock(ctx, "model_cards:"+sc.Tenant.UUID().String()); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, `UPDATE model_cards SET is_default = FALSE, version = version + 1, updated_at = ?
		WHERE tenant_id = ? AND is_default AND id <> ?`, at(c.UpdatedAt), sc.Tenant, c.ID)
	return mapErr(err)
}

// Insert implements model.CardRepository.
func (r *ModelCardRepo) Insert(ctx context.Context, sc account.Scope, c model.CardRecord) error {
	headers, err := encodeHeaders(c.Headers)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.takeDefault(ctx, db, sc, c); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, "INSERT INTO model_cards (tenant_id, "+cardColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			sc.Tenant, c.ID, c.ModelID, c.Model, string(c.Provider), c.BaseURL, headers, c.KeyPreview, c.Default, c.Version, c.Sealed,
			at(c.CreatedAt), at(c.UpdatedAt))
		if isUnique(err) {
			return model.ErrCardExists
		}
		return mapErr(err)
	})
}

// Get implements model.CardRepository.
func (r *ModelCardRepo) Get(ctx context.Context, sc account.Scope, card id.ModelCard) (model.CardRecord, error) {
	c, err := scanCard(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+cardColumns+" FROM model_cards WHERE tenant_id = ? AND id = ?", sc.Tenant, card))
	if errors.Is(err, sql.ErrNoRows) {
		return model.CardRecord{}, id.NotFound[id.ModelCardKind](card.String())
	}
	return c, mapErr(err)
}

// Find implements model.CardRepository.
func (r *ModelCardRepo) Find(ctx context.Context, sc account.Scope, handle string) (model.CardRecord, bool, error) {
	q, args := "SELECT "+cardColumns+" FROM model_cards WHERE tenant_id = ? AND is_default", []any{sc.Tenant}
	if handle != "" {
		q, args = "SELECT "+cardColumns+" FROM model_cards WHERE tenant_id = ? AND model_id = ?", append(args, sourceKey(handle))
	}
	c, err := scanCard(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx, q, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return model.CardRecord{}, false, nil
	}
	return c, err == nil, mapErr(err)
}

// Update implements model.CardRepository.
func (r *ModelCardRepo) Update(ctx context.Context, sc account.Scope, c model.CardRecord) error {
	headers, err := encodeHeaders(c.Headers)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.takeDefault(ctx, db, sc, c); err != nil {
			return err
		}
		res, err := db.ExecContext(ctx, `UPDATE model_cards SET model_id = ?, model = ?, provider = ?, base_url = ?, headers = ?, key_preview = ?,
			is_default = ?, version = ?, sealed = ?, updated_at = ? WHERE tenant_id = ? AND id = ? AND version = ?`,
			c.ModelID, c.Model, string(c.Provider), c.BaseURL, headers, c.KeyPreview, c.Default, c.Version, c.Sealed, at(c.UpdatedAt),
			sc.Tenant, c.ID, c.Version-1)
		if isUnique(err) {
			return model.ErrCardExists
		}
		if n, err := affected(res, err); err != nil || n > 0 {
			return err
		}
		if _, err := r.Get(ctx, sc, c.ID); err != nil {
			return err
		}
		return model.ErrCardVersion
	})
}

// List implements model.CardRepository.
func (r *ModelCardRepo) List(ctx context.Context, sc account.Scope, req page.Request) (page.Page[model.Card], error) {
	q, args := "SELECT "+cardColumns+" FROM model_cards WHERE tenant_id = ?", []any{sc.Tenant}
	if req.Cursor != "" {
		before, err := decodeIDCursor[id.ModelCardKind](req.Cursor)
		if err != nil {
			return page.Page[model.Card]{}, err
		}
		q += " AND id < ?"
		args = append(args, before)
	}
	found, err := r.query(ctx, sc, q+" ORDER BY id DESC LIMIT ?", append(args, req.Size()+1)...)
	if err != nil {
		return page.Page[model.Card]{}, err
	}
	return pageOf(found, req.Size(), func(c model.CardRecord) (model.Card, error) { return c.Card, nil },
		func(c model.CardRecord) []string { return []string{c.ID.String()} })
}

// All implements model.CardRepository.
func (r *ModelCardRepo) All(ctx context.Context, sc account.Scope) ([]model.CardRecord, error) {
	return r.query(ctx, sc, "SELECT "+cardColumns+" FROM model_cards WHERE tenant_id = ? ORDER BY id", sc.Tenant)
}

func (r *ModelCardRepo) query(ctx context.Context, sc account.Scope, q string, args ...any) ([]model.CardRecord, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (model.CardRecord, error) { return scanCard(sc.Tenant, row) }, q, args...)
}

// Delete implements model.CardRepository.
func (r *ModelCardRepo) Delete(ctx context.Context, sc account.Scope, card id.ModelCard) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, "DELETE FROM model_cards WHERE tenant_id = ? AND id = ?", sc.Tenant, card)
		if n, err := affected(res, err); err != nil || n > 0 {
			return err
		}
		return id.NotFound[id.ModelCardKind](card.String())
	})
}
