package bunstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
)

// Insert implements knowledge.Ingestion.
func (r *KnowledgeRepo) Insert(ctx context.Context, sc account.Scope, space knowledge.Space, entries []knowledge.Stored) error {
	if len(entries) == 0 {
		return nil
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var err error
		if r.s.postgres() {
			err = r.insertPostgres(ctx, sc, space, entries)
		} else {
			err = r.insertSQLite(ctx, db, sc, space, entries)
		}
		if err != nil {
			return err
		}
		last := entries[len(entries)-1]
		if err := r.insertVectors(ctx, db, sc, space, last.Embedder, entries); err != nil {
			return err
		}
		// An empty space takes the embedder, another one takes it up beside its own.
		_, err = db.ExecContext(ctx, `UPDATE knowledge_spaces SET
			next_embedder = CASE WHEN entries = 0 THEN '' WHEN embedder = ? THEN next_embedder ELSE ? END,
			embedder = CASE WHEN entries = 0 THEN ? ELSE embedder END, entries = entries + ?, last_seq = ?
			WHERE tenant_id = ? AND space_id = ?`,
			last.Embedder, last.Embedder, last.Embedder, len(entries), last.Seq, sc.Tenant, spaceID(space))
		return mapErr(err)
	})
}

func (r *KnowledgeRepo) insertPostgres(ctx context.Context, sc account.Scope, space knowledge.Space, entries []knowledge.Stored) error {
	n := len(entries)
	seqs, ids, agents := make([]int64, n), make([][16]byte, n), make([]*[16]byte, n)
	sources, types, hashes, texts, terms := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	metadata, created := make([]*string, n), make([]time.Time, n)
	for i, e := range entries {
		seqs[i], ids[i], sources[i], types[i], texts[i], created[i] = e.Seq, e.ID.UUID(), e.Source, e.Type, e.Text, e.CreatedAt
		hashes[i], terms[i] = hex.EncodeToString(e.Hash[:]), strings.Join(append([]string{scopeWord(space)}, e.Words...), " ")
		if !e.By.IsZero() {
			by := [16]byte(e.By.UUID())
			agents[i] = &by
		}
		if e.Metadata != nil {
			text := string(e.Metadata)
			metadata[i] = &text
		}
	}
	return r.s.pgx(ctx, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, `INSERT INTO knowledge_entries
			(tenant_id, space_id, created_at, seq, id, agent_id, source, type, hash, text, metadata, words)
			SELECT $1::uuid, $2::uuid, created_at, seq, id, agent, source, type, hash, text, metadata, array_to_tsvector(string_to_array(words, ' '))
			FROM unnest($3::timestamptz[], $4::bigint[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
				AS e (created_at, seq, id, agent, source, type, hash, text, metadata, words)`,
			pgx.QueryExecModeCacheStatement, [16]byte(sc.Tenant.UUID()), spaceID(space), created, seqs, ids, agents, sources, types,
			hashes, texts, metadata, terms)
		return err
	})
}

// scopeWord is a word that all entries of a space have in Postgres's index, and no text.
func scopeWord(space knowledge.Space) string { return "@" + spaceID(space) }

