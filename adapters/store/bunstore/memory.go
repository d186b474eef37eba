package bunstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgvector/pgvector-go"
	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// MemoryRepo keeps memory stores, what is in them, its index and its history.
type MemoryRepo struct{ s *Store }

var (
	_ memory.Stores   = (*MemoryRepo)(nil)
	_ memory.Memories = (*MemoryRepo)(nil)
	_ memory.Index    = (*MemoryRepo)(nil)
	_ memory.Versions = (*MemoryRepo)(nil)
)

// Memory returns the repository of memory stores.
func (s *Store) Memory() *MemoryRepo { return &MemoryRepo{s} }

const memoryStoreColumns = "id, agent_id, name, description, metadata, memories, created_at, updated_at, archived_at"

func scanMemoryStore(tenant id.Tenant, row scanner) (memory.Store, error) {
	st := memory.Store{Tenant: tenant}
	var metadata []byte
	var created, updated, archived stamp
	err := row.Scan(&st.ID, &st.Agent, &st.Name, &st.Description, &metadata, &st.Memories, &created, &updated, &archived)
	if err != nil {
		return memory.Store{}, err
	}
	if err := json.Unmarshal(metadata, &st.Metadata); err != nil {
		return memory.Store{}, fmt.Errorf("bunstore: metadata of a memory store: %w", err)
	}
	st.CreatedAt, st.UpdatedAt = created.Time(), updated.Time()
	if !archived.IsZero() {
		t := archived.Time()
		st.ArchivedAt = &t
	}
	return st, nil
}

// InsertStore implements memory.Stores.
func (r *MemoryRepo) InsertStore(ctx context.Context, sc account.Scope, st memory.Store) error {
	metadata, err := encodeMetadata(st.Metadata)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `INSERT INTO memory_stores
			(tenant_id, id, agent_id, name, description, metadata, memories, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)
			ON CONFLICT DO NOTHING`,
			sc.Tenant, st.ID, st.Agent, st.Name, st.Description, metadata, at(st.CreatedAt), at(st.UpdatedAt))
		if n, err := affected(res, err); err != nil {
			return err
		} else if n == 0 {
			return memory.ErrExists
		}
		return nil
	})
}

// Store implements memory.Stores.
func (r *MemoryRepo) Store(ctx context.Context, sc account.Scope, store id.MemoryStore) (memory.Store, error) {
	return r.store(ctx, r.s.read(ctx), sc, store, "")
}

func (r *MemoryRepo) store(ctx context.Context, db bun.IDB, sc account.Scope, store id.MemoryStore, lock string) (memory.Store, error) {
	st, err := scanMemoryStore(sc.Tenant, db.QueryRowContext(ctx,
		"SELECT "+memoryStoreColumns+" FROM memory_stores WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, store))
	if errors.Is(err, sql.ErrNoRows) {
		return memory.Store{}, id.NotFound[id.MemoryStoreKind](store.String())
	}
	return st, mapErr(err)
}

// Lock implements memory.Memories.
func (r *MemoryRepo) Lock(ctx context.Context, sc account.Scope, store id.MemoryStore) (st memory.Store, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		st, err = r.store(ctx, db, sc, store, r.s.forUpdate())
		return err
	})
	return st, err
}

// UpdateStore implements memory.Stores.
func (r *MemoryRepo) UpdateStore(
	ctx context.Context, sc account.Scope, store id.MemoryStore, change func(*memory.Store) error,
) (st memory.Store, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		st, err = r.store(ctx, db, sc, store, r.s.forUpdate())
		if err != nil {
			return err
		}
		if err := change(&st); err != nil {
			return err
		}
		metadata, err := encodeMetadata(st.Metadata)
		if err != nil {
			return err
		}
		var archived stamp
		if st.ArchivedAt != nil {
			archived = at(*st.ArchivedAt)
		}
		_, err = db.ExecContext(ctx, `UPDATE memory_stores SET agent_id = ?, name = ?, description = ?, metadata = ?, updated_at = ?, archived_at = ?
			WHERE tenant_id = ? AND id = ?`,
			st.Agent, st.Name, st.Description, metadata, at(st.UpdatedAt), archived, sc.Tenant, store)
		return mapErr(err)
	})
	if err != nil {
		return memory.Store{}, err
	}
	return st, nil
}

