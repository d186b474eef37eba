package bunstore

import (
	"context"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

func spaceOf(uuid id.UUID, swarm bool) knowledge.Space {
	if swarm {
		return knowledge.Space{Swarm: id.Of[id.SwarmKind](uuid)}
	}
	return knowledge.Space{Agent: id.Of[id.AgentKind](uuid)}
}

// milliseconds is a column of time; the zero time is 0.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMilliseconds(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// Stale implements knowledge.Reembedding.
func (r *KnowledgeRepo) Stale(ctx context.Context, embedder string, now time.Time, limit int) ([]knowledge.Owned, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (o knowledge.Owned, err error) {
		var space id.Agent // either kind; the column says which
		var swarm bool
		err = row.Scan(&o.Tenant, &space, &swarm)
		o.Space = spaceOf(space.UUID(), swarm)
		return o, err
	}, `SELECT tenant_id, space_id, swarm FROM knowledge_spaces WHERE entries > 0 AND (embedder <> ? OR next_embedder <> '')
		AND reembed_until <= ? ORDER BY started_at, space_id LIMIT ?`, embedder, milliseconds(now), limit)
}

// Begin implements knowledge.Reembedding.
func (r *KnowledgeRepo) Begin(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, now, until time.Time,
) (ours bool, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		ours = false
		st, err := r.state(ctx, db, sc, space, r.s.forUpdate())
		if err != nil || st.Entries == 0 || st.Embedder == embedder && st.Next == "" {
			return err
		}
		// What a former embedder began is begun anew; what its vectors made twins is no longer of interest.
		n, err := affected(db.ExecContext(ctx, `UPDATE knowledge_spaces SET reembed_from = embedder, reembed_to = ?, reembed_twins = 0,
			finished_at = 0, started_at = ? WHERE tenant_id = ? AND space_id = ? AND NOT (reembed_to = ? AND finished_at = 0)`,
			embedder, milliseconds(now), sc.Tenant, spaceID(space), embedder))
		if err != nil {
			return err
		}
		if n > 0 {
			if _, err := db.ExecContext(ctx, "DELETE FROM knowledge_twins WHERE tenant_id = ? AND space_id = ?", sc.Tenant, spaceID(space)); err != nil {
				return mapErr(err)
			}
		}
		n, err = affected(db.ExecContext(ctx, `UPDATE knowledge_spaces SET next_embedder = ?, reembed_until = ?, reembed_error = ''
			WHERE tenant_id = ? AND space_id = ? AND reembed_until <= ?`,
			embedder, milliseconds(until), sc.Tenant, spaceID(space), milliseconds(now)))
		ours = n > 0
		return err
	})
	return ours, err
}

// Missing implements knowledge.Reembedding.
func (r *KnowledgeRepo) Missing(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, limit int,
) ([]knowledge.Entry, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (knowledge.Entry, error) {
		e := knowledge.Entry{Space: space}
		return e, row.Scan(&e.ID, &e.Seq, &e.Text)
	}, `SELECT e.id, e.seq, e.text FROM knowledge_entries AS e WHERE e.tenant_id = ? AND e.space_id = ? AND NOT EXISTS (
			SELECT 1 FROM knowledge_vectors AS v
			WHERE v.tenant_id = e.tenant_id AND v.space_id = e.space_id AND v.seq = e.seq AND v.embedder = ?)
		ORDER BY e.seq LIMIT ?`, sc.Tenant, spaceID(space), embedder, limit)
}

