package bunstore

import (
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/embedding"
)

// similarityError bounds how far sums of float32 are from embedding.Cosine. Vectors that are nearer than this to a border are proposed,
// too; the verdict is embedding.Cosine's.
const similarityError = 1e-4

// stages are after how many components a product is given up when what is left cannot bring it to the threshold: by Cauchy and Schwarz
// the rest of it is at most the product of the lengths of the vectors' rests. Near the threshold of twins most pairs end at the first
// stage, and nothing is missed.
var stages = [...]int{32, 96, 192}

// rests are the lengths of a vector's rests after each of stages.
type rests [len(stages)]float32

func restsOf(v []float32) rests {
	var out rests
	var square float64
	end := len(v)
	for k := len(stages) - 1; k >= 0; k-- {
		for i := end - 1; i >= stages[k]; i-- {
			square += float64(v[i]) * float64(v[i])
		}
		end = min(end, stages[k])
		out[k] = float32(math.Sqrt(square))
	}
	return out
}

// block is some vectors of one space, one after the other in order of their places.
type block struct {
	places, seqs, numbers []int64
	data                  []float32
	rests                 []rests
}

// blockRows is how many vectors a block has at most.
const blockRows = 512

// rowOverhead is what a vector takes in a block beside its components, in floats.
const rowOverhead = 6 + len(stages)

func (b *block) add(place, seq, numbers int64, v []float32) {
	b.places, b.seqs, b.numbers = append(b.places, place), append(b.seqs, seq), append(b.numbers, numbers)
	b.data, b.rests = append(b.data, v...), append(b.rests, restsOf(v))
}

func (b *block) reset() {
	b.places, b.seqs, b.numbers, b.data, b.rests = b.places[:0], b.seqs[:0], b.numbers[:0], b.data[:0], b.rests[:0]
}

// row returns the i-th vector.
func (b *block) row(i, dims int) []float32 { return b.data[i*dims : (i+1)*dims] }

// found is the best of the entries that were compared with one probe; seq 0 is none.
type found struct {
	seq int64
	sim float64
}

func (f *found) take(seq int64, sim float64) {
	if seq != 0 && (f.seq == 0 || sim > f.sim || sim == f.sim && seq < f.seq) {
		f.seq, f.sim = seq, sim
	}
}

// twins gathers for each of some probes the best entry at or above the threshold. It is not safe for concurrent use.
type twins struct {
	probes    []knowledge.Probe
	heads     [][32]float32
	rests     []rests
	threshold float64
	dims      int
	any, same []found
}

func newTwins(probes []knowledge.Probe, threshold float64) *twins {
	t := &twins{probes: probes, threshold: threshold, any: make([]found, len(probes)), same: make([]found, len(probes))}
	for _, p := range probes {
		var head [32]float32
		copy(head[:], p.Vector)
		t.heads, t.rests, t.dims = append(t.heads, head), append(t.rests, restsOf(p.Vector)), len(p.Vector)
	}
	return t
}

// another returns twins for the same probes that has found nothing yet.
func (t *twins) another() *twins {
	o := *t
	o.any, o.same = make([]found, len(t.probes)), make([]found, len(t.probes))
	return &o
}

// join takes over what another one found.
func (t *twins) join(o *twins) {
	for i := range t.any {
		t.any[i].take(o.any[i].seq, o.any[i].sim)
		t.same[i].take(o.same[i].seq, o.same[i].sim)
	}
}

// look compares every vector of a block with every probe.
func (t *twins) look(b *block) {
	if len(b.seqs) == 0 || len(b.data) != len(b.seqs)*t.dims {
		return
	}
	border := float32(t.threshold - similarityError)
	for at := range b.seqs {
		row, left := b.row(at, t.dims), b.rests[at]
		if t.dims < stages[0] {
			for i := range t.probes {
				t.judge(i, b, at, row)
			}
			continue
		}
		head := (*[32]float32)(row)
		for i := range t.heads {
			d := dot32(&t.heads[i], head)
			if d+t.rests[i][0]*left[0] >= border && t.reaches(i, d, row, left, border) {
				t.judge(i, b, at, row)
			}
		}
	}
}

// reaches goes on with a product whose first 32 components are summed up to d.
func (t *twins) reaches(i int, d float32, row []float32, left rests, border float32) bool {
	v, from := t.probes[i].Vector, stages[0]
	for k, end := range stages[1:] {
		if end >= t.dims {
			break
		}
		d += dot(v[from:end], row[from:end])
		if d+t.rests[i][k+1]*left[k+1] < border {
			return false
		}
		from = end
	}
	return d+dot(v[from:], row[from:]) >= border
}

func (t *twins) judge(i int, b *block, at int, row []float32) {
	sim := embedding.Cosine(t.probes[i].Vector, row)
	if sim < t.threshold {
		return
	}
	t.any[i].take(b.seqs[at], sim)
	if t.probes[i].Numbers.Same(knowledge.Numbers(b.numbers[at])) {
		t.same[i].take(b.seqs[at], sim)
	}
}