// ListStores implements memory.Stores.
func (r *MemoryRepo) ListStores(ctx context.Context, sc account.Scope, req memory.ListStores) (page.Page[memory.Store], error) {
	w := newWhere("tenant_id = ?", sc.Tenant)
	if !req.Agent.IsZero() {
		w.and("agent_id = ?", req.Agent)
	}
	if !req.Archived {
		w.and("archived_at IS NULL")
	}
	if !req.From.IsZero() {
		w.and("created_at >= ?", at(req.From))
	}
	if !req.To.IsZero() {
		w.and("created_at <= ?", at(req.To))
	}
	if req.Cursor != "" {
		before, err := decodeIDCursor[id.MemoryStoreKind](req.Cursor)
		if err != nil {
			return page.Page[memory.Store]{}, err
		}
		w.and("id < ?", before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (memory.Store, error) { return scanMemoryStore(sc.Tenant, row) },
		"SELECT "+memoryStoreColumns+" FROM memory_stores WHERE "+w.sql()+" ORDER BY id DESC LIMIT ?",
		append(w.args, req.Size()+1)...)
	if err != nil {
		return page.Page[memory.Store]{}, err
	}
	return pageOf(found, req.Size(), func(s memory.Store) (memory.Store, error) { return s, nil },
		func(s memory.Store) []string { return []string{s.ID.UUID().String()} })
}

// DeleteStore implements memory.Stores.
func (r *MemoryRepo) DeleteStore(ctx context.Context, sc account.Scope, store id.MemoryStore) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if _, err := r.store(ctx, db, sc, store, r.s.forUpdate()); err != nil {
			return err
		}
		for _, table := range []string{"memory_vectors", "memories", "memory_versions"} {
			if _, err := db.ExecContext(ctx, "DELETE FROM "+table+" WHERE tenant_id = ? AND store_id = ?", sc.Tenant, store); err != nil {
				return mapErr(err)
			}
		}
		_, err := db.ExecContext(ctx, "DELETE FROM memory_stores WHERE tenant_id = ? AND id = ?", sc.Tenant, store)
		return mapErr(err)
	})
}

const (
	memoryColumns      = "m.id, m.version_id, m.path, m.content, m.digest, m.size, m.created_at, m.updated_at"
	memoryBriefColumns = "m.id, m.version_id, m.path, '', m.digest, m.size, m.created_at, m.updated_at"
	memoryTable        = " FROM memories AS m WHERE m.tenant_id = ? AND m.store_id = ?"
)

func scanMemory(store id.MemoryStore, row scanner) (memory.Memory, error) {
	m := memory.Memory{Store: store}
	var digest string
	var created, updated stamp
	if err := row.Scan(&m.ID, &m.Version, &m.Path, &m.Content, &digest, &m.Size, &created, &updated); err != nil {
		return memory.Memory{}, err
	}
	var ok bool
	if m.Digest, ok = memory.ParseDigest(digest); !ok {
		return memory.Memory{}, fmt.Errorf("bunstore: %q is not a digest", digest)
	}
	m.CreatedAt, m.UpdatedAt = created.Time(), updated.Time()
	return m, nil
}

func (r *MemoryRepo) memories(ctx context.Context, store id.MemoryStore, q string, args ...any) ([]memory.Memory, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (memory.Memory, error) { return scanMemory(store, row) }, q, args...)
}

// Memory implements memory.Memories.
func (r *MemoryRepo) Memory(ctx context.Context, sc account.Scope, store id.MemoryStore, of id.Memory) (memory.Memory, error) {
	found, err := r.memories(ctx, store, "SELECT "+memoryColumns+memoryTable+" AND m.id = ?", sc.Tenant, store, of)
	switch {
	case err != nil:
		return memory.Memory{}, err
	case len(found) == 0:
		return memory.Memory{}, id.NotFound[id.MemoryKind](of.String())
	}
	return found[0], nil
}

// folderOf returns the range of the paths below a folder, which is written with its last slash: 0 comes after /.
func folderOf(folder string) (from, until string) { return folder, folder[:len(folder)-1] + "0" }

// At implements memory.Memories.
func (r *MemoryRepo) At(
	ctx context.Context, sc account.Scope, store id.MemoryStore, path string, near bool, except id.Memory,
) (memory.Memory, bool, error) {
	cond, args := "m.path = ?", []any{path}
	if near {
		for i := range path {
			if i > 0 && path[i] == '/' {
				cond += " OR m.path = ?"
				args = append(args, path[:i])
			}
		}
		from, until := folderOf(path + "/")
		cond += " OR m.path >= ? AND m.path < ?"
		args = append(args, from, until)
	}
	q := "SELECT " + memoryColumns + memoryTable + " AND (" + cond + ")"
	args = append([]any{sc.Tenant, store}, args...)
	if !except.IsZero() {
		q += " AND m.id <> ?"
		args = append(args, except)
	}
	found, err := r.memories(ctx, store, q+" ORDER BY CASE WHEN m.path = ? THEN 0 ELSE 1 END, m.path LIMIT 1", append(args, path)...)
	if err != nil || len(found) == 0 {
		return memory.Memory{}, false, err
	}
	return found[0], true, nil
}

