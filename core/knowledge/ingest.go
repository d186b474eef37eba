package knowledge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
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
// chunks are checked before any is stored: ErrInvalid names each fault by its path, "chunks[3].text". It returns the embedder's errors.
//
// The texts are embedded and compared with what is there before the space is locked; under the lock they are compared with what
// came meanwhile. So the lock is short, and no twins get in.
//
// While a space is being re-embedded, texts are compared by their hash with all entries, and by similarity with those that have a vector
// by the server's embedder: what it makes of the others is told when they get theirs.
func (s *Service) Ingest(ctx context.Context, sc account.Scope, req IngestRequest) (IngestResult, error) {
	b, err := newBatch(req.Chunks)
	if err != nil {
		return IngestResult{}, err
	}
	spaces, err := s.resolve(ctx, sc, req.Into, true)
	if err != nil {
		return IngestResult{}, err
	}
	b.by, b.guard = req.Into.Agent, s.keepVariants
	if req.KeepNumericVariants != nil {
		b.guard = *req.KeepNumericVariants
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
	seen, err := s.d.Ingestion.State(ctx, sc, space)
	if err != nil {
		return IngestResult{}, err
	}
	found := map[Hash]Twins{}
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
		if !inside && now.Deletions != seen.Deletions {
			return errMoved
		}
		after, place := seen.LastSeq, seen.LastPlace
		if inside {
			after, place = 0, 0
		}
		// The closure may run again: what it finds is its own.
		late := maps.Clone(found)
		if now.LastSeq > after && now.Entries > 0 {
			if err := s.lookUp(ctx, sc, space, b, after, late); err != nil {
				return err
			}
		}
		if now.LastPlace > place && now.Entries > 0 {
			if err := s.compare(ctx, sc, space, b, place, late); err != nil {
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
	by      id.Agent
	guard   bool // texts whose numbers differ are no twins
	chunks  []Chunk
	hashes  []Hash
	numbers []Numbers
	words   [][]string
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
		b.numbers, b.words = append(b.numbers, NumbersOf(c.Text)), append(b.words, WordsOf(c.Text))
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

// typeOf returns what metadata say an entry is.
func typeOf(metadata json.RawMessage) string {
	var m struct {
		Type json.RawMessage `json:"type"`
	}
	var text string
	if json.Unmarshal(metadata, &m) != nil || json.Unmarshal(m.Type, &text) != nil || strings.ContainsRune(text, 0) {
		return ""
	}
	if r := []rune(text); len(r) > MaxType {
		text = string(r[:MaxType])
	}
	return text
}

// twin returns the entry because of which a text is not stored.
func (b *batch) twin(t Twins) Match {
	if b.guard {
		return t.Same
	}
	return t.Any
}

// lookUp adds to found the hashes of the batch that entries after a Seq have.
func (s *Service) lookUp(ctx context.Context, sc account.Scope, space Space, b *batch, after int64, found map[Hash]Twins) error {
	var ask []Hash
	for i, h := range b.hashes {
		if b.twin(found[h]).Similarity < 1 && b.first[h] == i {
			ask = append(ask, h)
		}
	}
	known, err := s.d.Ingestion.Hashes(ctx, sc, space, ask, after)
	if err != nil {
		return err
	}
	for h, e := range known {
		found[h] = Twins{Match{e, 1}, Match{e, 1}}
	}
	return nil
}

// embedMissing embeds what may have to be stored and has no vector yet.
func (s *Service) embedMissing(ctx context.Context, b *batch, found map[Hash]Twins) error {
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

// compare adds to found the twins among the vectors after a place.
func (s *Service) compare(ctx context.Context, sc account.Scope, space Space, b *batch, after int64, found map[Hash]Twins) error {
	var probes []Probe
	var of []Hash
	for i, h := range b.hashes {
		if b.vectors[i] != nil && b.twin(found[h]).Similarity < 1 {
			probes, of = append(probes, Probe{b.vectors[i], b.numbers[i]}), append(of, h)
		}
	}
	if len(probes) == 0 {
		return nil
	}
	twins, err := s.d.Ingestion.Twins(ctx, sc, space, s.embedder.Name, probes, s.threshold, after)
	if err != nil {
		return err
	}
	for i, t := range twins {
		was := found[of[i]]
		found[of[i]] = Twins{Any: better(was.Any, t.Any), Same: better(was.Same, t.Same)}
	}
	return nil
}

// better returns the more similar of two Matches, a where they are equal.
func better(a, b Match) Match {
	if a.Entry.IsZero() || !b.Entry.IsZero() && b.Similarity > a.Similarity {
		return b
	}
	return a
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
func (s *Service) decide(space Space, b *batch, found map[Hash]Twins, last int64) ([]Stored, IngestResult) {
	now := clock.Stored(s.d.Clock.Now())
	res := IngestResult{Total: len(b.chunks)}
	var entries []Stored
	taken := map[int]id.Knowledge{}
	for i, c := range b.chunks {
		h := b.hashes[i]
		twins := found[h]
		if e, ok := taken[b.first[h]]; ok {
			twins = Twins{Match{e, 1}, Match{e, 1}}
		}
		for j := range i {
			e, stored := taken[j]
			sim, pair := b.pairs[[2]int{i, j}]
			if !pair || !stored {
				continue
			}
			twins.Any = better(twins.Any, Match{e, sim})
			if b.numbers[i].Same(b.numbers[j]) {
				twins.Same = better(twins.Same, Match{e, sim})
			}
		}
		if m := b.twin(twins); !m.Entry.IsZero() {
			res.Skipped = append(res.Skipped, Skipped{Index: i, DuplicateOf: m.Entry, Similarity: m.Similarity})
			found[h] = twins // a later chunk of the same hash has no vector of its own
			continue
		}
		if m := twins.Any; !m.Entry.IsZero() {
			res.Kept = append(res.Kept, Skipped{Index: i, DuplicateOf: m.Entry, Similarity: m.Similarity})
		}
		last++
		e := Stored{Vector: b.vectors[i], Numbers: b.numbers[i], Words: b.words[i], Entry: Entry{
			ID: id.New[id.KnowledgeKind](s.d.IDs), Space: space, Seq: last, Text: c.Text, Source: c.Source, Type: typeOf(c.Metadata),
			Metadata: c.Metadata, Hash: h, Embedder: s.embedder.Name, By: b.by, CreatedAt: now,
		}}
		entries = append(entries, e)
		taken[i] = e.ID
	}
	res.Stored = len(entries)
	return entries, res
}
