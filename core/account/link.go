package account

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Link says that a user looks after an agent, and may review what it hands in.
type Link struct {
	ID     id.AgentLink
	Tenant id.Tenant
	Agent  id.Agent
	// Who is the user as the link was made for: the name of a key, an e-mail address in lower case, or the UUID of a key.
	Who string
	// Key is the key that Who means. A name that no key had when the link was made waits for the first one that gets it; once it means a
	// key it means no other, so that nobody comes by a link by taking a name.
	Key id.APIKey
	// Email is set when Who is the address of somebody who signs in.
	Email     string
	CreatedBy id.APIKey
	CreatedAt time.Time
}

// LinkRequest chooses links; the zero Agent chooses all.
type LinkRequest struct {
	Agent id.Agent
	Page  page.Request // with Offset and Count, or with a Cursor
}

// LinkRepository keeps links. Calls join the transaction in ctx and see the scope's tenant only.
type LinkRepository interface {
	// InsertLink adds l, or returns the link of that agent and Who when there is one.
	InsertLink(ctx context.Context, sc Scope, l Link) (Link, error)
	// Links lists links, newest first.
	Links(ctx context.Context, sc Scope, req LinkRequest) (page.Page[Link], error)
	// DeleteLink removes a link and returns it; one that is missing is id.NotFound.
	DeleteLink(ctx context.Context, sc Scope, link id.AgentLink) (Link, error)
	// ForgetLinks removes the links of an agent, or those that mean a key; the other one is zero.
	ForgetLinks(ctx context.Context, sc Scope, agent id.Agent, key id.APIKey) error
	// LinkedAgents returns the agents that have a link which means the key or the address, "" for none.
	LinkedAgents(ctx context.Context, sc Scope, key id.APIKey, email string) ([]id.Agent, error)
	// KeysNamed returns up to two keys that can be used at the time: those of this name, or the one with this id when name is "".
	KeysNamed(ctx context.Context, sc Scope, name string, key id.APIKey, now time.Time) ([]id.APIKey, error)
	// BindLinks makes the links that wait for the name mean the key.
	BindLinks(ctx context.Context, sc Scope, name string, key id.APIKey) error
}

// The errors of links.
var (
	// ErrLink is returned for a link that breaks a rule; its Fields name each place.
	ErrLink = fault.New(fault.Invalid, "agent_link_invalid", "the link is not valid")
	// ErrAmbiguous is returned for a name that several keys have.
	ErrAmbiguous = fault.New(fault.Conflict, "user_ambiguous", "several API keys have this name; link one of them by its id")
)

// LinkTrail is where links are noted. Note joins the transaction in ctx. app wires core/audit, which is above this package.
type LinkTrail interface {
	Note(ctx context.Context, sc Scope, action string, agent id.Agent, metadata map[string]any) error
}

// LinkDeps are what Links need; all of them are required.
type LinkDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Repository LinkRepository
	Users      UserRepository
	Trail      LinkTrail
	// Agent returns id.NotFound when the tenant has no such agent.
	Agent func(ctx context.Context, sc Scope, agent id.Agent) error
}

// Links say who looks after which agent. They are safe for concurrent use.
type Links struct{ d LinkDeps }

// NewLinks returns Links, or an error that names what is missing.
func NewLinks(d LinkDeps) (*Links, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("account: LinkDeps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("account: LinkDeps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("account: LinkDeps.IDs is required")
	case d.Repository == nil:
		return nil, errors.New("account: LinkDeps.Repository is required")
	case d.Users == nil:
		return nil, errors.New("account: LinkDeps.Users is required")
	case d.Trail == nil:
		return nil, errors.New("account: LinkDeps.Trail is required")
	case d.Agent == nil:
		return nil, errors.New("account: LinkDeps.Agent is required")
	}
	return &Links{d}, nil
}

// Create links a user to an agent: a key by its id or its name, or somebody who signs in by the e-mail address. Nobody needs to have the name or
// the address yet. Linking the same user again returns the link that is there.
//
// Errors are a fault.NotFound for the agent and for the id of a key that cannot be used, ErrLink, and ErrAmbiguous.
func (l *Links) Create(ctx context.Context, sc Scope, agent id.Agent, user string) (Link, error) {
	user = strings.TrimSpace(user)
	if err := checkName("user", user); err != nil {
		return Link{}, err
	}
	if err := l.d.Agent(ctx, sc, agent); err != nil {
		return Link{}, err
	}
	now := clock.Stored(l.d.Clock.Now())
	link := Link{ID: id.New[id.AgentLinkKind](l.d.IDs), Tenant: sc.Tenant, Agent: agent, CreatedBy: sc.Key, CreatedAt: now}
	var out Link
	err := l.d.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		if link.Who, link.Key, link.Email, err = l.resolve(ctx, sc, user, now); err != nil {
			return err
		}
		if out, err = l.d.Repository.InsertLink(ctx, sc, link); err != nil || out.ID != link.ID {
			return err
		}
		return l.audit(ctx, sc, "agent_linked", out)
	})
	return out, err
}

