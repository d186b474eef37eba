package accounttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// LinkStore is what the suite of links runs against.
type LinkStore struct {
	Accounts Repositories
	Users    account.UserRepository
	Links    account.LinkRepository
	TX       tx.Runner
}

// linkEnv is a tenant with links. It is its own account.LinkTrail.
type linkEnv struct {
	LinkStore

	ctx      context.Context
	ids      id.Generator
	sc       account.Scope
	accounts *account.Service
	links    *account.Links
	agents   map[id.Agent]bool
	trail    []string
}

// Note implements account.LinkTrail.
func (e *linkEnv) Note(_ context.Context, _ account.Scope, action string, _ id.Agent, _ map[string]any) error {
	e.trail = append(e.trail, action)
	return nil
}

// RunLinks runs the suite of account.LinkRepository and of account.Links over it. open returns a store; it is called once per subtest, and
// stores may be the same one.
func RunLinks(t *testing.T, open func(t *testing.T) LinkStore) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *linkEnv){
		"round trip": linkRoundTrip, "names": linkNames, "addresses": linkAddresses, "keys go": linkKeysGo, "agents go": linkAgentsGo,
		"foreign": linkForeign, "paging": linkPaging, "faults": linkFaults, "rollback": linkRollback, "at once": linksAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &linkEnv{LinkStore: open(t), ctx: t.Context(), ids: id.NewGenerator(time.Now), agents: map[id.Agent]bool{}}
			e.sc = account.System(id.New[id.TenantKind](e.ids))
			deps := Deps(e.Accounts, e.TX, clock.Func(time.Now))
			deps.Links = e.Links
			var err error
			if e.accounts, err = account.NewService(deps, account.Config{}); err != nil {
				t.Fatal(err)
			}
			e.links, err = account.NewLinks(account.LinkDeps{
				TX: e.TX, Clock: clock.Func(time.Now), IDs: e.ids, Repository: e.Links, Users: e.Users, Trail: e,
				Agent: func(_ context.Context, _ account.Scope, a id.Agent) error {
					if !e.agents[a] {
						return id.NotFound[id.AgentKind](a.String())
					}
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			fn(t, e)
		})
	}
}

func (e *linkEnv) agent() id.Agent {
	a := id.New[id.AgentKind](e.ids)
	e.agents[a] = true
	return a
}

func (e *linkEnv) link(t *testing.T, a id.Agent, user string) account.Link {
	t.Helper()
	l, err := e.links.Create(e.ctx, e.sc, a, user)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// key makes a key and returns the scope of who shows it.
func (e *linkEnv) key(t *testing.T, name string) account.Scope {
	t.Helper()
	k, _, err := e.accounts.CreateKey(e.ctx, e.sc, account.CreateKeyRequest{Name: name, Permissions: []account.Permission{account.Skills}})
	if err != nil {
		t.Fatal(err)
	}
	return account.Scope{Tenant: e.sc.Tenant, Key: k.ID}
}

func (e *linkEnv) linked(t *testing.T, what string, sc account.Scope, want ...id.Agent) {
	t.Helper()
	got, err := e.links.LinkedAgents(e.ctx, sc)
	less := func(a, b id.Agent) int { return strings.Compare(a.String(), b.String()) }
	slices.SortFunc(got, less)
	slices.SortFunc(want, less)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: linked to %v, %v; want %v", what, got, err, want)
	}
}

func linkRoundTrip(t *testing.T, e *linkEnv) {
	a, ada := e.agent(), e.key(t, "ada")
	made := e.link(t, a, " ada ")
	if made.Who != "ada" || made.Key != ada.Key || made.Agent != a {
		t.Errorf("made %+v", made)
	}
	if again := e.link(t, a, "ada"); again != made {
		t.Errorf("again %+v, want %+v", again, made)
	}
	byID := e.link(t, a, ada.Key.String())
	if byID.Key != ada.Key || byID.Who != ada.Key.UUID().String() {
		t.Errorf("by id %+v", byID)
	}
	e.linked(t, "ada", ada, a)
	p, err := e.links.List(e.ctx, e.sc, account.LinkRequest{Agent: a})
	if err != nil || !slices.Equal(p.Items, []account.Link{byID, made}) {
		t.Errorf("listed %+v, %v", p.Items, err)
	}
	for _, l := range []account.Link{made, byID} {
		if err := e.links.Delete(e.ctx, e.sc, l.ID); err != nil {
			t.Fatal(err)
		}
	}
	e.linked(t, "afterwards", ada)
	if err := e.links.Delete(e.ctx, e.sc, made.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("once more: %v", err)
	}
	if want := []string{"agent_linked", "agent_linked", "agent_unlinked", "agent_unlinked"}; !slices.Equal(e.trail, want) {
		t.Errorf("audited %v", e.trail)
	}
}

