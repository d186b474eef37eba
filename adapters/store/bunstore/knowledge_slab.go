package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/id"
)

// slabCacheFloats is how many components the slabs of all spaces hold together before the least recently used go: 512 MiB. A space that
// is larger by itself is read from the database at every use, a block at a time.
const slabCacheFloats = 128 << 20

// slabCache keeps the vectors of the spaces that were used last in memory. Slabs are checked against the database at every use;
// what was added since is appended, what was deleted is taken out, and nothing else is read again.
type slabCache struct {
	limit int // floats

	mu    sync.Mutex
	slabs map[slabKey]*slab
	uses  int64
	total int // of the sizes of slabs
}

type slabKey struct {
	tenant   id.Tenant
	space    knowledge.Space
	embedder string
}

// slab holds the vectors of one space by one embedder, in order of their places.
type slab struct {
	used int64 // guarded by slabCache.mu, as is size
	size int   // floats, and some for the slab itself

	mu        sync.Mutex
	loaded    bool
	deletions int64
	last      int64 // place
	view      slabView
}

// slabView is a slab at one moment. Its blocks are never written to within their length.
type slabView struct {
	dims, rows int
	blocks     []block
}

// fits reports whether a slab of some entries may be kept.
func (c *slabCache) fits(entries, dims int) bool { return entries <= c.limit/(dims+rowOverhead) }

// view returns the vectors of a space as they are committed now.
func (c *slabCache) view(ctx context.Context, r *KnowledgeRepo, sc account.Scope, space knowledge.Space, embedder string) (slabView, error) {
	key := slabKey{sc.Tenant, space, embedder}
	c.mu.Lock()
	sl := c.slabs[key]
	if sl == nil {
		sl = &slab{}
		if c.slabs == nil {
			c.slabs = map[slabKey]*slab{}
		}
		c.slabs[key] = sl
	}
	c.uses++
	sl.used = c.uses
	c.mu.Unlock()

	sl.mu.Lock()
	defer sl.mu.Unlock()
	if err := sl.refresh(ctx, r, sc, key); err != nil {
		return slabView{}, err
	}
	c.account(key, sl, sl.view.rows*(sl.view.dims+rowOverhead))
	return sl.view, nil
}

// slabOverhead is what a slab takes beside its vectors, in floats.
const slabOverhead = 128

// account notes the size of a slab and drops the least recently used others while all of them are too large. Readers that hold
// the view of a dropped slab keep it.
func (c *slabCache) account(key slabKey, sl *slab, floats int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slabs[key] != sl { // dropped while it was being read
		return
	}
	c.total += floats + slabOverhead - sl.size
	sl.size = floats + slabOverhead
	for c.total > c.limit && len(c.slabs) > 1 {
		oldest := key
		for k, s := range c.slabs {
			if k != key && (oldest == key || s.used < c.slabs[oldest].used) {
				oldest = k
			}
		}
		c.total -= c.slabs[oldest].size
		delete(c.slabs, oldest)
	}
}

// refresh brings the slab up to what is committed. The state of the space and its rows come from one statement, hence from one
// snapshot.
func (sl *slab) refresh(ctx context.Context, r *KnowledgeRepo, sc account.Scope, key slabKey) error {
	st, err := r.state(ctx, r.committed(), sc, key.space, "")
	if err != nil {
		return err
	}
	switch {
	case sl.loaded && st.Deletions == sl.deletions && st.LastPlace == sl.last:
		return nil
	case sl.loaded && st.Deletions == sl.deletions:
		ok, err := sl.read(ctx, r, sc, key, false)
		if ok || err != nil {
			return err
		}
	}
	_, err = sl.read(ctx, r, sc, key, true)
	return err
}

// errSlab means that rows appeared where none can: the database was exchanged under a running server. The next use reads it anew.
var errSlab = errors.New("bunstore: the knowledge in memory is not that of the database")

// read reads what the slab lacks: the rows after its last one, or, with everything, the places of all rows and the vectors of
// those that it lacks. It reports false, and changes nothing, when there were deletions and it was not asked for everything.
func (sl *slab) read(ctx context.Context, r *KnowledgeRepo, sc account.Scope, key slabKey, everything bool) (bool, error) {
	from, have := sl.last, sl.last
	if everything {
		from = 0
	}
	rows, err := r.committed().QueryContext(ctx, `
		SELECT s.deletions, s.last_place, v.place, v.seq, v.numbers, CASE WHEN v.place > ? THEN `+r.vectorColumn("v.embedding")+` END
		FROM knowledge_spaces AS s LEFT JOIN knowledge_vectors AS v
			ON v.tenant_id = s.tenant_id AND v.space_id = s.space_id AND v.embedder = ? AND v.place > ?
		WHERE s.tenant_id = ? AND s.space_id = ? ORDER BY v.place`, have, key.embedder, from, sc.Tenant, spaceID(key.space))
	if err != nil {
		return false, mapErr(err)
	}
	defer rows.Close()
	old := slabCursor{view: sl.view}
	next := slabView{dims: sl.view.dims, rows: sl.view.rows, blocks: slices.Clone(sl.view.blocks)}
	if everything {
		next = slabView{}
	}
	deletions, last := sl.deletions, sl.last
	var raw sql.RawBytes
	var v []float32
	for rows.Next() {
		var place, seq, numbers sql.NullInt64
		if err := rows.Scan(&deletions, &last, &place, &seq, &numbers, &raw); err != nil {
			return false, mapErr(err)
		}
		if !everything && deletions != sl.deletions {
			return false, nil
		}
		if !place.Valid {
			break // a space without vectors
		}
		row := v[:0]
		if raw == nil { // one that the slab has
			if row = old.find(place.Int64); row == nil {
				sl.view, sl.last, sl.loaded = slabView{}, 0, false
				return false, errSlab
			}
		} else if row, err = r.appendVector(row, raw); err != nil {
			return false, err
		} else {
			v = row
		}
		next.add(place.Int64, seq.Int64, numbers.Int64, row)
	}
	if err := rows.Err(); err != nil {
		return false, mapErr(err)
	}
	sl.view, sl.deletions, sl.last, sl.loaded = next, deletions, last, true
	return true, nil
}

func (v *slabView) add(place, seq, numbers int64, row []float32) {
	if v.dims == 0 {
		v.dims = len(row)
	}
	if n := len(v.blocks); n == 0 || len(v.blocks[n-1].seqs) == blockRows {
		v.blocks = append(v.blocks, block{})
	}
	v.blocks[len(v.blocks)-1].add(place, seq, numbers, row)
	v.rows++
}

// slabCursor finds rows by ascending places.
type slabCursor struct {
	view      slabView
	block, at int
}

func (c *slabCursor) find(place int64) []float32 {
	for ; c.block < len(c.view.blocks); c.block, c.at = c.block+1, 0 {
		b := &c.view.blocks[c.block]
		for ; c.at < len(b.places) && b.places[c.at] <= place; c.at++ {
			if b.places[c.at] == place {
				return b.row(c.at, c.view.dims)
			}
		}
		if c.at < len(b.places) {
			return nil
		}
	}
	return nil
}
