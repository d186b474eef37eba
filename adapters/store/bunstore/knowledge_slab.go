package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"slices"
	"sync"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
)

// slabCacheFloats is how many components the slabs of all spaces hold together before the least recently used go: 256 MiB.
const slabCacheFloats = 64 << 20

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
	tenant id.Tenant
	space  knowledge.Space
}

// slab holds the vectors of one space, one after the other in order of Seq.
type slab struct {
	used int64 // guarded by slabCache.mu, as is size
	size int   // floats, and some for the slab itself

	mu        sync.Mutex
	loaded    bool
	deletions int64
	last      int64
	view      slabView
}

// slabView is a slab at one moment. Its slices are never written to within their length.
type slabView struct {
	embedder string
	dims     int
	seqs     []int64
	data     []float32
}

// row returns the i-th vector.
func (v slabView) row(i int) []float32 { return v.data[i*v.dims : (i+1)*v.dims] }

// view returns the vectors of a space as they are committed now.
func (c *slabCache) view(ctx context.Context, r *KnowledgeRepo, sc account.Scope, space knowledge.Space) (slabView, error) {
	key := slabKey{sc.Tenant, space}
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
	if err := sl.refresh(ctx, r, sc, space); err != nil {
		return slabView{}, err
	}
	c.account(key, sl, len(sl.view.data))
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
func (sl *slab) refresh(ctx context.Context, r *KnowledgeRepo, sc account.Scope, space knowledge.Space) error {
	st, err := r.state(ctx, r.s.reader, sc, space, "")
	if err != nil {
		return err
	}
	switch {
	case sl.loaded && st.Deletions == sl.deletions && st.LastSeq == sl.last:
		return nil
	case sl.loaded && st.Deletions == sl.deletions:
		ok, err := sl.read(ctx, r, sc, space, false)
		if ok || err != nil {
			return err
		}
	}
	_, err = sl.read(ctx, r, sc, space, true)
	return err
}

// errSlab means that rows appeared where none can: the database was exchanged under a running server. The next use reads it anew.
var errSlab = errors.New("bunstore: the knowledge in memory is not that of the database")

// read reads what the slab lacks: the rows after its last one, or, with everything, the places of all rows and the vectors of
// those that it lacks. It reports false, and changes nothing, when there were deletions and it was not asked for everything.
func (sl *slab) read(ctx context.Context, r *KnowledgeRepo, sc account.Scope, space knowledge.Space, everything bool) (bool, error) {
	from, have := sl.last, sl.last
	if everything {
		from = 0
	}
	rows, err := r.s.reader.QueryContext(ctx, `
		SELECT s.embedder, s.deletions, s.last_seq, e.seq, CASE WHEN e.seq > ? THEN e.embedding END
		FROM knowledge_spaces AS s LEFT JOIN knowledge_entries AS e
			ON e.tenant_id = s.tenant_id AND e.space_id = s.space_id AND e.seq > ? AND e.embedder = s.embedder
		WHERE s.tenant_id = ? AND s.space_id = ? ORDER BY e.seq`, have, from, sc.Tenant, spaceID(space))
	if err != nil {
		return false, mapErr(err)
	}
	defer rows.Close()
	next := sl.view
	old := sl.view
	if everything {
		next = slabView{}
	}
	deletions, last, at := sl.deletions, sl.last, 0
	var raw sql.RawBytes
	for rows.Next() {
		var seq sql.NullInt64
		if err := rows.Scan(&next.embedder, &deletions, &last, &seq, &raw); err != nil {
			return false, mapErr(err)
		}
		if !everything && (deletions != sl.deletions || next.embedder != old.embedder && len(old.seqs) > 0) {
			return false, nil
		}
		if !seq.Valid {
			break // a space without rows
		}
		if raw == nil { // one that the slab has
			for at < len(old.seqs) && old.seqs[at] != seq.Int64 {
				at++
			}
			if at == len(old.seqs) {
				sl.view, sl.last, sl.loaded = slabView{}, 0, false
				return false, errSlab
			}
			next.data = append(next.data, old.row(at)...)
		} else {
			if next.data, err = appendVector(next.data, raw); err != nil {
				return false, err
			}
		}
		next.seqs = append(next.seqs, seq.Int64)
		if next.dims == 0 {
			next.dims = len(next.data)
		}
	}
	if err := rows.Err(); err != nil {
		return false, mapErr(err)
	}
	sl.view, sl.deletions, sl.last, sl.loaded = next, deletions, last, true
	return true, nil
}

// parallel splits the rows of v between the processors.
func (v slabView) parallel(fn func(part, from, to int)) (parts int) {
	const least = 2048 // rows: below, starting a goroutine costs more than it saves
	n := len(v.seqs)
	parts = max(1, min(runtime.GOMAXPROCS(0), n/least))
	var wg sync.WaitGroup
	for p := range parts {
		wg.Go(func() { fn(p, n*p/parts, n*(p+1)/parts) })
	}
	wg.Wait()
	return parts
}

// twins offers to t every row that may be a twin of one of its vectors.
func (v slabView) twins(t *twins) {
	border := float32(t.threshold - similarityError)
	found := make([]*twins, runtime.GOMAXPROCS(0)+1)
	parts := v.parallel(func(part, from, to int) {
		mine := newTwins(t.vectors, t.threshold)
		found[part] = mine
		for row := from; row < to; row++ {
			have := v.row(row)
			for i, want := range t.vectors {
				if len(want) == v.dims && dot(want, have) >= border {
					mine.offerTo(i, v.seqs[row], have)
				}
			}
		}
	})
	for _, f := range found[:parts] {
		for i := range f.seq {
			t.take(i, f.seq[i], f.sim[i])
		}
	}
}

// nearest offers the limit rows nearest to want, and whatever is as near as the last of them.
func (v slabView) nearest(want embedding.Vector, limit int, offer func(seq int64, v embedding.Vector)) {
	if len(want) != v.dims || len(v.seqs) == 0 {
		return
	}
	dots := make([]float32, len(v.seqs))
	v.parallel(func(_, from, to int) {
		for row := from; row < to; row++ {
			dots[row] = dot(want, v.row(row))
		}
	})
	border := float32(-2)
	if limit < len(dots) {
		sorted := slices.Clone(dots)
		slices.Sort(sorted)
		border = sorted[len(sorted)-limit] - similarityError
	}
	for row, d := range dots {
		if d >= border {
			offer(v.seqs[row], v.row(row))
		}
	}
}

// dot is the scalar product in float32, of two vectors of one length. Eight sums keep the processor's adders busy.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	for len(a) >= 8 {
		x, y := (*[8]float32)(a), (*[8]float32)(b)
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
		s4 += x[4] * y[4]
		s5 += x[5] * y[5]
		s6 += x[6] * y[6]
		s7 += x[7] * y[7]
		a, b = a[8:], b[8:]
	}
	for i := range a {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3) + (s4 + s5) + (s6 + s7)
}