func (r *KnowledgeRepo) insertSQLite(
	ctx context.Context, db bun.IDB, sc account.Scope, space knowledge.Space, entries []knowledge.Stored,
) error {
	number, err := r.number(ctx, db, sc, space)
	if err != nil {
		return err
	}
	for _, e := range entries {
		var metadata any
		if e.Metadata != nil {
			metadata = string(e.Metadata)
		}
		var by any
		if !e.By.IsZero() {
			by = e.By
		}
		if _, err := db.ExecContext(ctx, `INSERT INTO knowledge_entries
			(tenant_id, space_id, seq, id, agent_id, source, type, hash, created_at, metadata, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sc.Tenant, spaceID(space), e.Seq, e.ID, by, e.Source, e.Type, hex.EncodeToString(e.Hash[:]), at(e.CreatedAt), metadata, e.Text); err != nil {
			return mapErr(err)
		}
		if _, err := db.ExecContext(ctx, "INSERT INTO knowledge_words (rowid, words) VALUES (?, ?)",
			number<<wordsShift+e.Seq, strings.Join(e.Words, " ")); err != nil {
			return mapErr(err)
		}
	}
	return nil
}

// wordsShift parts a space's number from the Seqs in the row ids of SQLite's knowledge_words.
const wordsShift = 36

// number returns the number of a space in SQLite's knowledge_words; 0 is that of one that has never held anything.
func (r *KnowledgeRepo) number(ctx context.Context, db bun.IDB, sc account.Scope, space knowledge.Space) (n int64, err error) {
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) FROM knowledge_spaces WHERE tenant_id = ? AND space_id = ?",
		sc.Tenant, spaceID(space)).Scan(&n)
	return n, mapErr(err)
}

const copyVectorsSQL = `COPY knowledge_vectors (tenant_id, space_id, seq, embedder, place, numbers, embedding) FROM STDIN (FORMAT binary)`

// insertVectors stores vectors by embedder in the places that follow the last one.
func (r *KnowledgeRepo) insertVectors(
	ctx context.Context, db bun.IDB, sc account.Scope, space knowledge.Space, embedder string, vectors []knowledge.Stored,
) error {
	st, err := r.state(ctx, db, sc, space, "")
	if err != nil {
		return err
	}
	place := st.LastPlace
	if r.s.postgres() {
		buf := []byte(copyHeader)
		for _, v := range vectors {
			place++
			buf = appendVectorRow(buf, sc, space, embedder, place, v)
		}
		buf = binary.BigEndian.AppendUint16(buf, 0xffff)
		if err := r.s.pgx(ctx, func(c *pgx.Conn) error {
			_, err := c.PgConn().CopyFrom(ctx, bytes.NewReader(buf), copyVectorsSQL)
			return err
		}); err != nil {
			return err
		}
	} else {
		for _, v := range vectors {
			place++
			if _, err := db.ExecContext(ctx, `INSERT INTO knowledge_vectors (tenant_id, space_id, seq, embedder, place, numbers, embedding)
				VALUES (?, ?, ?, ?, ?, ?, ?)`, sc.Tenant, spaceID(space), v.Seq, embedder, place, int64(v.Numbers), littleEndian(v.Vector)); err != nil {
				return mapErr(err)
			}
		}
	}
	_, err = db.ExecContext(ctx, "UPDATE knowledge_spaces SET last_place = ? WHERE tenant_id = ? AND space_id = ?", place, sc.Tenant, spaceID(space))
	return mapErr(err)
}

// appendVectorRow appends a row as COPY takes it.
func appendVectorRow(buf []byte, sc account.Scope, space knowledge.Space, embedder string, place int64, v knowledge.Stored) []byte {
	be := binary.BigEndian
	number := func(n int64) { buf = be.AppendUint64(be.AppendUint32(buf, 8), uint64(n)) }
	tenant, of := sc.Tenant.UUID(), space.Swarm.UUID()
	if space.Swarm.IsZero() {
		of = space.Agent.UUID()
	}
	buf = be.AppendUint16(buf, 7)
	buf = append(be.AppendUint32(buf, 16), tenant[:]...)
	buf = append(be.AppendUint32(buf, 16), of[:]...)
	number(v.Seq)
	buf = append(be.AppendUint32(buf, uint32(len(embedder))), embedder...)
	number(place)
	number(int64(v.Numbers))
	buf = be.AppendUint32(buf, uint32(vectorHeader+4*len(v.Vector)))
	buf = be.AppendUint16(be.AppendUint16(buf, uint16(len(v.Vector))), 0)
	for _, x := range v.Vector {
		buf = be.AppendUint32(buf, math.Float32bits(x))
	}
	return buf
}

// Delete implements knowledge.Repository.
func (r *KnowledgeRepo) Delete(ctx context.Context, sc account.Scope, req knowledge.DeleteRequest) (n int, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n = 0
		if _, err := r.state(ctx, db, sc, req.In, r.s.forUpdate()); err != nil {
			return err
		}
		cond := "tenant_id = ? AND space_id = ?"
		args := []any{sc.Tenant, spaceID(req.In)}
		switch {
		case !req.ID.IsZero():
			cond += " AND id = ?"
			args = append(args, req.ID)
		case req.Source != "":
			cond += " AND source = ?"
			args = append(args, sourceKey(req.Source))
		case !req.All:
			return nil
		}
		if err := r.deleteParts(ctx, db, sc, req.In, cond, args); err != nil {
			return err
		}
		res, err := db.ExecContext(ctx, "DELETE FROM knowledge_entries WHERE "+cond, args...)
		if err != nil {
			return mapErr(err)
		}
		count, err := res.RowsAffected()
		if err != nil {
			return fmt.Errorf("bunstore: %w", err)
		}
		n = int(count)
		if n == 0 {
			return nil
		}
		_, err = db.ExecContext(ctx,
			"UPDATE knowledge_spaces SET entries = entries - ?, deletions = deletions + 1 WHERE tenant_id = ? AND space_id = ?",
			n, sc.Tenant, spaceID(req.In))
		return mapErr(err)
	})
	return n, err
}

// deleteParts deletes what else there is of the entries that a condition chooses.
func (r *KnowledgeRepo) deleteParts(
	ctx context.Context, db bun.IDB, sc account.Scope, space knowledge.Space, cond string, args []any,
) error {
	seqs := "(SELECT seq FROM knowledge_entries WHERE " + cond + ")"
	if _, err := db.ExecContext(ctx, "DELETE FROM knowledge_vectors WHERE tenant_id = ? AND space_id = ? AND seq IN "+seqs,
		append([]any{sc.Tenant, spaceID(space)}, args...)...); err != nil {
		return mapErr(err)
	}
	if _, err := db.ExecContext(ctx,
		"DELETE FROM knowledge_twins WHERE tenant_id = ? AND space_id = ? AND entry_id IN (SELECT id FROM knowledge_entries WHERE "+cond+")",
		append([]any{sc.Tenant, spaceID(space)}, args...)...); err != nil {
		return mapErr(err)
	}
	if r.s.postgres() {
		return nil
	}
	number, err := r.number(ctx, db, sc, space)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "DELETE FROM knowledge_words WHERE rowid IN (SELECT ? + seq FROM knowledge_entries WHERE "+cond+")",
		append([]any{number << wordsShift}, args...)...)
	return mapErr(err)
}
