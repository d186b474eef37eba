package knowledge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
)

// maxAttempts is how often Ingest starts anew because entries were deleted under it. The last attempt looks at everything inside
// its transaction, where nothing can be.
const maxAttempts = 4

// errMoved makes Ingest start anew.
var errMoved = errors.New("entries were deleted meanwhile")

// Ingest stores the chunks that have no twin in the space, nor in an earlier chunk, and tells the twin of each of the others. All
// chunks are checked before any is stored: ErrInvalid names each fault by its path, "chunks[3].text". It returns
// ErrEmbedderChanged when the entries come from another embedder, and the embedder's errors.
//
// The texts are embedded and compared with what is there before the space is locked; under the lock they are compared with what
// came meanwhile. So the lock is short, and no twins get in.
func (s *Service) Ingest(ctx context.Context, sc account.Scope, req IngestRequest) (IngestResult, error) {
	b, err := newBatch(req.Chunks)
	if err != nil {
		return IngestResult{}, err
	}
	spaces, err := s.resolve(ctx, sc, req.Into, true)
	if err != nil {
		return IngestResult{}, err
	}
	for attempt := 1; ; attempt++ {
		res, err := s.ingest(ctx, sc, spaces[0], b, attempt == maxAttempts)
		if !errors.Is(err, errMoved) {
			return res, err
		}
		if attempt == maxAttempts {
			return IngestResult{}, ErrBusy.Wrap(err)
		}
	}
}

// ingest is one attempt. With inside everything is embedded and compared under the lock.
func (s *Service) ingest(ctx context.Context, sc account.Scope, space Space, b *batch, inside bool) (IngestResult, error) {
	seen, err := s.state(ctx, sc, space)
	if err != nil {
		return IngestResult{}, err
	}
	found := map[Hash]Match{}
	if !inside {
		if err := s.lookUp(ctx, sc, space, b, 0, found); err != nil {
			return IngestResult{}, err
		}
	}
	if err := s.embedMissing(ctx, b, found); err != nil {
		return IngestResult{}, err
	}
	if !inside {
		if err := s.compare(ctx, sc, space, b, 0, found); err != nil {
			return IngestResult{}, err
		}
	}
	b.pairUp(s.threshold)
	var res IngestResult
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		now, err := s.d.Ingestion.Lock(ctx, sc, space)
		if err != nil {
			return err
		}
		if err := s.comparable(now); err != nil {
			return err
		}
		if !inside && now.Deletions != seen.Deletions {
			return errMoved
		}
		after := seen.LastSeq
		if inside {
			after = 0
		}
		// The closure may run again: what it finds is its own.
		late := map[Hash]Match{}
		for h, m := range found {
			late[h] = m
		}
		if now.LastSeq > after && now.Entries > 0 {
			if err := s.lookUp(ctx, sc, space, b, after, late); err != nil {
				return err
			}
			if err := s.compare(ctx, sc, space, b, after, late); err != nil {
				return err
			}
		}
		var entries []Stored
		entries, res = s.decide(space, b, late, now.LastSeq)
		if len(entries) == 0 {
			return nil
		}
		return s.d.Ingestion.Insert(ctx, sc, space, entries)
	})
	if err != nil {
		return IngestResult{}, err
	}
	s.d.Logger.DebugContext(ctx, "knowledge ingested", "tenant_id", sc.Tenant, "space", space.String(), "stored", res.Stored,
		"skipped", len(res.Skipped))
	return res, nil
}

// batch is a checked request with what has been found out about its texts.
type batch struct {
	chunks  []Chunk
	hashes  []Hash
	first   map[Hash]int // the first chunk of each hash: the only one that is embedded and compared
	vectors map[int]embedding.Vector
	pairs   map[[2]int]float64 // chunks i > j whose similarity reaches the threshold
}

func newBatch(chunks []Chunk) (*batch, error) {
	k := &checker{}
	if len(chunks) == 0 || len(chunks) > MaxChunks {
		k.Addf("chunks", "has %d entries; 1 to %d are allowed", len(chunks), MaxChunks)
		return nil, k.Err(ErrInvalid)
	}
	b := &batch{first: map[Hash]int{}, vectors: map[int]embedding.Vector{}}
	for i, c := range chunks {
		path := fmt.Sprintf("chunks[%d]", i)
		k.Given(path+".text", c.Text, MaxText)
		k.Given(path+".source", c.Source, MaxSource)
		c.Metadata = k.metadata(path+".metadata", c.Metadata)
		h := HashOf(c.Text)
		b.chunks, b.hashes = append(b.chunks, c), append(b.hashes, h)
		if _, ok := b.first[h]; !ok {
			b.first[h] = i
		}
	}
	return b, k.Err(ErrInvalid)
}

