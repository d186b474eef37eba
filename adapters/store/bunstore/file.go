package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/ports/id"
)

// FileRepo keeps files. It implements file.Repository and, from the sessions of the same database, file.Sessions.
type FileRepo struct{ s *Store }

var (
	_ file.Repository = (*FileRepo)(nil)
	_ file.Sessions   = (*FileRepo)(nil)
)

// Files returns the repository of files.
func (s *Store) Files() *FileRepo { return &FileRepo{s} }

const fileColumns = "f.id, f.name, f.media_type, f.size, f.sha256, f.session_id, f.output, f.path, f.downloadable, f.expires_at, f.created_at"

// fileSeen is the condition that a file can be seen by: it goes with its session, although the row goes later.
const fileSeen = "f.state = 'ready' AND (f.session_id IS NULL OR EXISTS " +
	"(SELECT 1 FROM sessions AS s WHERE s.id = f.session_id AND s.deleted_at IS NULL))"

func scanFile(tenant id.Tenant, row scanner) (file.File, error) {
	f := file.File{Tenant: tenant}
	var sum []byte
	var expires, created stamp
	err := row.Scan(&f.ID, &f.Name, &f.MediaType, &f.Size, &sum, &f.Session, &f.Output, &f.Path, &f.Downloadable, &expires, &created)
	if err != nil {
		return file.File{}, err
	}
	if copy(f.SHA256[:], sum) != len(f.SHA256) {
		return file.File{}, fmt.Errorf("bunstore: file %s has a checksum of %d bytes", f.ID, len(sum)) //nolint:err113 // a broken row
	}
	f.CreatedAt = created.Time()
	if !expires.IsZero() {
		t := expires.Time()
		f.ExpiresAt = &t
	}
	return f, nil
}

// Begin implements file.Repository.
func (r *FileRepo) Begin(ctx context.Context, sc account.Scope, fileID id.File, when time.Time) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO files (tenant_id, id, state, created_at) VALUES (?, ?, 'pending', ?)",
			sc.Tenant, fileID, at(when))
		if isUnique(err) {
			return file.ErrExists.Wrap(err)
		}
		return mapErr(err)
	})
}

// Keep implements file.Repository.
func (r *FileRepo) Keep(ctx context.Context, sc account.Scope, f file.File) (int64, error) {
	var total int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := db.QueryRowContext(ctx, `INSERT INTO file_usage (tenant_id, bytes) VALUES (?, ?)
			ON CONFLICT (tenant_id) DO UPDATE SET bytes = file_usage.bytes + excluded.bytes RETURNING bytes`, sc.Tenant, f.Size).
			Scan(&total); err != nil {
			return mapErr(err)
		}
		var expires stamp
		if f.ExpiresAt != nil {
			expires = at(*f.ExpiresAt)
		}
		res, err := db.ExecContext(ctx, `UPDATE files SET state = 'ready', name = ?, media_type = ?, size = ?, sha256 = ?, session_id = ?,
			output = ?, path = ?, downloadable = ?, expires_at = ?, created_at = ? WHERE tenant_id = ? AND id = ? AND state = 'pending'`,
			f.Name, f.MediaType, f.Size, f.SHA256[:], f.Session, f.Output, f.Path, f.Downloadable, expires, at(f.CreatedAt), sc.Tenant, f.ID)
		return oneFile(res, err, f.ID)
	})
	return total, err
}

// oneFile makes of a statement that changed nothing the not-found error of the file.
func oneFile(res sql.Result, err error, fileID id.File) error {
	if err != nil {
		return mapErr(err)
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return id.NotFound[id.FileKind](fileID.String())
	}
	return mapErr(err)
}

// Get implements file.Repository.
func (r *FileRepo) Get(ctx context.Context, sc account.Scope, fileID id.File) (file.File, error) {
	f, err := scanFile(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+fileColumns+" FROM files AS f WHERE f.tenant_id = ? AND f.id = ? AND "+fileSeen, sc.Tenant, fileID))
	if errors.Is(err, sql.ErrNoRows) {
		return file.File{}, id.NotFound[id.FileKind](fileID.String())
	}
	return f, mapErr(err)
}

