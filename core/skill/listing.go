package skill

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Categories of what has none of its own.
const (
	CategoryInstructions = "instructions"
	CategoryPlugin       = "plugin"
)

// Listing is a skill as the marketplace shows it, whatever it is made of.
type Listing struct {
	ID       id.Skill // of a plugin its number; of instructions that come with the server one that is the same everywhere
	Handle   string   // by which it can be named, too: a plugin's name, a guide's handle; "" for none
	Kind     ContentKind
	Agent    id.Agent        // who has handed it in; zero for what is not structured
	Version  id.SkillVersion // what is offered; zero for plugins and what comes with the server
	Key      string
	Name     string
	Summary  string
	Category string
	Tags     []string
	Label    string // the author's version, a guide's number; "" is none
	Digest   string // "" for a plugin that has not been built yet
	Installs int    // agents of the tenant that have it
	// Scan is what the security scan found; nil for plugins, for what comes with the server, and for what is older than the scan.
	Scan     *scan.Report
	Shipped  bool // it comes with the server
	ListedAt time.Time
}

// The authors of what no agent handed in.
const (
	AuthorServer   = "bureau"   // it comes with the server
	AuthorOperator = "operator" // a plugin that the operator installed
	AuthorTenant   = "you"      // instructions that the tenant uploaded
)

// Author names who made the skill: the agent that handed it in, by its id, or one of the names above.
func (l Listing) Author() string {
	switch {
	case l.Shipped:
		return AuthorServer
	case l.Kind == ContentPlugin:
		return AuthorOperator
	case l.Kind == ContentStructured:
		return l.Agent.UUID().String()
	}
	return AuthorTenant
}

// Score is the security scan's, 0 to 100. Plugins and what comes with the server are not scanned, since the operator answers for them: 100. What
// should have been scanned and was not has 0.
func (l Listing) Score() int {
	switch {
	case l.Shipped || l.Kind == ContentPlugin:
		return 100
	case l.Scan == nil:
		return 0
	}
	return l.Scan.Score
}

// Trust is the level that the skill can be installed at.
func (l Listing) Trust() Trust {
	if l.Shipped || l.Kind == ContentPlugin {
		return TrustVerified
	}
	return trustOf(l.Scan)
}

// ListingSort says what comes first.
type ListingSort string

// The orders.
const (
	SortNewest   ListingSort = "newest"
	SortInstalls ListingSort = "installs" // what most agents have, then the newest
)

// ListingRequest chooses listings. Zero fields choose all.
type ListingRequest struct {
	Kind     ContentKind
	Search   string      // a part of the name, the key, the summary or the description, in any case
	Category string      // the whole of it, in any case
	Tag      string      // likewise
	Sort     ListingSort // "" is SortNewest
	Page     page.Request
}

// ListingRepository reads the marketplace: everything that is offered to a tenant.
type ListingRepository interface {
	// Listings returns what req chooses, from what is stored and from builtin, which comes with the server. Pages as
	// SubmissionRepository.Queue.
	Listings(ctx context.Context, sc account.Scope, req ListingRequest, builtin []Listing) (page.Page[Listing], error)
	// Listing returns one that is stored, or ErrSkillNotFound.
	Listing(ctx context.Context, sc account.Scope, of id.Skill) (Listing, error)
}

// Offer is a Listing with what it is made of: one of Structured, Guide and Plugin is set.
type Offer struct {
	Listing
	Structured *SubmissionVersion
	Guide      *Guide // with the version that is offered as Latest
	Plugin     *Plugin
}

// Browse lists what the marketplace offers.
func (m *Market) Browse(ctx context.Context, sc account.Scope, req ListingRequest) (page.Page[Listing], error) {
	builtins, err := m.builtins(ctx, sc)
	if err != nil {
		return page.Page[Listing]{}, err
	}
	return m.d.Listings.Listings(ctx, sc, req, builtins)
}

// builtins are the listings of the guides that come with the server, but for those in quarantine.
func (m *Market) builtins(ctx context.Context, sc account.Scope) ([]Listing, error) {
	var out []Listing
	for _, g := range m.d.Library.Builtin("") {
		l := guideListing(g)
		if held, err := m.held(ctx, sc, l.Digest); err != nil {
			return nil, err
		} else if !held {
			out = append(out, l)
		}
	}
	return out, nil
}