// resolve finds out whom a caller means.
func (l *Links) resolve(ctx context.Context, sc Scope, user string, now time.Time) (who string, key id.APIKey, email string, err error) {
	found, err := l.d.Repository.KeysNamed(ctx, sc, user, id.APIKey{}, now)
	switch {
	case err != nil:
		return "", key, "", err
	case len(found) > 1:
		return "", key, "", ErrAmbiguous.Withf("several API keys have the name %q; link one of them by its id", user)
	case len(found) == 1:
		return user, found[0], "", nil
	}
	if of, perr := id.Parse[id.APIKeyKind](user); perr == nil {
		if found, err = l.d.Repository.KeysNamed(ctx, sc, "", of, now); err == nil && len(found) == 0 {
			err = id.NotFound[id.APIKeyKind](user)
		}
		return of.UUID().String(), of, "", err
	}
	if name, domain, ok := strings.Cut(user, "@"); ok && name != "" && domain != "" && !strings.ContainsAny(user, " \t\r\n") {
		email = strings.ToLower(user)
		return email, key, email, nil
	}
	return user, key, "", nil
}

// Person is a user of the server: somebody with a key, or who signs in.
type Person struct {
	Who   string    // as the person was called: the name of a key, an e-mail address in lower case, or the UUID of a key
	Key   id.APIKey // zero for an address
	Email string    // "" for a key
}

// Person finds out whom a caller means by the id or the name of a key, or by an e-mail address. Errors are ErrLink, ErrAmbiguous, and
// id.NotFound for a key that cannot be used and for a name that no key has.
func (l *Links) Person(ctx context.Context, sc Scope, user string) (Person, error) {
	user = strings.TrimSpace(user)
	if err := checkName("user", user); err != nil {
		return Person{}, err
	}
	var p Person
	var err error
	if p.Who, p.Key, p.Email, err = l.resolve(ctx, sc, user, clock.Stored(l.d.Clock.Now())); err != nil {
		return Person{}, err
	}
	if p.Key.IsZero() && p.Email == "" {
		return Person{}, id.NotFound[id.APIKeyKind](user)
	}
	return p, nil
}

func (l *Links) audit(ctx context.Context, sc Scope, action string, link Link) error {
	return l.d.Trail.Note(ctx, sc, action, link.Agent, map[string]any{"link_id": link.ID.UUID().String(), "user": link.Who})
}

// List lists links, newest first.
func (l *Links) List(ctx context.Context, sc Scope, req LinkRequest) (page.Page[Link], error) {
	return l.d.Repository.Links(ctx, sc, req)
}

// Delete removes a link; one that is missing is id.NotFound.
func (l *Links) Delete(ctx context.Context, sc Scope, link id.AgentLink) error {
	return l.d.TX.Do(ctx, func(ctx context.Context) error {
		was, err := l.d.Repository.DeleteLink(ctx, sc, link)
		if err != nil {
			return err
		}
		return l.audit(ctx, sc, "agent_unlinked", was)
	})
}

// LinkedAgents returns the agents that the caller is linked to: by its key, or by the address that the caller signed in with.
func (l *Links) LinkedAgents(ctx context.Context, sc Scope) ([]id.Agent, error) {
	if sc.Key.IsZero() {
		return nil, nil
	}
	u, signedIn, err := l.d.Users.SignIn(ctx, sc, sc.Key)
	if err != nil {
		return nil, err
	}
	if !signedIn {
		u.Email = ""
	}
	return l.d.Repository.LinkedAgents(ctx, sc, sc.Key, u.Email)
}

// ForgetAgent removes the links of an agent. It joins the transaction in ctx.
func (l *Links) ForgetAgent(ctx context.Context, sc Scope, agent id.Agent) error {
	return l.d.Repository.ForgetLinks(ctx, sc, agent, id.APIKey{})
}