// Put implements memory.Memories.
func (r *MemoryRepo) Put(ctx context.Context, sc account.Scope, m memory.Memory, v *memory.Vectors) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `UPDATE memories SET version_id = ?, path = ?, content = ?, digest = ?, size = ?, updated_at = ?
			WHERE tenant_id = ? AND store_id = ? AND id = ?`,
			m.Version, m.Path, m.Content, m.Digest.String(), m.Size, at(m.UpdatedAt), sc.Tenant, m.Store, m.ID)
		n, err := affected(res, err)
		if err != nil {
			return err
		}
		if n == 0 {
			_, err := db.ExecContext(ctx, `INSERT INTO memories
				(tenant_id, store_id, id, version_id, path, content, digest, size, embedder, created_at, updated_at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?)`,
				sc.Tenant, m.Store, m.ID, m.Version, m.Path, m.Content, m.Digest.String(), m.Size, at(m.CreatedAt), at(m.UpdatedAt))
			if err != nil {
				return mapErr(err)
			}
			if err := r.count(ctx, db, sc, m.Store, 1); err != nil {
				return err
			}
		}
		if v == nil {
			return nil
		}
		return r.SetVectors(ctx, sc, m, *v)
	})
}

func (r *MemoryRepo) count(ctx context.Context, db bun.IDB, sc account.Scope, store id.MemoryStore, more int) error {
	_, err := db.ExecContext(ctx, "UPDATE memory_stores SET memories = memories + ? WHERE tenant_id = ? AND id = ?", more, sc.Tenant, store)
	return mapErr(err)
}

// SetVectors implements memory.Index.
func (r *MemoryRepo) SetVectors(ctx context.Context, sc account.Scope, m memory.Memory, v memory.Vectors) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, "UPDATE memories SET embedder = ? WHERE tenant_id = ? AND store_id = ? AND id = ? AND digest = ?",
			v.Embedder, sc.Tenant, m.Store, m.ID, m.Digest.String())
		if n, err := affected(res, err); err != nil || n == 0 {
			return err
		}
		if err := r.dropVectors(ctx, db, sc, m); err != nil {
			return err
		}
		for i, part := range v.Parts {
			_, err := db.ExecContext(ctx, `INSERT INTO memory_vectors (tenant_id, store_id, memory_id, part, digest, embedder, embedding)
				VALUES (?, ?, ?, ?, ?, ?, ?)`,
				sc.Tenant, m.Store, m.ID, i, m.Digest.String(), v.Embedder, r.s.encodeVector(part))
			if err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

func (r *MemoryRepo) dropVectors(ctx context.Context, db bun.IDB, sc account.Scope, m memory.Memory) error {
	_, err := db.ExecContext(ctx, "DELETE FROM memory_vectors WHERE tenant_id = ? AND store_id = ? AND memory_id = ?", sc.Tenant, m.Store, m.ID)
	return mapErr(err)
}

// Remove implements memory.Memories.
func (r *MemoryRepo) Remove(ctx context.Context, sc account.Scope, m memory.Memory) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.dropVectors(ctx, db, sc, m); err != nil {
			return err
		}
		res, err := db.ExecContext(ctx, "DELETE FROM memories WHERE tenant_id = ? AND store_id = ? AND id = ?", sc.Tenant, m.Store, m.ID)
		if n, err := affected(res, err); err != nil {
			return err
		} else if n == 0 {
			return id.NotFound[id.MemoryKind](m.ID.String())
		}
		return r.count(ctx, db, sc, m.Store, -1)
	})
}

