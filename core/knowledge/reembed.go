package knowledge

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

const (
	// reservation is how long a process has to embed one chunk of a space. One that dies leaves the space to others after this time.
	reservation = time.Minute
	// spacesAtOnce is how many spaces Reembed asks for at a time.
	spacesAtOnce = 50
	// MaxPairs is how many pairs of twins are kept for one space.
	MaxPairs = 100
	// maxReason is how many bytes of an error are told.
	maxReason = 500
)

// Owned is a space with its tenant.
type Owned struct {
	Tenant id.Tenant
	Space  Space
}

// Pair is two entries that another embedder than the one they were compared by calls twins. Both stay.
type Pair struct {
	Entry, Twin id.Knowledge
	Similarity  float64
}

// ProgressState says how far the re-embedding of a space is.
type ProgressState string

// The states of re-embedding.
const (
	Waiting  ProgressState = "waiting"  // nobody works on it now
	Running  ProgressState = "running"  // vectors are being made
	Finished ProgressState = "finished" // the new embedder is the space's
)

// ProgressRequest asks how far re-embedding is.
type ProgressRequest struct {
	page.Request
	In  Space     // this space only; zero: all of the tenant
	Now time.Time // set by the service
}

// Progress is how far the re-embedding of a space is.
type Progress struct {
	Space      Space
	From, To   string // embedders
	State      ProgressState
	Total      int    // entries
	Done       int    // of these, have a vector by To
	Twins      int    // pairs of entries that To calls twins, and From did not
	Pairs      []Pair // the first MaxPairs of them whose entries are there
	StartedAt  time.Time
	FinishedAt time.Time // zero until then
	Error      string    // why the last try was given up; it is tried again
}

// Reembed makes vectors by the server's embedder for entries that have none, for all tenants, and returns how many. Each chunk is
// stored before the next is embedded, so that whoever comes after a crash goes on where it stopped. A space is switched to the new
// vectors once all are there, at one moment; until then searches in it go by words. Only one call at a time works in a process.
//
// Entries that the new embedder calls twins stay: they were told to be stored. Their pairs are noted.
func (s *Service) Reembed(ctx context.Context) (int, error) {
	if !s.reembedding.TryLock() {
		return 0, nil
	}
	defer s.reembedding.Unlock()
	stale, err := s.d.Reembedding.Stale(ctx, s.embedder.Name, s.d.Clock.Now(), spacesAtOnce)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, of := range stale {
		sc := account.System(of.Tenant)
		n, err := s.reembed(ctx, sc, of.Space)
		total += n
		if err == nil {
			continue
		}
		s.d.Logger.WarnContext(ctx, "knowledge not re-embedded", "tenant_id", of.Tenant, "space", of.Space.String(), "error", err)
		// Also when ctx has ended: whoever goes on need not wait for the reservation's end.
		if err := s.d.Reembedding.Release(context.WithoutCancel(ctx), sc, of.Space, reasonOf(ctx, err)); err != nil {
			return total, err
		}
		if ctx.Err() != nil {
			return total, ctx.Err()
		}
	}
	return total, nil
}

// reasonOf is what of an error a tenant is told.
func reasonOf(ctx context.Context, err error) string {
	f, known := fault.As(err)
	switch {
	case ctx.Err() != nil:
		return ""
	case !known || f.Kind == fault.Internal:
		return "an internal error; see the server's log"
	}
	return f.Message[:min(len(f.Message), maxReason)]
}

// reembed works on one space until it is switched, or somebody else has it.
func (s *Service) reembed(ctx context.Context, sc account.Scope, space Space) (int, error) {
	now := s.d.Clock.Now()
	ours := false
	err := s.d.TX.Do(ctx, func(ctx context.Context) (err error) {
		ours, err = s.d.Reembedding.Begin(ctx, sc, space, s.embedder.Name, now, now.Add(reservation))
		return err
	})
	for n := 0; ; {
		if err != nil || !ours {
			return n, err
		}
		missing, err := s.d.Reembedding.Missing(ctx, sc, space, s.embedder.Name, MaxChunks)
		if err != nil {
			return n, err
		}
		if len(missing) == 0 {
			done, err := s.finish(ctx, sc, space)
			if done || err != nil {
				return n, err
			}
			continue
		}
		if err := s.stage(ctx, sc, space, missing); err != nil {
			return n, err
		}
		n += len(missing)
	}
}