// parallel splits blocks between the processors.
func parallel(blocks []block, fn func(part int, of []block)) (parts int) {
	const least = 4 // blocks: below, starting a goroutine costs more than it saves
	n := len(blocks)
	parts = max(1, min(runtime.GOMAXPROCS(0), n/least))
	var wg sync.WaitGroup
	for p := range parts {
		wg.Go(func() { fn(p, blocks[n*p/parts:n*(p+1)/parts]) })
	}
	wg.Wait()
	return parts
}

// lookAt compares blocks with the probes, on all processors.
func (t *twins) lookAt(blocks []block) {
	mine := make([]*twins, runtime.GOMAXPROCS(0)+1)
	parts := parallel(blocks, func(part int, of []block) {
		mine[part] = t.another()
		for i := range of {
			mine[part].look(&of[i])
		}
	})
	for _, m := range mine[:parts] {
		t.join(m)
	}
}

// nearest gathers the vectors that are most like one. It is not safe for concurrent use.
type nearest struct {
	want  embedding.Vector
	limit int
	among *places // nil: all
	top   []float32
	near  []found // with the products in float32; more than limit of them
}

func newNearest(req knowledge.NearestRequest) *nearest {
	return &nearest{want: req.Vector, limit: req.Limit, among: placesOf(req.Among)}
}

// look compares every vector of a block.
func (n *nearest) look(b *block) {
	dims := len(n.want)
	if len(b.data) != len(b.seqs)*dims {
		return
	}
	for at, seq := range b.seqs {
		if n.among != nil && !n.among.has(seq) {
			continue
		}
		d := dot(n.want, b.row(at, dims))
		if len(n.top) == n.limit && d < n.top[0]-similarityError {
			continue
		}
		n.offer(d, found{seq, embedding.Cosine(n.want, b.row(at, dims))})
	}
}

// offer keeps an entry, and from time to time forgets those that others have left behind.
func (n *nearest) offer(d float32, f found) {
	n.near = append(n.near, f)
	i, _ := slices.BinarySearch(n.top, d)
	if len(n.top) < n.limit {
		n.top = slices.Insert(n.top, i, d)
		return
	}
	if i > 0 {
		copy(n.top, n.top[1:i])
		n.top[i-1] = d
	}
	if len(n.near) > 4*n.limit+64 {
		n.near = n.best()
	}
}

// best returns the nearest entries, best first, equal ones in order of Seq.
func (n *nearest) best() []found {
	slices.SortFunc(n.near, func(a, b found) int {
		switch {
		case a.sim != b.sim && a.sim > b.sim:
			return -1
		case a.sim != b.sim:
			return 1
		}
		return int(a.seq - b.seq)
	})
	return n.near[:min(n.limit, len(n.near))]
}

func (n *nearest) lookAt(blocks []block) {
	mine := make([]*nearest, runtime.GOMAXPROCS(0)+1)
	parts := parallel(blocks, func(part int, of []block) {
		mine[part] = &nearest{want: n.want, limit: n.limit, among: n.among}
		for i := range of {
			mine[part].look(&of[i])
		}
	})
	for _, m := range mine[:parts] {
		n.near = append(n.near, m.best()...)
	}
}

// places is a set of Seqs.
type places struct {
	first int64
	bits  []uint64
}

// placesOf makes a set of Seqs in ascending order; nil is nil.
func placesOf(seqs []int64) *places {
	if seqs == nil {
		return nil
	}
	if len(seqs) == 0 {
		return &places{}
	}
	p := &places{first: seqs[0], bits: make([]uint64, (seqs[len(seqs)-1]-seqs[0])/64+1)}
	for _, s := range seqs {
		p.bits[(s-p.first)/64] |= 1 << ((s - p.first) % 64)
	}
	return p
}

func (p *places) has(seq int64) bool {
	i := seq - p.first
	return i >= 0 && i/64 < int64(len(p.bits)) && p.bits[i/64]&(1<<(i%64)) != 0
}

// dot32 is dot for 32 components, without its loop.
func dot32(a, b *[32]float32) float32 {
	s0 := a[0]*b[0] + a[8]*b[8] + a[16]*b[16] + a[24]*b[24]
	s1 := a[1]*b[1] + a[9]*b[9] + a[17]*b[17] + a[25]*b[25]
	s2 := a[2]*b[2] + a[10]*b[10] + a[18]*b[18] + a[26]*b[26]
	s3 := a[3]*b[3] + a[11]*b[11] + a[19]*b[19] + a[27]*b[27]
	s4 := a[4]*b[4] + a[12]*b[12] + a[20]*b[20] + a[28]*b[28]
	s5 := a[5]*b[5] + a[13]*b[13] + a[21]*b[21] + a[29]*b[29]
	s6 := a[6]*b[6] + a[14]*b[14] + a[22]*b[22] + a[30]*b[30]
	s7 := a[7]*b[7] + a[15]*b[15] + a[23]*b[23] + a[31]*b[31]
	return (s0 + s1) + (s2 + s3) + (s4 + s5) + (s6 + s7)
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