// List implements memory.Memories.
func (r *MemoryRepo) List(ctx context.Context, sc account.Scope, req memory.ListRequest) (page.Page[memory.Item], error) {
	columns := memoryBriefColumns
	if req.Full {
		columns = memoryColumns
	}
	folder := strings.TrimSuffix(req.Prefix, "/") + "/"
	base, args := "SELECT "+columns+memoryTable, []any{sc.Tenant, req.Store}
	if folder != "/" {
		from, until := folderOf(folder)
		if cond := " AND m.path >= ? AND m.path < ?"; strings.HasSuffix(req.Prefix, "/") {
			base, args = base+cond, append(args, from, until)
		} else {
			base, args = base+" AND (m.path = ? OR m.path >= ? AND m.path < ?)", append(args, req.Prefix, from, until)
		}
	}
	// place is where the list goes on: behind a path, or from one on.
	var place []string
	if req.Cursor != "" {
		var err error
		if place, err = decodeCursor(req.Cursor, 2); err != nil || place[0] != ">" && place[0] != ">=" || !validText(place[1]) {
			return page.Page[memory.Item]{}, errCursor()
		}
	}
	size := req.Size()
	var out page.Page[memory.Item]
	var ends []string // the cursor behind each item
	for len(out.Items) <= size {
		q, all := base, slices.Clone(args)
		if place != nil {
			q += " AND m.path " + place[0] + " ?"
			all = append(all, place[1])
		}
		want := size + 1 - len(out.Items)
		found, err := r.memories(ctx, req.Store, q+" ORDER BY m.path LIMIT ?", append(all, want)...)
		if err != nil {
			return page.Page[memory.Item]{}, err
		}
		skipped := ""
		for _, m := range found {
			if skipped != "" && strings.HasPrefix(m.Path, skipped) {
				continue
			}
			item := memory.Item{Memory: m}
			place = []string{">", m.Path}
			if p := rolledUp(m.Path, folder, req.Depth); p != "" {
				_, until := folderOf(p)
				item, skipped, place = memory.Item{Prefix: p}, p, []string{">=", until}
			}
			out.Items = append(out.Items, item)
			ends = append(ends, encodeCursor(place...))
		}
		if len(found) < want {
			break
		}
	}
	if len(out.Items) > size {
		out.Items, out.Next = out.Items[:size], ends[size-1]
	}
	return out, nil
}

// rolledUp returns the folder that stands for a path in a list of that depth below a folder; "" when the path is shown itself.
func rolledUp(path, folder string, depth int) string {
	rest, below := strings.CutPrefix(path, folder)
	if !below || depth == 0 {
		return ""
	}
	end := 0
	for range depth {
		i := strings.IndexByte(rest[end:], '/')
		if i < 0 {
			return ""
		}
		end += i + 1
	}
	return folder + rest[:end]
}

// validText reports whether Postgres takes a text.
func validText(s string) bool { return s == strings.ToValidUTF8(s, "") && !strings.Contains(s, "\x00") }

// Recent implements memory.Memories.
func (r *MemoryRepo) Recent(ctx context.Context, sc account.Scope, store id.MemoryStore, req page.Request) (page.Page[memory.Memory], error) {
	q, args := "SELECT "+memoryColumns+memoryTable, []any{sc.Tenant, store}
	if req.Cursor != "" {
		when, before, err := decodeTimeIDCursor[id.MemoryKind](req.Cursor)
		if err != nil {
			return page.Page[memory.Memory]{}, err
		}
		q += " AND (m.updated_at < ? OR m.updated_at = ? AND m.id < ?)"
		args = append(args, when, when, before)
	}
	found, err := r.memories(ctx, store, q+" ORDER BY m.updated_at DESC, m.id DESC LIMIT ?", append(args, req.Size()+1)...)
	if err != nil {
		return page.Page[memory.Memory]{}, err
	}
	return pageOf(found, req.Size(), func(m memory.Memory) (memory.Memory, error) { return m, nil },
		func(m memory.Memory) []string { return []string{at(m.UpdatedAt).String(), m.ID.UUID().String()} })
}

// Pending implements memory.Index.
func (r *MemoryRepo) Pending(ctx context.Context, sc account.Scope, store id.MemoryStore, embedder string, limit int) ([]memory.Memory, error) {
	return r.memories(ctx, store, "SELECT "+memoryColumns+memoryTable+" AND m.embedder <> ? ORDER BY m.id LIMIT ?", sc.Tenant, store, embedder, limit)
}

// memoryScore is the best part of a memory for a query.
type memoryScore struct {
	memory id.Memory
	digest string
	score  float64
}