func guideListing(g Guide) Listing {
	l := Listing{
		ID: g.Skill(), Handle: g.Handle, Kind: ContentInstructions, Key: g.Handle, Name: g.DisplayName, Category: CategoryInstructions, ListedAt: g.UpdatedAt,
		Shipped: g.Source == SourceBuiltin,
	}
	if v := g.Latest; v != nil {
		l.Scan = v.Scan
		l.Version, l.Summary, l.Label, l.Digest = v.ID, v.Description, strconv.Itoa(v.Number), v.Digest()
		if l.Key == "" {
			l.Key = v.Name
		}
	}
	return l
}

// Get returns what the marketplace offers under an id, a handle or a plugin's name; ErrSkillNotFound, also for what is not approved.
func (m *Market) Get(ctx context.Context, sc account.Scope, ref string) (Offer, error) {
	of, err := id.Parse[id.SkillKind](ref)
	if err != nil {
		return m.byHandle(ctx, sc, ref)
	}
	for _, g := range m.d.Library.Builtin("") {
		if g.Skill() == of {
			return m.withInstalls(ctx, sc, Offer{Listing: guideListing(g), Guide: &g})
		}
	}
	l, err := m.d.Listings.Listing(ctx, sc, of)
	if errors.Is(err, ErrSkillNotFound) {
		return Offer{}, notFound(of.String())
	} else if err != nil {
		return Offer{}, err
	}
	o := Offer{Listing: l}
	switch l.Kind {
	case ContentStructured:
		s, err := m.d.Submissions.Submission(ctx, sc, l.ID)
		if err != nil {
			return Offer{}, err
		}
		if s.Approved == nil {
			return Offer{}, notFound(of.String())
		}
		o.Structured = s.Approved
	case ContentInstructions:
		g, err := m.d.Library.Get(ctx, sc, l.ID.String())
		if err != nil {
			return Offer{}, err
		}
		o.Guide = &g
	case ContentPlugin:
		p, err := m.d.Plugins.Skill(ctx, sc, l.ID.String())
		if err != nil {
			return Offer{}, err
		}
		o.Plugin = &p
	}
	return o, nil
}

// byHandle finds what has a name beside its id. A plugin goes first, as it does where skills are installed, then instructions, then what an
// agent handed in, by its key as long as no other agent's has the same.
func (m *Market) byHandle(ctx context.Context, sc account.Scope, ref string) (Offer, error) {
	p, err := m.d.Plugins.Skill(ctx, sc, ref)
	if err == nil {
		return m.Get(ctx, sc, p.Skill().String())
	} else if fault.KindOf(err) != fault.NotFound {
		return Offer{}, err
	}
	g, err := m.d.Library.Get(ctx, sc, ref)
	if err == nil {
		return m.Get(ctx, sc, g.Skill().String())
	} else if fault.KindOf(err) != fault.NotFound {
		return Offer{}, err
	}
	of, kerr := m.byKey(ctx, sc, ref)
	if kerr != nil {
		return Offer{}, kerr
	}
	if of.IsZero() {
		return Offer{}, err
	}
	return m.Get(ctx, sc, of.String())
}

// byKey returns the one structured skill that has the key, or zero.
func (m *Market) byKey(ctx context.Context, sc account.Scope, key string) (id.Skill, error) {
	if len(key) > MaxSkillKey || !skillKey.MatchString(key) {
		return id.Skill{}, nil
	}
	found, err := m.d.Listings.Listings(ctx, sc, ListingRequest{Kind: ContentStructured, Search: key, Page: page.Request{Limit: maxNamesakes}}, nil)
	if err != nil {
		return id.Skill{}, err
	}
	var of id.Skill
	for _, l := range found.Items {
		switch {
		case l.Key != key:
		case !of.IsZero():
			return id.Skill{}, nil
		default:
			of = l.ID
		}
	}
	if found.Next != "" { // there may be another one beyond
		return id.Skill{}, nil
	}
	return of, nil
}

// maxNamesakes is among how many skills that hold a key in their texts the one with that key is looked for.
const maxNamesakes = 200

// withInstalls adds the number of agents that have a skill which is not stored.
func (m *Market) withInstalls(ctx context.Context, sc account.Scope, o Offer) (Offer, error) {
	n, err := m.d.Installations.Count(ctx, sc, o.ID)
	o.Installs = n
	return o, err
}