// List implements file.Repository.
func (r *FileRepo) List(ctx context.Context, sc account.Scope, req file.ListRequest, now time.Time) (file.Page, error) {
	where := []string{"f.tenant_id = ?", fileSeen, "(f.expires_at IS NULL OR f.expires_at > ?)"}
	args := []any{sc.Tenant, at(now)}
	add := func(cond string, with ...any) {
		where = append(where, cond)
		args = append(args, with...)
	}
	if req.IDs != nil {
		if len(req.IDs) == 0 {
			return file.Page{}, nil
		}
		var marks []any
		for _, v := range req.IDs {
			marks = append(marks, v)
		}
		add("f.id IN (?"+strings.Repeat(", ?", len(marks)-1)+")", marks...)
	}
	if !req.Session.IsZero() {
		add("f.session_id = ?", req.Session)
	}
	if req.Outputs {
		add("f.output = ?", true)
	}
	if req.Path != "" {
		add("f.path = ?", nulless(req.Path))
	}
	if req.Name != "" {
		add("f.name = ?", nulless(req.Name))
	}
	after := req.After
	if req.Cursor != "" {
		var err error
		if after, err = decodeIDCursor[id.FileKind](req.Cursor); err != nil {
			return file.Page{}, err
		}
	}
	// A page that ends before a place is read backwards from there.
	back := !req.Before.IsZero()
	up := req.OldFirst != back
	place := after
	if back {
		place = req.Before
	}
	cmp, order := "<", "DESC"
	if up {
		cmp, order = ">", "ASC"
	}
	if !place.IsZero() {
		add("f.id "+cmp+" ?", place)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (file.File, error) { return scanFile(sc.Tenant, row) },
		"SELECT "+fileColumns+" FROM files AS f WHERE "+strings.Join(where, " AND ")+
			" ORDER BY f.id "+order+" LIMIT ?", append(args, req.Size()+1)...)
	if err != nil {
		return file.Page{}, err
	}
	var p file.Page
	p.More = len(found) > req.Size()
	found = found[:min(len(found), req.Size())]
	if back {
		slices.Reverse(found)
	}
	p.Items = found
	// Behind a page that ends before something there is at least that.
	if len(found) > 0 && (p.More || back) {
		p.Next = encodeCursor(found[len(found)-1].ID.String())
	}
	return p, nil
}

// nulless drops what no stored text holds and Postgres does not even compare.
func nulless(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// Remove implements file.Repository.
func (r *FileRepo) Remove(ctx context.Context, sc account.Scope, fileID id.File) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		// The tenant's row first, as everywhere: Keep and Remove would wait for each other otherwise.
		if _, err := db.ExecContext(ctx, "UPDATE file_usage SET bytes = bytes - coalesce("+
			"(SELECT size FROM files WHERE tenant_id = ? AND id = ? AND state = 'ready'), 0) WHERE tenant_id = ?",
			sc.Tenant, fileID, sc.Tenant); err != nil {
			return mapErr(err)
		}
		res, err := db.ExecContext(ctx, "UPDATE files SET state = 'gone' WHERE tenant_id = ? AND id = ? AND state = 'ready'", sc.Tenant, fileID)
		return oneFile(res, err, fileID)
	})
}

// Garbage implements file.Repository.
func (r *FileRepo) Garbage(ctx context.Context, now, abandoned time.Time, limit int) ([]file.Garbage, error) {
	var out []file.Garbage
	read := func(q string, args ...any) error {
		if len(out) >= limit {
			return nil
		}
		rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT f.tenant_id, f.id, f.state = 'ready' FROM files AS f WHERE "+q+" LIMIT ?",
			append(args, limit-len(out))...)
		if err != nil {
			return mapErr(err)
		}
		defer rows.Close()
		for rows.Next() {
			var g file.Garbage
			if err := rows.Scan(&g.Tenant, &g.ID, &g.Ready); err != nil {
				return mapErr(err)
			}
			if !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
		return mapErr(rows.Err())
	}
	if err := read("f.state <> 'ready' AND (f.state = 'gone' OR f.created_at < ?)", at(abandoned)); err != nil {
		return nil, err
	}
	if err := read("f.state = 'ready' AND f.expires_at <= ?", at(now)); err != nil {
		return nil, err
	}
	err := read("f.state = 'ready' AND f.session_id IS NOT NULL AND NOT EXISTS " +
		"(SELECT 1 FROM sessions AS s WHERE s.id = f.session_id AND s.deleted_at IS NULL)")
	return out, err
}

// Forget implements file.Repository.
func (r *FileRepo) Forget(ctx context.Context, sc account.Scope, fileID id.File) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM files WHERE tenant_id = ? AND id = ? AND state <> 'ready'", sc.Tenant, fileID)
		return mapErr(err)
	})
}

// Exists implements file.Sessions.
func (r *FileRepo) Exists(ctx context.Context, sc account.Scope, sessionID id.Session) error {
	var one int
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT 1 FROM sessions WHERE tenant_id = ? AND id = ? AND deleted_at IS NULL",
		sc.Tenant, sessionID).Scan(&one)
	return sessionErr(err, sessionID)
}