// Nearest implements memory.Index.
func (r *MemoryRepo) Nearest(
	ctx context.Context, sc account.Scope, store id.MemoryStore, embedder string, vector embedding.Vector, limit int,
) ([]memory.Hit, error) {
	best := map[id.Memory]memoryScore{}
	offer := func(of id.Memory, digest string, v embedding.Vector) {
		if len(v) != len(vector) {
			return
		}
		score := embedding.Cosine(vector, v)
		if have, ok := best[of]; !ok || score > have.score {
			best[of] = memoryScore{of, digest, score}
		}
	}
	var err error
	if r.s.postgres() {
		err = r.nearestPostgres(ctx, sc, store, embedder, vector, limit, offer)
	} else {
		err = r.nearestSQLite(ctx, sc, store, embedder, offer)
	}
	if err != nil {
		return nil, err
	}
	scores := make([]memoryScore, 0, len(best))
	for _, b := range best {
		scores = append(scores, b)
	}
	slices.SortFunc(scores, func(a, b memoryScore) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.memory.UUID().String(), b.memory.UUID().String()))
	})
	scores = scores[:min(limit, len(scores))]
	if len(scores) == 0 {
		return nil, nil
	}
	ids := make([]string, len(scores))
	for i, s := range scores {
		ids[i] = s.memory.UUID().String()
	}
	found, err := r.memories(ctx, store, "SELECT "+memoryColumns+memoryTable+" AND m.id IN (?)", sc.Tenant, store, bun.List(ids))
	if err != nil {
		return nil, err
	}
	byID := map[id.Memory]memory.Memory{}
	for _, m := range found {
		byID[m.ID] = m
	}
	var hits []memory.Hit
	for _, s := range scores {
		if m, ok := byID[s.memory]; ok && m.Digest.String() == s.digest { // else it was changed meanwhile
			hits = append(hits, memory.Hit{Memory: m, Score: s.score})
		}
	}
	return hits, nil
}

func (r *MemoryRepo) nearestSQLite(
	ctx context.Context, sc account.Scope, store id.MemoryStore, embedder string, offer func(id.Memory, string, embedding.Vector),
) error {
	rows, err := r.s.read(ctx).QueryContext(ctx,
		"SELECT memory_id, digest, embedding FROM memory_vectors WHERE tenant_id = ? AND store_id = ? AND embedder = ?", sc.Tenant, store, embedder)
	if err != nil {
		return mapErr(err)
	}
	defer rows.Close()
	var v []float32
	var raw sql.RawBytes
	for rows.Next() {
		var of id.Memory
		var digest string
		if err := rows.Scan(&of, &digest, &raw); err != nil {
			return mapErr(err)
		}
		if v, err = appendLittleEndian(v[:0], raw); err != nil {
			return err
		}
		offer(of, digest, v)
	}
	return mapErr(rows.Err())
}

// nearestPostgres offers the best part of the limit nearest memories, and of those that are as near as the last of them.
func (r *MemoryRepo) nearestPostgres(
	ctx context.Context, sc account.Scope, store id.MemoryStore, embedder string, vector embedding.Vector, limit int,
	offer func(id.Memory, string, embedding.Vector),
) error {
	rows, err := r.s.read(ctx).QueryContext(ctx, `
		WITH d AS MATERIALIZED (
			SELECT memory_id, part, digest, embedding <=> ? AS distance FROM memory_vectors WHERE tenant_id = ? AND store_id = ? AND embedder = ?
		), near AS MATERIALIZED (
			SELECT memory_id, min(distance) AS distance FROM d GROUP BY memory_id
		), border AS (
			SELECT max(distance) + ? AS distance FROM (SELECT distance FROM near ORDER BY distance LIMIT ?) AS best
		)
		SELECT v.memory_id, v.digest, v.embedding FROM d JOIN border ON d.distance <= border.distance
		JOIN memory_vectors AS v ON v.tenant_id = ? AND v.store_id = ? AND v.memory_id = d.memory_id AND v.part = d.part AND v.digest = d.digest`,
		pgvector.NewVector(vector), sc.Tenant, store, embedder, similarityError, limit, sc.Tenant, store)
	if err != nil {
		return mapErr(err)
	}
	defer rows.Close()
	for rows.Next() {
		var of id.Memory
		var digest string
		var v pgvector.Vector
		if err := rows.Scan(&of, &digest, &v); err != nil {
			return mapErr(err)
		}
		offer(of, digest, v.Slice())
	}
	return mapErr(rows.Err())
}

const (
	memoryVersionColumns = "id, memory_id, operation, path, content, digest, size, session_id, key_id, created_at, redacted_at, redacted_session, redacted_key"
	memoryVersionBrief   = "id, memory_id, operation, path, '', digest, size, session_id, key_id, created_at, redacted_at, redacted_session, redacted_key"
)

