package span

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Directory is where agents are found and registered; *agent.Directory is one.
type Directory interface {
	// Get returns id.NotFound for an agent that the tenant does not have.
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (agent.Listed, error)
	List(ctx context.Context, sc account.Scope, r agent.DirectoryRequest) (page.Page[agent.Listed], error)
	// Register returns agent.ErrNameTaken when another agent has the name.
	Register(ctx context.Context, sc account.Scope, cfg agent.Config, p agent.Profile) (agent.Listed, error)
}

// claim is what a span, a record or a resource says about whose it is.
type claim struct {
	id       string // gen_ai.agent.id
	name     string // gen_ai.agent.name
	about    string // gen_ai.agent.description
	platform string // telemetry.sdk.language
}

// says returns the claim of attributes, and whether there is one.
func says(a Attributes) (claim, bool) {
	c := claim{
		id: short(strings.TrimSpace(text(a, "gen_ai.agent.id")), agent.MaxName), name: short(strings.TrimSpace(text(a, "gen_ai.agent.name")), agent.MaxName),
		about: short(text(a, "gen_ai.agent.description"), agent.MaxDescription),
	}
	return c, c.id != "" || c.name != ""
}

// claim returns whose a resource is.
func (o *Origin) claim() claim {
	c, ok := says(o.Resource)
	if !ok {
		c.name = short(o.service(), agent.MaxName)
	}
	return c
}

// claims returns whose each span is.
func claims(spans []Span) []claim {
	at := make(map[[2]string]int, len(spans))
	for i := range spans {
		at[[2]string{spans[i].TraceID, spans[i].SpanID}] = i
	}
	own, made := make([]claim, len(spans)), make([]bool, len(spans))
	for i := range spans { // each once, however many are inside of it
		own[i], made[i] = says(spans[i].Attributes)
	}
	out := make([]claim, len(spans))
	for i := range spans {
		found := false
		eachAround(spans, at, i, func(j int) bool {
			out[i], found = own[j], made[j]
			return !found
		})
		if !found {
			out[i] = spans[i].Origin.claim()
		}
		out[i].platform = text(spans[i].Origin.Resource, "telemetry.sdk.language")
	}
	return out
}

// maxNested is how many spans around one are looked at.
const maxNested = 100

// eachAround calls fn with the place of a span, then of its parent, and so on, as far as they came together and fn returns true.
func eachAround(spans []Span, at map[[2]string]int, i int, fn func(int) bool) {
	for range maxNested { // parents may go round in a circle
		if !fn(i) {
			return
		}
		parent, ok := at[[2]string{spans[i].TraceID, spans[i].ParentID}]
		if !ok || spans[i].ParentID == "" {
			return
		}
		i = parent
	}
}

// roster finds the agents of one export, each once.
type roster struct {
	s     *Service
	sc    account.Scope
	known map[string]found
}

type found struct {
	agent   id.Agent
	refused string // why there is none
}

// find returns whose a claim is, or why it is nobody's. An error is the store's.
func (r *roster) find(ctx context.Context, c claim) (found, error) {
	key := c.id + "\x00" + strings.ToLower(c.name)
	if f, ok := r.known[key]; ok {
		return f, nil
	}
	f, err := r.look(ctx, c)
	if err == nil {
		r.known[key] = f
	}
	return f, err
}

func (r *roster) look(ctx context.Context, c claim) (found, error) {
	if c.id != "" {
		if a, err := id.Parse[id.AgentKind](c.id); err == nil {
			l, err := r.s.d.Agents.Get(ctx, r.sc, a)
			if err == nil {
				return found{agent: l.ID}, nil
			}
			if fault.KindOf(err) != fault.NotFound {
				return found{}, err
			}
		}
		if c.name == "" {
			return found{refused: fmt.Sprintf("gen_ai.agent.id: there is no agent %q", short(c.id, 64))}, nil
		}
	}
	if c.name == "" {
		return found{refused: "nothing says which agent it is: set service.name, or gen_ai.agent.id or gen_ai.agent.name"}, nil
	}
	name := short(c.name, agent.MaxName)
	a, err := r.named(ctx, name)
	if err != nil || !a.IsZero() {
		return found{agent: a}, err
	}
	if !r.sc.Can(account.AgentsWrite) {
		return found{refused: fmt.Sprintf("there is no agent %q, and the API key lacks the scope %q to register it",
			short(name, 64), account.AgentsWrite)}, nil
	}
	l, err := r.s.d.Agents.Register(ctx, r.sc, agent.Config{Name: name, Description: short(c.about, agent.MaxDescription)},
		agent.Profile{Platform: short(c.platform, agent.MaxProfileText)})
	switch e, ok := fault.As(err); {
	case err == nil:
		return found{agent: l.ID}, nil
	case errors.Is(err, agent.ErrNameTaken): // meanwhile
		a, err := r.named(ctx, name)
		if err == nil && a.IsZero() {
			return found{refused: fmt.Sprintf("the agent %q was there and is gone", short(name, 64))}, nil
		}
		return found{agent: a}, err
	case ok && (e.Kind == fault.Invalid || e.Kind == fault.Forbidden || e.Kind == fault.PaymentRequired || e.Kind == fault.Conflict):
		return found{refused: fmt.Sprintf("the agent %q cannot be registered: %s", short(name, 64), e.Message)}, nil
	}
	return found{}, err
}

func (r *roster) named(ctx context.Context, name string) (id.Agent, error) {
	p, err := r.s.d.Agents.List(ctx, r.sc, agent.DirectoryRequest{Request: page.Request{Limit: 1}, Name: name})
	if err != nil || len(p.Items) == 0 {
		return id.Agent{}, err
	}
	return p.Items[0].ID, nil
}