// A name means one key: the one that has it, or the first that gets it.
func linkNames(t *testing.T, e *linkEnv) {
	a := e.agent()
	if waits := e.link(t, a, "ada"); !waits.Key.IsZero() || waits.Email != "" {
		t.Errorf("nobody has the name: %+v", waits)
	}
	first, second := e.key(t, "ada"), e.key(t, "ada")
	e.linked(t, "the first", first, a)
	e.linked(t, "the second", second)
	e.linked(t, "the server itself", account.System(e.sc.Tenant))
	if _, err := e.links.Create(e.ctx, e.sc, e.agent(), "ada"); !errors.Is(err, account.ErrAmbiguous) {
		t.Errorf("a name of two keys: %v", err)
	}
}

func linkAddresses(t *testing.T, e *linkEnv) {
	a, key := e.agent(), e.key(t, "console: ada")
	now := clock.Stored(time.Now())
	u, err := e.Users.SaveUser(e.ctx, e.sc, account.User{
		ID: id.New[id.UserKind](e.ids), Tenant: e.sc.Tenant, Issuer: "i", Subject: "s", Email: "ada@example.com", CreatedAt: now, LastSignInAt: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if l := e.link(t, a, "Ada@Example.com"); l.Email != "ada@example.com" || l.Who != l.Email || !l.Key.IsZero() {
		t.Errorf("made %+v", l)
	}
	e.linked(t, "a key that nobody signed in with", key)
	if err := e.Users.InsertSignIn(e.ctx, e.sc, key.Key, u.ID); err != nil {
		t.Fatal(err)
	}
	e.linked(t, "who signed in", key, a)
	other := e.agent()
	e.link(t, other, key.Key.String())
	e.linked(t, "by key and by address", key, a, other)
	e.linked(t, "a key named like the address", e.key(t, "ada@example.com"))
}

func linkKeysGo(t *testing.T, e *linkEnv) {
	a, ada := e.agent(), e.key(t, "ada")
	e.link(t, a, "ada")
	if err := e.accounts.RevokeKey(e.ctx, e.sc, ada.Key); err != nil {
		t.Fatal(err)
	}
	if p, err := e.links.List(e.ctx, e.sc, account.LinkRequest{}); err != nil || len(p.Items) != 0 {
		t.Errorf("links of a revoked key: %+v, %v", p.Items, err)
	}
	e.linked(t, "another key of the name", e.key(t, "ada"))
	if _, err := e.links.Create(e.ctx, e.sc, a, ada.Key.String()); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the id of a revoked key: %v", err)
	}
}

func linkAgentsGo(t *testing.T, e *linkEnv) {
	a, stays, ada := e.agent(), e.agent(), e.key(t, "ada")
	e.link(t, a, "ada")
	e.link(t, stays, "ada")
	for range 2 { // it may come again
		if err := e.links.ForgetAgent(e.ctx, e.sc, a); err != nil {
			t.Fatal(err)
		}
	}
	e.linked(t, "ada", ada, stays)
}

func linkForeign(t *testing.T, e *linkEnv) {
	a, ada := e.agent(), e.key(t, "ada")
	l := e.link(t, a, "ada")
	stranger := account.System(id.New[id.TenantKind](e.ids))
	if err := e.links.Delete(e.ctx, stranger, l.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("delete: %v", err)
	}
	if err := e.links.ForgetAgent(e.ctx, stranger, a); err != nil {
		t.Error(err)
	}
	if p, err := e.links.List(e.ctx, stranger, account.LinkRequest{}); err != nil || len(p.Items) != 0 {
		t.Errorf("list: %+v, %v", p.Items, err)
	}
	if _, err := e.links.Create(e.ctx, stranger, a, ada.Key.String()); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a key of another tenant: %v", err)
	}
	if l, err := e.links.Create(e.ctx, stranger, a, "ada"); err != nil || !l.Key.IsZero() {
		t.Errorf("a name of another tenant: %+v, %v", l, err)
	}
	e.linked(t, "with the tenant's own links", account.Scope{Tenant: stranger.Tenant, Key: ada.Key})
	e.linked(t, "ada", ada, a)
}