func scanMemoryVersion(store id.MemoryStore, row scanner) (memory.Version, error) {
	v := memory.Version{Store: store}
	var operation string
	var path, content, digest sql.NullString
	var size sql.NullInt64
	var created, redacted stamp
	err := row.Scan(&v.ID, &v.Memory, &operation, &path, &content, &digest, &size, &v.By.Session, &v.By.Key, &created, &redacted,
		&v.RedactedBy.Session, &v.RedactedBy.Key)
	if err != nil {
		return memory.Version{}, err
	}
	v.Operation, v.Path, v.Content, v.Size, v.CreatedAt = memory.Operation(operation), path.String, content.String, int(size.Int64), created.Time()
	if digest.Valid {
		if v.Digest, v.Stated = memory.ParseDigest(digest.String); !v.Stated {
			return memory.Version{}, fmt.Errorf("bunstore: %q is not a digest", digest.String)
		}
	}
	if !redacted.IsZero() {
		t := redacted.Time()
		v.RedactedAt = &t
	}
	return v, nil
}

// AddVersion implements memory.Versions.
func (r *MemoryRepo) AddVersion(ctx context.Context, sc account.Scope, v memory.Version) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO memory_versions
			(tenant_id, store_id, id, memory_id, operation, path, content, digest, size, session_id, key_id, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sc.Tenant, v.Store, v.ID, v.Memory, string(v.Operation), v.Path, sql.NullString{String: v.Content, Valid: v.Stated},
			sql.NullString{String: v.Digest.String(), Valid: v.Stated}, sql.NullInt64{Int64: int64(v.Size), Valid: v.Stated}, v.By.Session, v.By.Key,
			at(v.CreatedAt))
		return mapErr(err)
	})
}

// Version implements memory.Versions.
func (r *MemoryRepo) Version(ctx context.Context, sc account.Scope, store id.MemoryStore, version id.MemoryVersion) (memory.Version, error) {
	v, err := scanMemoryVersion(store, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+memoryVersionColumns+" FROM memory_versions WHERE tenant_id = ? AND store_id = ? AND id = ?", sc.Tenant, store, version))
	if errors.Is(err, sql.ErrNoRows) {
		return memory.Version{}, id.NotFound[id.MemoryVersionKind](version.String())
	}
	return v, mapErr(err)
}

// ListVersions implements memory.Versions.
func (r *MemoryRepo) ListVersions(ctx context.Context, sc account.Scope, req memory.ListVersions) (page.Page[memory.Version], error) {
	w := newWhere("tenant_id = ? AND store_id = ?", sc.Tenant, req.Store)
	if !req.Memory.IsZero() {
		w.and("memory_id = ?", req.Memory)
	}
	if req.Operation != "" {
		w.and("operation = ?", string(req.Operation))
	}
	if !req.By.Session.IsZero() {
		w.and("session_id = ?", req.By.Session)
	}
	if !req.By.Key.IsZero() {
		w.and("key_id = ?", req.By.Key)
	}
	if !req.From.IsZero() {
		w.and("created_at >= ?", at(req.From))
	}
	if !req.To.IsZero() {
		w.and("created_at <= ?", at(req.To))
	}
	if req.Cursor != "" {
		before, err := decodeIDCursor[id.MemoryVersionKind](req.Cursor)
		if err != nil {
			return page.Page[memory.Version]{}, err
		}
		w.and("id < ?", before)
	}
	columns := memoryVersionBrief
	if req.Full {
		columns = memoryVersionColumns
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (memory.Version, error) { return scanMemoryVersion(req.Store, row) },
		"SELECT "+columns+" FROM memory_versions WHERE "+w.sql()+" ORDER BY id DESC LIMIT ?",
		append(w.args, req.Size()+1)...)
	if err != nil {
		return page.Page[memory.Version]{}, err
	}
	return pageOf(found, req.Size(), func(v memory.Version) (memory.Version, error) { return v, nil },
		func(v memory.Version) []string { return []string{v.ID.UUID().String()} })
}

// Redact implements memory.Versions.
func (r *MemoryRepo) Redact(ctx context.Context, sc account.Scope, v memory.Version) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `UPDATE memory_versions SET path = NULL, content = NULL, digest = NULL, size = NULL,
			redacted_at = ?, redacted_session = ?, redacted_key = ? WHERE tenant_id = ? AND store_id = ? AND id = ?`,
			at(*v.RedactedAt), v.RedactedBy.Session, v.RedactedBy.Key, sc.Tenant, v.Store, v.ID)
		return mapErr(err)
	})
}