// finish switches a space, unless an entry without a vector came meanwhile.
func (s *Service) finish(ctx context.Context, sc account.Scope, space Space) (done bool, err error) {
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		done = false
		if _, err := s.d.Ingestion.Lock(ctx, sc, space); err != nil {
			return err
		}
		left, err := s.d.Reembedding.Missing(ctx, sc, space, s.embedder.Name, 1)
		if err != nil || len(left) > 0 {
			return err
		}
		done = true
		return s.d.Reembedding.Finish(ctx, sc, space, s.embedder.Name, clock.Stored(s.d.Clock.Now()))
	})
	if err == nil && done {
		s.d.Logger.InfoContext(ctx, "knowledge re-embedded", "tenant_id", sc.Tenant, "space", space.String(), "embedder", s.embedder.Name)
	}
	return done, err
}

// stage embeds some entries and stores their vectors.
func (s *Service) stage(ctx context.Context, sc account.Scope, space Space, missing []Entry) error {
	texts := make([]string, len(missing))
	for i, e := range missing {
		texts[i] = e.Text
	}
	vectors, err := s.embed(ctx, texts)
	if err != nil {
		return err
	}
	staged, probes := make([]Stored, len(missing)), make([]Probe, len(missing))
	for i, e := range missing {
		staged[i] = Stored{Entry: e, Vector: vectors[i], Numbers: NumbersOf(e.Text)}
		probes[i] = Probe{vectors[i], staged[i].Numbers}
	}
	twins, err := s.d.Ingestion.Twins(ctx, sc, space, s.embedder.Name, probes, s.threshold, 0)
	if err != nil {
		return err
	}
	var pairs []Pair
	for i := range staged {
		if m := twins[i].Any; !m.Entry.IsZero() && m.Entry != staged[i].ID {
			pairs = append(pairs, Pair{staged[i].ID, m.Entry, m.Similarity})
			continue
		}
		for j := range i {
			if c := embedding.Cosine(vectors[i], vectors[j]); c >= s.threshold {
				pairs = append(pairs, Pair{staged[i].ID, staged[j].ID, c})
				break
			}
		}
	}
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		if _, err := s.d.Ingestion.Lock(ctx, sc, space); err != nil {
			return err
		}
		return s.d.Reembedding.Stage(ctx, sc, space, s.embedder.Name, staged, pairs, s.d.Clock.Now().Add(reservation))
	})
}

// Reembedding tells how far the spaces of the tenant are that are to be re-embedded, are being, or were.
func (s *Service) Reembedding(ctx context.Context, sc account.Scope, req ProgressRequest) (page.Page[Progress], error) {
	if req.In != (Space{}) {
		spaces, err := s.resolve(ctx, sc, req.In, false)
		if err != nil {
			return page.Page[Progress]{}, err
		}
		req.In = spaces[0]
	}
	req.Now = s.d.Clock.Now()
	return s.d.Reembedding.Progress(ctx, sc, s.embedder.Name, req)
}

// StartReembedding notes that a space is to be re-embedded by the server's embedder, which Reembed then does, and tells how far that is:
// Finished, when all its entries have vectors by that one.
func (s *Service) StartReembedding(ctx context.Context, sc account.Scope, of Space) (Progress, error) {
	spaces, err := s.resolve(ctx, sc, of, true)
	if err != nil {
		return Progress{}, err
	}
	space, now := spaces[0], s.d.Clock.Now()
	var st State
	err = s.d.TX.Do(ctx, func(ctx context.Context) (err error) {
		if st, err = s.d.Ingestion.Lock(ctx, sc, space); err != nil {
			return err
		}
		_, err = s.d.Reembedding.Begin(ctx, sc, space, s.embedder.Name, now, now)
		return err
	})
	if err != nil {
		return Progress{}, err
	}
	p, err := s.d.Reembedding.Progress(ctx, sc, s.embedder.Name, ProgressRequest{In: space, Now: now})
	switch {
	case err != nil:
		return Progress{}, err
	case len(p.Items) == 0: // it never had another embedder
		return Progress{Space: space, From: s.embedder.Name, To: s.embedder.Name, State: Finished, Total: st.Entries, Done: st.Entries}, nil
	}
	return p.Items[0], nil
}