// Stage implements knowledge.Reembedding.
func (r *KnowledgeRepo) Stage(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, vectors []knowledge.Stored, pairs []knowledge.Pair, until time.Time,
) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		seqs := make([]int64, len(vectors))
		for i, v := range vectors {
			seqs[i] = v.Seq
		}
		there, err := queryAll(ctx, db, func(row scanner) (seq int64, err error) { return seq, row.Scan(&seq) },
			`SELECT e.seq FROM knowledge_entries AS e WHERE e.tenant_id = ? AND e.space_id = ? AND e.seq IN (?) AND NOT EXISTS (
				SELECT 1 FROM knowledge_vectors AS v
				WHERE v.tenant_id = e.tenant_id AND v.space_id = e.space_id AND v.seq = e.seq AND v.embedder = ?)`,
			sc.Tenant, spaceID(space), bun.List(seqs), embedder)
		if err != nil {
			return err
		}
		wanted := map[int64]bool{}
		for _, seq := range there {
			wanted[seq] = true
		}
		var missing []knowledge.Stored
		fresh := map[id.Knowledge]bool{}
		for _, v := range vectors {
			if wanted[v.Seq] {
				missing = append(missing, v)
				fresh[v.ID] = true
			}
		}
		if len(missing) == 0 {
			return nil
		}
		if err := r.insertVectors(ctx, db, sc, space, embedder, missing); err != nil {
			return err
		}
		n := 0
		for _, p := range pairs {
			if !fresh[p.Entry] {
				continue
			}
			n++
			if _, err := db.ExecContext(ctx, `INSERT INTO knowledge_twins (tenant_id, space_id, entry_id, twin_id, similarity)
				SELECT CAST(? AS `+r.uuidType()+`), CAST(? AS `+r.uuidType()+`), CAST(? AS `+r.uuidType()+`), CAST(? AS `+r.uuidType()+`), ?
				WHERE (SELECT count(*) FROM knowledge_twins WHERE tenant_id = ? AND space_id = ?) < ? ON CONFLICT DO NOTHING`,
				sc.Tenant, spaceID(space), p.Entry, p.Twin, p.Similarity, sc.Tenant, spaceID(space), knowledge.MaxPairs); err != nil {
				return mapErr(err)
			}
		}
		_, err = db.ExecContext(ctx, `UPDATE knowledge_spaces SET reembed_until = ?, reembed_twins = reembed_twins + ?
			WHERE tenant_id = ? AND space_id = ?`, milliseconds(until), n, sc.Tenant, spaceID(space))
		return mapErr(err)
	})
}

func (r *KnowledgeRepo) uuidType() string {
	if r.s.postgres() {
		return "uuid"
	}
	return "TEXT"
}

// Finish implements knowledge.Reembedding.
func (r *KnowledgeRepo) Finish(ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, now time.Time) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `UPDATE knowledge_spaces SET embedder = ?, next_embedder = '', reembed_until = 0, reembed_error = '',
			finished_at = ? WHERE tenant_id = ? AND space_id = ?`, embedder, milliseconds(now), sc.Tenant, spaceID(space))
		return mapErr(err)
	})
}

// Release implements knowledge.Reembedding.
func (r *KnowledgeRepo) Release(ctx context.Context, sc account.Scope, space knowledge.Space, reason string) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE knowledge_spaces SET reembed_until = 0, reembed_error = ? WHERE tenant_id = ? AND space_id = ?",
			reason, sc.Tenant, spaceID(space))
		return mapErr(err)
	})
}

// sweptAtOnce is how many vectors one transaction of Sweep deletes.
const sweptAtOnce = 2000

// Sweep deletes vectors of embedders that their spaces no longer have, of all tenants, and returns how many.
func (r *KnowledgeRepo) Sweep(ctx context.Context) (total int, err error) {
	type swept struct {
		tenant          id.Tenant
		space, embedder string
	}
	row := "ctid"
	if !r.s.postgres() {
		row = "rowid"
	}
	// A space that was re-embedded has vectors of two embedders until this is done; the others are not looked at.
	spaces, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (s swept, err error) { return s, row.Scan(&s.tenant, &s.space, &s.embedder) },
		`SELECT tenant_id, space_id, embedder FROM knowledge_spaces WHERE reembed_to <> '' AND finished_at > 0 AND next_embedder = '' AND EXISTS (
			SELECT 1 FROM knowledge_vectors AS v WHERE v.tenant_id = knowledge_spaces.tenant_id AND v.space_id = knowledge_spaces.space_id
			AND v.embedder <> knowledge_spaces.embedder)`)
	if err != nil {
		return 0, err
	}
	for _, s := range spaces {
		for n := int64(sweptAtOnce); n == sweptAtOnce; total += int(n) {
			err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) (err error) {
				n, err = affected(db.ExecContext(ctx, `DELETE FROM knowledge_vectors WHERE `+row+` IN (SELECT v.`+row+` FROM knowledge_vectors AS v
					JOIN knowledge_spaces AS s ON s.tenant_id = v.tenant_id AND s.space_id = v.space_id AND s.next_embedder = ''
					WHERE v.tenant_id = ? AND v.space_id = ? AND v.embedder <> s.embedder LIMIT ?)`, s.tenant, s.space, sweptAtOnce))
				return err
			})
			if err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