// metadata returns raw compacted when it is an object, and nil for null.
func (k *checker) metadata(path string, raw json.RawMessage) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var out bytes.Buffer
	switch {
	case !utf8.Valid(raw) || json.Compact(&out, raw) != nil || out.Bytes()[0] != '{':
		k.Addf(path, "must be a JSON object")
	case out.Len() > MaxMetadataBytes:
		k.Addf(path, "has %d bytes; at most %d are allowed", out.Len(), MaxMetadataBytes)
	}
	return out.Bytes()
}

// lookUp adds to found the hashes of the batch that entries after a Seq have.
func (s *Service) lookUp(ctx context.Context, sc account.Scope, space Space, b *batch, after int64, found map[Hash]Match) error {
	var ask []Hash
	for i, h := range b.hashes {
		if _, ok := found[h]; !ok && b.first[h] == i {
			ask = append(ask, h)
		}
	}
	known, err := s.d.Ingestion.Hashes(ctx, sc, space, ask, after)
	if err != nil {
		return err
	}
	for h, e := range known {
		found[h] = Match{e, 1}
	}
	return nil
}

// embedMissing embeds what may have to be stored and has no vector yet.
func (s *Service) embedMissing(ctx context.Context, b *batch, found map[Hash]Match) error {
	var texts []string
	var at []int
	for i, h := range b.hashes {
		if _, ok := found[h]; ok || b.first[h] != i || b.vectors[i] != nil {
			continue
		}
		texts, at = append(texts, b.chunks[i].Text), append(at, i)
	}
	vectors, err := s.embed(ctx, texts)
	if err != nil {
		return err
	}
	for j, i := range at {
		b.vectors[i] = vectors[j]
	}
	return nil
}

// compare adds to found the twins that entries after a Seq have among the embedded chunks.
func (s *Service) compare(ctx context.Context, sc account.Scope, space Space, b *batch, after int64, found map[Hash]Match) error {
	var vectors []embedding.Vector
	var of []Hash
	for i, h := range b.hashes {
		if m, ok := found[h]; b.vectors[i] != nil && (!ok || m.Similarity < 1) {
			vectors, of = append(vectors, b.vectors[i]), append(of, h)
		}
	}
	if len(vectors) == 0 {
		return nil
	}
	twins, err := s.d.Ingestion.Twins(ctx, sc, space, s.embedder.Name, vectors, s.threshold, after)
	if err != nil {
		return err
	}
	for i, m := range twins {
		if was, ok := found[of[i]]; !m.Entry.IsZero() && (!ok || m.Similarity > was.Similarity) {
			found[of[i]] = m
		}
	}
	return nil
}

// pairUp finds the twins inside the batch.
func (b *batch) pairUp(threshold float64) {
	b.pairs = map[[2]int]float64{}
	for i := range b.chunks {
		for j := range i {
			if b.vectors[i] == nil || b.vectors[j] == nil {
				continue
			}
			if c := embedding.Cosine(b.vectors[i], b.vectors[j]); c >= threshold {
				b.pairs[[2]int{i, j}] = c
			}
		}
	}
}

// decide goes through the chunks in order: each is stored unless it has a twin among the entries or the chunks stored before it.
func (s *Service) decide(space Space, b *batch, found map[Hash]Match, last int64) ([]Stored, IngestResult) {
	now := clock.Stored(s.d.Clock.Now())
	res := IngestResult{Total: len(b.chunks)}
	var entries []Stored
	taken := map[int]id.Knowledge{}
	for i, c := range b.chunks {
		h := b.hashes[i]
		m, twin := found[h]
		if !twin {
			if e, ok := taken[b.first[h]]; ok {
				m, twin = Match{e, 1}, true
			}
		}
		for j := range i {
			e, stored := taken[j]
			if sim, ok := b.pairs[[2]int{i, j}]; ok && stored && (!twin || sim > m.Similarity) {
				m, twin = Match{e, sim}, true
			}
		}
		if twin {
			res.Skipped = append(res.Skipped, Skipped{Index: i, DuplicateOf: m.Entry, Similarity: m.Similarity})
			found[h] = m // a later chunk of the same hash has no vector of its own
			continue
		}
		last++
		e := Stored{Vector: b.vectors[i], Entry: Entry{
			ID: id.New[id.KnowledgeKind](s.d.IDs), Space: space, Seq: last, Text: c.Text, Source: c.Source, Metadata: c.Metadata, Hash: h,
			Embedder: s.embedder.Name, CreatedAt: now,
		}}
		entries = append(entries, e)
		taken[i] = e.ID
	}
	res.Stored = len(entries)
	return entries, res
}
