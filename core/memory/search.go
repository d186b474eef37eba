package memory

import (
	"context"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// partSize is how many characters of a content are embedded together: what embedders take at a time, and what still has one subject.
const partSize = 2000

// pendingAtOnce bounds the memories that are embedded with one call.
const pendingAtOnce = 16

func isNotFound(err error) bool { return err != nil && fault.KindOf(err) == fault.NotFound }

// isOurs reports whether an error is about what the caller asked for.
func isOurs(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.NotFound, fault.Forbidden:
		return true
	}
	return false
}

// publicMessage is what an error says to callers.
func publicMessage(err error) string {
	if f, ok := fault.As(err); ok {
		return f.Message
	}
	return "it could not be stored"
}

// parts cuts a content into what is embedded. What holds nothing but blanks has no parts.
func parts(content string) []string {
	var out []string
	for content != "" {
		n, runes := 0, 0
		for n < len(content) && runes < partSize {
			_, w := utf8.DecodeRuneInString(content[n:])
			n += w
			runes++
		}
		if n < len(content) { // at a blank, where there is one
			if i := strings.LastIndexAny(content[:n], "\n "); i > n/2 {
				n = i + 1
			}
		}
		if strings.TrimSpace(content[:n]) != "" {
			out = append(out, content[:n])
		}
		content = content[n:]
	}
	return out
}

// vectors embeds a content. When the embedder is not there for now the content is embedded by the search that wants it.
func (s *Service) vectors(ctx context.Context, content string) (*Vectors, error) {
	v, err := s.embed(ctx, parts(content))
	if err != nil {
		switch fault.KindOf(err) {
		case fault.Unavailable, fault.RateLimited, fault.Timeout:
			s.d.Logger.WarnContext(ctx, "a memory is not embedded yet", "error", err)
			return &Vectors{}, nil
		}
		return nil, err
	}
	return &Vectors{Embedder: s.embedder.Name, Parts: v}, nil
}

// embed calls the embedder and holds it to its contract.
func (s *Service) embed(ctx context.Context, texts []string) ([]embedding.Vector, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	out, err := s.d.Embedder.Embed(ctx, texts)
	if err != nil {
		return nil, err
	}
	if len(out) != len(texts) {
		return nil, ErrEmbedder.Withf("%d vectors for %d texts", len(out), len(texts))
	}
	for _, v := range out {
		var square float64
		for _, x := range v {
			square += float64(x) * float64(x)
		}
		if len(v) != s.embedder.Dimensions || math.IsNaN(square) || math.Abs(square-1) > 1e-3 {
			return nil, ErrEmbedder.Withf("a vector of %d dimensions and square norm %g", len(v), square)
		}
	}
	return out, nil
}

// Search returns the memories that are most like the query, best first; limit 0 is DefaultHits, at most MaxHits. Nothing stored,
// nothing found: that is no error.
func (s *Service) Search(ctx context.Context, sc account.Scope, store id.MemoryStore, query string, limit int) ([]Hit, error) {
	k := &checker{}
	k.Text("query", query, MaxQuery)
	if strings.TrimSpace(query) == "" {
		k.Addf("query", "must not be empty")
	}
	if limit < 0 || limit > MaxHits {
		k.Addf("limit", "must be 1 to %d", MaxHits)
	}
	if err := k.Err(ErrInvalid); err != nil {
		return nil, err
	}
	st, err := s.d.Stores.Store(ctx, sc, store)
	if err != nil {
		return nil, err
	}
	if st.Memories == 0 {
		return nil, nil
	}
	if limit == 0 {
		limit = DefaultHits
	}
	if err := s.embedPending(ctx, sc, store); err != nil {
		return nil, err
	}
	v, err := s.embed(ctx, []string{query})
	if err != nil {
		return nil, err
	}
	return s.d.Index.Nearest(ctx, sc, store, s.embedder.Name, v[0], limit)
}

// embedPending embeds what was stored while the embedder was away, or by another embedder.
func (s *Service) embedPending(ctx context.Context, sc account.Scope, store id.MemoryStore) error {
	for range MaxMemories/pendingAtOnce + 1 {
		pending, err := s.d.Index.Pending(ctx, sc, store, s.embedder.Name, pendingAtOnce)
		if err != nil || len(pending) == 0 {
			return err
		}
		for _, m := range pending {
			v, err := s.embed(ctx, parts(m.Content))
			if err != nil {
				return err
			}
			err = s.d.TX.Do(ctx, func(ctx context.Context) error {
				return s.d.Index.SetVectors(ctx, sc, m, Vectors{s.embedder.Name, v})
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