// Progress implements knowledge.Reembedding.
func (r *KnowledgeRepo) Progress(
	ctx context.Context, sc account.Scope, embedder string, req knowledge.ProgressRequest,
) (page.Page[knowledge.Progress], error) {
	w := newWhere("tenant_id = ? AND (reembed_to <> '' OR entries > 0 AND embedder <> ?)", sc.Tenant, embedder)
	if req.In != (knowledge.Space{}) {
		w.and("space_id = ?", spaceID(req.In))
	}
	if req.Cursor != "" {
		place, err := decodeCursor(req.Cursor, 1)
		if err != nil {
			return page.Page[knowledge.Progress]{}, err
		}
		after, err := id.ParseUUID(place[0])
		if err != nil {
			return page.Page[knowledge.Progress]{}, errCursor()
		}
		w.and("space_id > ?", after.String())
	}
	args := append(w.args, req.Size()+1)
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (knowledge.Progress, error) { return scanProgress(row, embedder, req.Now) },
		`SELECT space_id, swarm, embedder, next_embedder, entries, reembed_from, reembed_to, reembed_until, reembed_error, reembed_twins,
			started_at, finished_at FROM knowledge_spaces WHERE `+w.sql()+" ORDER BY space_id LIMIT ?", args...)
	if err != nil {
		return page.Page[knowledge.Progress]{}, err
	}
	return pageOf(found, req.Size(), func(p knowledge.Progress) (knowledge.Progress, error) { return r.detail(ctx, sc, p) },
		func(p knowledge.Progress) []string { return []string{spaceID(p.Space)} })
}

func scanProgress(row scanner, current string, now time.Time) (knowledge.Progress, error) {
	var p knowledge.Progress
	var space id.Agent // either kind
	var swarm bool
	var embedder, next string
	var until, started, finished int64
	err := row.Scan(&space, &swarm, &embedder, &next, &p.Total, &p.From, &p.To, &until, &p.Error, &p.Twins, &started, &finished)
	if err != nil {
		return p, err
	}
	p.Space, p.StartedAt, p.FinishedAt = spaceOf(space.UUID(), swarm), fromMilliseconds(started), fromMilliseconds(finished)
	switch {
	case next == "" && embedder == current, p.Total == 0:
		p.State = knowledge.Finished
	case until > milliseconds(now):
		p.State = knowledge.Running
	default:
		p.State = knowledge.Waiting
	}
	if p.State != knowledge.Finished && p.To != current {
		p = knowledge.Progress{Space: p.Space, From: embedder, To: current, State: p.State, Total: p.Total}
	}
	return p, nil
}

// detail counts what is done and reads the pairs.
func (r *KnowledgeRepo) detail(ctx context.Context, sc account.Scope, p knowledge.Progress) (knowledge.Progress, error) {
	db := r.s.read(ctx)
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM knowledge_vectors WHERE tenant_id = ? AND space_id = ? AND embedder = ?",
		sc.Tenant, spaceID(p.Space), p.To).Scan(&p.Done); err != nil {
		return p, mapErr(err)
	}
	var err error
	p.Pairs, err = queryAll(ctx, db, func(row scanner) (pair knowledge.Pair, err error) {
		return pair, row.Scan(&pair.Entry, &pair.Twin, &pair.Similarity)
	}, `SELECT t.entry_id, t.twin_id, t.similarity FROM knowledge_twins AS t
		WHERE t.tenant_id = ? AND t.space_id = ? AND EXISTS (SELECT 1 FROM knowledge_entries AS e WHERE e.id = t.twin_id)
		ORDER BY t.entry_id LIMIT `+strconv.Itoa(knowledge.MaxPairs), sc.Tenant, spaceID(p.Space))
	return p, err
}
