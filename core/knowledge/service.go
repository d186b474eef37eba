package knowledge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Agents tells of the agents that own knowledge; agent.Service and agent.Repository do.
type Agents interface {
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (agent.Agent, error)
}

// Swarms tells of the swarms that own knowledge. app wires core/swarm, or NoSwarms.
type Swarms interface {
	// CheckSwarm returns id.NotFound[id.SwarmKind] when the tenant has no such swarm.
	CheckSwarm(ctx context.Context, sc account.Scope, swarm id.Swarm) error
}

// NoSwarms is the Swarms of a server without any.
type NoSwarms struct{}

// CheckSwarm finds nothing.
func (NoSwarms) CheckSwarm(_ context.Context, _ account.Scope, swarm id.Swarm) error {
	return id.NotFound[id.SwarmKind](swarm.String())
}

// Deps is what a Service needs. All fields are required.
type Deps struct {
	TX          tx.Runner
	Clock       clock.Clock
	IDs         id.Generator
	Logger      *slog.Logger
	Ingestion   Ingestion
	Repository  Repository
	Reembedding Reembedding
	Embedder    embedding.Embedder
	Agents      Agents
	Swarms      Swarms
}

// Config of a Service.
type Config struct {
	// Threshold is the cosine similarity from which on two texts are twins, in (0, 1]; 0 is DefaultThreshold.
	Threshold float64
	// KeepNumericVariants is that of requests which do not say.
	KeepNumericVariants bool
}

// Service stores, lists, removes and finds knowledge. It is safe for concurrent use.
type Service struct {
	d            Deps
	threshold    float64
	keepVariants bool
	embedder     embedding.Info
	reembedding  sync.Mutex // held while this process re-embeds
}

// NewService returns a Service, or an error that names what is missing or wrong.
func NewService(d Deps, cfg Config) (*Service, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("knowledge: Deps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("knowledge: Deps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("knowledge: Deps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("knowledge: Deps.Logger is required")
	case d.Ingestion == nil:
		return nil, errors.New("knowledge: Deps.Ingestion is required")
	case d.Repository == nil:
		return nil, errors.New("knowledge: Deps.Repository is required")
	case d.Reembedding == nil:
		return nil, errors.New("knowledge: Deps.Reembedding is required")
	case d.Embedder == nil:
		return nil, errors.New("knowledge: Deps.Embedder is required")
	case d.Agents == nil:
		return nil, errors.New("knowledge: Deps.Agents is required")
	case d.Swarms == nil:
		return nil, errors.New("knowledge: Deps.Swarms is required")
	}
	if cfg.Threshold == 0 {
		cfg.Threshold = DefaultThreshold
	}
	if !(cfg.Threshold > 0 && cfg.Threshold <= 1) {
		return nil, errors.New("knowledge: Config.Threshold must be above 0 and at most 1")
	}
	return &Service{d: d, threshold: cfg.Threshold, keepVariants: cfg.KeepNumericVariants, embedder: d.Embedder.Info()}, nil
}

// resolve returns the spaces that of stands for: first the one that entries are stored in and listed from, then, for a member of a
// swarm, its own, which is searched besides.
func (s *Service) resolve(ctx context.Context, sc account.Scope, of Space, writes bool) ([]Space, error) {
	if of.Agent.IsZero() == of.Swarm.IsZero() {
		const what = "exactly one of agent_id and swarm_id is required"
		return nil, ErrInvalid.Withf(what).WithFields(fault.Field{Path: "agent_id", Message: what})
	}
	if !of.Swarm.IsZero() {
		return []Space{of}, s.d.Swarms.CheckSwarm(ctx, sc, of.Swarm)
	}
	a, err := s.d.Agents.Get(ctx, sc, of.Agent)
	if err != nil {
		return nil, err
	}
	if writes && a.Standing == agent.Archived {
		return nil, agent.ErrArchived.Withf("agent %s is archived", a.ID)
	}
	if a.Swarm.IsZero() {
		return []Space{of}, nil
	}
	return []Space{{Swarm: a.Swarm}, of}, nil
}

// List lists entries, newest first.
func (s *Service) List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Entry], error) {
	spaces, err := s.resolve(ctx, sc, req.In, false)
	if err != nil {
		return page.Page[Entry]{}, err
	}
	req.In = spaces[0]
	return s.d.Repository.List(ctx, sc, req)
}

// Delete removes entries and returns how many there were. It returns ErrInvalid unless exactly one of ID, Source and All is set and
// All is confirmed, and id.NotFound for an ID that is not in the space. A source without entries is no error.
func (s *Service) Delete(ctx context.Context, sc account.Scope, req DeleteRequest) (int, error) {
	ways := 0
	for _, set := range []bool{!req.ID.IsZero(), req.Source != "", req.All} {
		if set {
			ways++
		}
	}
	switch {
	case ways != 1:
		const what = "exactly one of id, source and all is required"
		return 0, ErrInvalid.Withf(what).WithFields(fault.Field{Path: "id", Message: what})
	case req.All && !req.Confirm:
		const what = "deleting all entries requires confirm=true"
		return 0, ErrInvalid.Withf(what).WithFields(fault.Field{Path: "confirm", Message: what})
	}
	spaces, err := s.resolve(ctx, sc, req.In, false)
	if err != nil {
		return 0, err
	}
	req.In = spaces[0]
	var n int
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		n, err = s.d.Repository.Delete(ctx, sc, req)
		return err
	})
	if err != nil {
		return 0, err
	}
	if n == 0 && !req.ID.IsZero() {
		return 0, id.NotFound[id.KnowledgeKind](req.ID.String())
	}
	return n, nil
}

// embed calls the embedder and holds it to its contract: what goes wrong here would be found out much later, as knowledge that
// nothing finds. Norms that are almost 1 become 1, as exactly as float32 can, so that stores may compare by products.
func (s *Service) embed(ctx context.Context, texts []string) ([]embedding.Vector, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	out, err := s.d.Embedder.Embed(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("embed %d texts: %w", len(texts), err)
	}
	if len(out) != len(texts) {
		return nil, ErrEmbedder.Withf("%d vectors for %d texts", len(out), len(texts))
	}
	for i, v := range out {
		if len(v) != s.embedder.Dimensions {
			return nil, ErrEmbedder.Withf("a vector of %d dimensions; %s has %d", len(v), s.embedder.Name, s.embedder.Dimensions)
		}
		var square float64
		for _, x := range v {
			square += float64(x) * float64(x)
		}
		if math.IsNaN(square) || math.Abs(square-1) > 1e-3 {
			return nil, ErrEmbedder.Withf("a vector of square norm %g", square)
		}
		out[i] = make(embedding.Vector, len(v))
		for j, x := range v {
			out[i][j] = float32(float64(x) / math.Sqrt(square))
		}
	}
	return out, nil
}

// checker gathers every fault of a request.
type checker struct{ check.Faults }