func linkPaging(t *testing.T, e *linkEnv) {
	a := e.agent()
	var want []id.AgentLink
	for _, user := range []string{"a", "b", "c", "d", "e"} {
		want = append(want, e.link(t, a, user).ID)
	}
	slices.Reverse(want)
	got := pagetest.Walk(t, 2, func(l account.Link) id.AgentLink { return l.ID }, func(r page.Request) (page.Page[account.Link], error) {
		return e.links.List(e.ctx, e.sc, account.LinkRequest{Page: r})
	})
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	p, err := e.links.List(e.ctx, e.sc, account.LinkRequest{Page: page.Request{Limit: 2, Offset: 4, Count: true}})
	if err != nil || p.Total != 5 || len(p.Items) != 1 || p.Items[0].ID != want[4] {
		t.Errorf("by offset: %+v, %v", p, err)
	}
	if _, err := e.links.List(e.ctx, e.sc, account.LinkRequest{Page: page.Request{Cursor: "x"}}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a cursor that is none: %v", err)
	}
}

func linkFaults(t *testing.T, e *linkEnv) {
	a := e.agent()
	for _, user := range []string{"", "  ", string(make([]rune, 101))} {
		if _, err := e.links.Create(e.ctx, e.sc, a, user); fault.KindOf(err) != fault.Invalid {
			t.Errorf("the user %q: %v", user, err)
		}
	}
	for _, of := range []id.Agent{{}, id.New[id.AgentKind](e.ids)} {
		if _, err := e.links.Create(e.ctx, e.sc, of, "ada"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("the agent %s: %v", of, err)
		}
	}
	if len(e.trail) != 0 {
		t.Errorf("audited %v", e.trail)
	}
}

func linkRollback(t *testing.T, e *linkEnv) {
	a, no := e.agent(), errors.New("no")
	err := e.TX.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.links.Create(ctx, e.sc, a, "ada"); err != nil {
			return err
		}
		return no
	})
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	if p, err := e.links.List(e.ctx, e.sc, account.LinkRequest{}); err != nil || len(p.Items) != 0 {
		t.Errorf("after the rollback: %+v, %v", p.Items, err)
	}
}

// Links to a name and keys of that name that come at once end with one key linked to all.
func linksAtOnce(t *testing.T, e *linkEnv) {
	agents := []id.Agent{e.agent(), e.agent(), e.agent()}
	errs := make(chan error, len(agents)+1)
	var ada account.Scope
	go func() {
		k, _, err := e.accounts.CreateKey(e.ctx, e.sc, account.CreateKeyRequest{Name: "ada", Permissions: []account.Permission{account.Skills}})
		ada = account.Scope{Tenant: e.sc.Tenant, Key: k.ID}
		errs <- err
	}()
	for _, a := range agents {
		go func() {
			_, err := e.Links.InsertLink(e.ctx, e.sc, account.Link{ID: id.New[id.AgentLinkKind](e.ids), Agent: a, Who: "other", CreatedAt: time.Now()})
			if err == nil {
				err = e.TX.Do(e.ctx, func(ctx context.Context) error {
					keys, err := e.Links.KeysNamed(ctx, e.sc, "ada", id.APIKey{}, time.Now())
					l := account.Link{ID: id.New[id.AgentLinkKind](e.ids), Agent: a, Who: "ada", CreatedAt: time.Now()}
					if err == nil && len(keys) == 1 {
						l.Key = keys[0]
					}
					if err == nil {
						_, err = e.Links.InsertLink(ctx, e.sc, l)
					}
					return err
				})
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	e.linked(t, "ada", ada, agents...)
}
