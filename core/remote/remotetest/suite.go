// Package remotetest is the conformance suite of the repositories of package remote, with the service on top of them.
package remotetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Stores are what the suite runs against.
type Stores struct {
	TX            tx.Runner
	Remotes       remote.Repository
	History       remote.History
	Conversations remote.Conversations
}

// Config of the suite.
type Config struct {
	// New returns stores; they may be shared by several subtests, each of which has tenants of its own.
	New func(t *testing.T) Stores
}

var ids = id.NewGenerator(time.Now)

type env struct {
	Stores
	ctx context.Context
	sc  account.Scope
	now time.Time
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"round trip": roundTrip, "missing": missing, "foreign": foreign, "names": names, "limit race": limitRace, "update": update,
		"rollback": rollback, "delete": remove, "pages": pages, "due": due, "history": history, "conversations": conversations,
		"cancelled": cancelled, "updates at once": updatesAtOnce,
		"register": register, "register refused": registerRefused, "changed by its owner": updated,
		"changes refused": updateRefused, "vaults": byVault, "change": change, "unreachable": unreachable, "signatures": signatures,
		"freshness": freshness, "tool": asTool, "removed": removed, "forgotten": forgotten,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, &env{cfg.New(t), t.Context(), account.System(id.New[id.TenantKind](ids)), clock.Stored(time.Now())})
		})
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fe, ok := fault.As(err); !ok || fe.Code != code {
		t.Errorf("got %v, want a fault of the code %s", err, code)
	}
}

// ofIDs compares ids, which keep what they are to themselves.
var ofIDs = cmpopts.EquateComparable(id.RemoteAgent{}, id.Tenant{}, id.Agent{})

func same(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, ofIDs, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// full is a remote agent with every field set.
func (e *env) full(name string) remote.Remote {
	return remote.Remote{
		ID: id.New[id.RemoteAgentKind](ids), Tenant: e.sc.Tenant, Agent: id.New[id.AgentKind](ids), Name: name, Description: "Speaks.",
		URL: "https://agents.example/" + name, RequireValid: true,
		Credential: remote.Credential{Kind: remote.APIKey, Header: "X-Key", AnyOrigin: true, Sealed: []byte{0, 255, 1}},
		Card: remote.Card{
			URL: "https://agents.example/.well-known/agent-card.json", Legacy: true, Text: []byte("{\"name\": \"\xff\"}\n"), Digest: "sha256:1",
			ETag: `W/"1"`, MaxAge: -1, Name: "The " + name, Endpoint: "https://agents.example/rpc",
			Verdict: remote.Verdict{
				Version: card.V10, Valid: true, Score: 87, Errors: 1, Warnings: 2,
				Findings:  []remote.Finding{{Error: true, Code: "type", Path: "skills[0].tags", Message: "must be an array"}, {Code: "x", Message: "y"}},
				Signature: remote.Signature{State: card.SignatureTrusted, KeyID: "k1"},
			},
		},
		Pin: remote.Signature{State: card.SignatureUnknown, KeyID: "k0"}, Suspicion: "it is odd",
		CheckedAt: e.now.Add(1), ChangedAt: e.now.Add(2), StaleAt: e.now.Add(3), NextCheckAt: e.now.Add(1000 * time.Hour),
		UnreachableSince: e.now.Add(4), Trouble: "gone", CreatedAt: e.now, UpdatedAt: e.now.Add(time.Second),
	}
}

func (e *env) insert(t *testing.T, r remote.Remote) remote.Remote {
	t.Helper()
	noError(t, e.Remotes.Insert(e.ctx, e.sc, r, 1000))
	return r
}

func roundTrip(t *testing.T, e *env) {
	full := e.insert(t, e.full("full"))
	bare := e.insert(t, remote.Remote{
		ID: id.New[id.RemoteAgentKind](ids), Tenant: e.sc.Tenant, Agent: id.New[id.AgentKind](ids), Name: "bare", URL: "u", NextCheckAt: e.now.Add(1000 * time.Hour),
		CreatedAt: e.now, UpdatedAt: e.now, Card: remote.Card{Text: []byte{}},
	})
	for _, want := range []remote.Remote{full, bare} {
		got, err := e.Remotes.Get(e.ctx, e.sc, want.ID)
		noError(t, err)
		same(t, want, got)
		got, ok, err := e.Remotes.ByAgent(e.ctx, e.sc, want.Agent)
		noError(t, err)
		if !ok {
			t.Error("not found by its agent")
		}
		same(t, want, got)
	}
}

func missing(t *testing.T, e *env) {
	nobody := id.New[id.RemoteAgentKind](ids)
	_, err := e.Remotes.Get(e.ctx, e.sc, nobody)
	wantCode(t, err, "remote_agent_not_found")
	_, err = e.Remotes.Update(e.ctx, e.sc, nobody, func(*remote.Remote) error { return nil })
	wantCode(t, err, "remote_agent_not_found")
	wantCode(t, e.Remotes.Delete(e.ctx, e.sc, nobody), "remote_agent_not_found")
	if _, ok, err := e.Remotes.ByAgent(e.ctx, e.sc, id.New[id.AgentKind](ids)); ok || err != nil {
		t.Errorf("by an agent that stands for none: %v, %v", ok, err)
	}
	if _, ok, err := e.Conversations.Load(e.ctx, e.sc, id.New[id.AgentKind](ids), "x"); ok || err != nil {
		t.Errorf("a conversation that is not there: %v, %v", ok, err)
	}
	p, err := e.History.List(e.ctx, e.sc, nobody, page.Request{})
	if noError(t, err); len(p.Items) != 0 {
		t.Errorf("a history of nobody: %+v", p.Items)
	}
}

func foreign(t *testing.T, e *env) {
	r := e.insert(t, e.full("mine"))
	noError(t, e.History.Append(e.ctx, e.sc, r.ID, remote.Change{At: e.now, Text: []byte("{}")}, 5))
	noError(t, e.Conversations.Save(e.ctx, e.sc, r.Agent, "c", remote.Conversation{Context: "mine", UsedAt: e.now}))
	other := account.System(id.New[id.TenantKind](ids))
	_, err := e.Remotes.Get(e.ctx, other, r.ID)
	wantCode(t, err, "remote_agent_not_found")
	_, err = e.Remotes.Update(e.ctx, other, r.ID, func(*remote.Remote) error { return nil })
	wantCode(t, err, "remote_agent_not_found")
	wantCode(t, e.Remotes.Delete(e.ctx, other, r.ID), "remote_agent_not_found")
	if _, ok, err := e.Remotes.ByAgent(e.ctx, other, r.Agent); ok || err != nil {
		t.Errorf("another tenant's agent: %v, %v", ok, err)
	}
	if _, ok, err := e.Conversations.Load(e.ctx, other, r.Agent, "c"); ok || err != nil {
		t.Errorf("another tenant's conversation: %v, %v", ok, err)
	}
	noError(t, e.Conversations.Forget(e.ctx, other, r.Agent))
	for _, list := range []func() (int, error){
		func() (int, error) { p, err := e.Remotes.List(e.ctx, other, page.Request{}); return len(p.Items), err },
		func() (int, error) {
			p, err := e.History.List(e.ctx, other, r.ID, page.Request{})
			return len(p.Items), err
		},
	} {
		if n, err := list(); n != 0 || err != nil {
			t.Errorf("another tenant sees %d, %v", n, err)
		}
	}
	if _, ok, err := e.Conversations.Load(e.ctx, e.sc, r.Agent, "c"); !ok || err != nil {
		t.Errorf("another tenant has forgotten it: %v", err)
	}
}

func names(t *testing.T, e *env) {
	e.insert(t, e.full("one"))
	wantErr(t, e.Remotes.Insert(e.ctx, e.sc, e.full("one"), 10), remote.ErrNameTaken)
	e.insert(t, e.full("One"))
	other := account.System(id.New[id.TenantKind](ids))
	noError(t, e.Remotes.Insert(e.ctx, other, e.full("one"), 10))
}

func limitRace(t *testing.T, e *env) {
	const most, asked = 3, 8
	errs := make([]error, asked)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = e.Remotes.Insert(e.ctx, e.sc, e.full(fmt.Sprint("n", i)), most) })
	}
	wg.Wait()
	n := 0
	for _, err := range errs {
		if err == nil {
			n++
			continue
		}
		wantErr(t, err, remote.ErrTooMany)
	}
	if n != most {
		t.Errorf("%d were stored, want %d", n, most)
	}
}

func update(t *testing.T, e *env) {
	r := e.insert(t, e.full("one"))
	want := e.full("other")
	want.Credential, want.UnreachableSince, want.Suspicion = remote.Credential{}, time.Time{}, ""
	got, err := e.Remotes.Update(e.ctx, e.sc, r.ID, func(r *remote.Remote) error { *r = want; return nil })
	noError(t, err)
	want.ID, want.Agent, want.CreatedAt = r.ID, r.Agent, r.CreatedAt
	same(t, want, got)
	got, err = e.Remotes.Get(e.ctx, e.sc, r.ID)
	noError(t, err)
	same(t, want, got)
	e.insert(t, e.full("taken"))
	_, err = e.Remotes.Update(e.ctx, e.sc, r.ID, func(r *remote.Remote) error { r.Name, r.Description = "taken", "x"; return nil })
	wantErr(t, err, remote.ErrNameTaken)
	got, err = e.Remotes.Get(e.ctx, e.sc, r.ID)
	noError(t, err)
	same(t, want, got)
}

var errOwn = errors.New("no")

func rollback(t *testing.T, e *env) {
	r := e.insert(t, e.full("one"))
	_, err := e.Remotes.Update(e.ctx, e.sc, r.ID, func(r *remote.Remote) error { r.Description = "x"; return errOwn })
	wantErr(t, err, errOwn)
	wantErr(t, e.TX.Do(e.ctx, func(ctx context.Context) error {
		noError(t, e.Remotes.Insert(ctx, e.sc, e.full("two"), 10))
		noError(t, e.History.Append(ctx, e.sc, r.ID, remote.Change{At: e.now}, 5))
		noError(t, e.Conversations.Save(ctx, e.sc, r.Agent, "c", remote.Conversation{UsedAt: e.now}))
		noError(t, e.Remotes.Delete(ctx, e.sc, r.ID))
		return errOwn
	}), errOwn)
	got := pagetest.Walk(t, 0, pagetest.Whole, func(req page.Request) (page.Page[remote.Remote], error) { return e.Remotes.List(e.ctx, e.sc, req) })
	same(t, []remote.Remote{r}, got)
	if _, ok, err := e.Conversations.Load(e.ctx, e.sc, r.Agent, "c"); ok || err != nil {
		t.Errorf("a conversation is there: %v, %v", ok, err)
	}
}

func remove(t *testing.T, e *env) {
	r, other := e.insert(t, e.full("one")), e.insert(t, e.full("two"))
	for _, x := range []remote.Remote{r, other} {
		noError(t, e.History.Append(e.ctx, e.sc, x.ID, remote.Change{At: e.now}, 5))
		noError(t, e.Conversations.Save(e.ctx, e.sc, x.Agent, "c", remote.Conversation{UsedAt: e.now}))
	}
	noError(t, e.Remotes.Delete(e.ctx, e.sc, r.ID))
	wantCode(t, e.Remotes.Delete(e.ctx, e.sc, r.ID), "remote_agent_not_found")
	for x, left := range map[*remote.Remote]bool{&r: false, &other: true} {
		p, err := e.History.List(e.ctx, e.sc, x.ID, page.Request{})
		noError(t, err)
		_, ok, err := e.Conversations.Load(e.ctx, e.sc, x.Agent, "c")
		noError(t, err)
		if (len(p.Items) == 1) != left || ok != left {
			t.Errorf("%s: %d changes, a conversation: %v", x.Name, len(p.Items), ok)
		}
	}
	e.insert(t, e.full("one")) // the name is free again
}

func pages(t *testing.T, e *env) {
	var want []string
	for i := range 7 {
		want = append(want, e.insert(t, e.full(fmt.Sprint("n", i))).Name)
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 3, 7, 50} {
		same(t, want, pagetest.Walk(t, limit, func(r remote.Remote) string { return r.Name }, func(req page.Request) (page.Page[remote.Remote], error) {
			return e.Remotes.List(e.ctx, e.sc, req)
		}))
	}
	_, err := e.Remotes.List(e.ctx, e.sc, page.Request{Cursor: "x"})
	wantCode(t, err, "invalid_request")
}

// long is so long ago that what is due then is due before what any other test stores.
var long = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

// due is what goes over all tenants, one after the other: what one claims or prunes is another's, too.
func due(t *testing.T, e *env) {
	claim(t, e)
	prune(t, e)
	job(t, e)
}

func claim(t *testing.T, e *env) {
	mine := map[id.RemoteAgent]bool{}
	for i := range 6 {
		r := e.full(fmt.Sprint("n", i))
		r.NextCheckAt = long.Add(time.Duration(i) * time.Second)
		mine[e.insert(t, r).ID] = true
	}
	later := e.insert(t, e.full("later"))
	var wg sync.WaitGroup
	got := make([][]remote.Remote, 4)
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = e.Remotes.Claim(e.ctx, long.Add(time.Minute), e.now.Add(500*time.Hour), 2); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := map[id.RemoteAgent]bool{}
	for _, some := range got {
		for _, r := range some {
			if seen[r.ID] || !mine[r.ID] || r.Tenant != e.sc.Tenant || !r.NextCheckAt.Equal(e.now.Add(500*time.Hour)) {
				t.Errorf("claimed twice, or what is not due: %+v", r)
			}
			seen[r.ID] = true
		}
	}
	rest, err := e.Remotes.Claim(e.ctx, long.Add(time.Minute), e.now.Add(500*time.Hour), 10) // those that were locked meanwhile
	noError(t, err)
	if len(seen)+len(rest) != len(mine) {
		t.Errorf("%d were claimed, want %d", len(seen)+len(rest), len(mine))
	}
	kept, err := e.Remotes.Get(e.ctx, e.sc, later.ID)
	noError(t, err)
	same(t, later, kept)
}

func history(t *testing.T, e *env) {
	r := e.insert(t, e.full("one"))
	var want []remote.Change
	for i := range 7 {
		c := remote.Change{
			At: e.now.Add(-time.Duration(i) * time.Hour), Text: []byte{byte(i), 0xff}, Digest: fmt.Sprint(i), Version: card.V030, Valid: i%2 == 0, Score: i,
			Errors: i, Warnings: i, Signature: remote.Signature{State: card.SignatureWrong, KeyID: "k"}, Suspicion: "s",
		}
		noError(t, e.History.Append(e.ctx, e.sc, r.ID, c, 5))
		want = append(want, c)
	}
	want = want[2:]
	slices.Reverse(want)
	for _, limit := range []int{2, 5} {
		same(t, want, pagetest.Walk(t, limit, pagetest.Whole, func(req page.Request) (page.Page[remote.Change], error) {
			return e.History.List(e.ctx, e.sc, r.ID, req)
		}))
	}
	for _, cursor := range []string{"x", "WyJ4Il0"} {
		_, err := e.History.List(e.ctx, e.sc, r.ID, page.Request{Cursor: cursor})
		wantCode(t, err, "invalid_request")
	}
}

func conversations(t *testing.T, e *env) {
	a, b := id.New[id.AgentKind](ids), id.New[id.AgentKind](ids)
	first := remote.Conversation{Context: "c1", Task: "t1", Waiting: true, UsedAt: e.now}
	second := remote.Conversation{Context: "c2", UsedAt: e.now.Add(time.Second)}
	noError(t, e.Conversations.Save(e.ctx, e.sc, a, "n", first))
	noError(t, e.Conversations.Save(e.ctx, e.sc, b, "n", first))
	noError(t, e.Conversations.Save(e.ctx, e.sc, a, "n", second))
	for of, want := range map[id.Agent]remote.Conversation{a: second, b: first} {
		got, ok, err := e.Conversations.Load(e.ctx, e.sc, of, "n")
		if noError(t, err); !ok {
			t.Error("it is not there")
		}
		same(t, want, got)
	}
	noError(t, e.Conversations.Forget(e.ctx, e.sc, a))
	if _, ok, err := e.Conversations.Load(e.ctx, e.sc, a, "n"); ok || err != nil {
		t.Errorf("forgotten, and there: %v, %v", ok, err)
	}
	if _, ok, err := e.Conversations.Load(e.ctx, e.sc, b, "n"); !ok || err != nil {
		t.Errorf("another agent's is gone: %v, %v", ok, err)
	}
}

func prune(t *testing.T, e *env) {
	a := id.New[id.AgentKind](ids)
	for name, used := range map[string]time.Time{"old": long, "older": long.Add(-time.Hour), "new": e.now} {
		noError(t, e.Conversations.Save(e.ctx, e.sc, a, name, remote.Conversation{UsedAt: used}))
	}
	for want := range 3 {
		n, err := e.Conversations.Prune(e.ctx, long.Add(time.Minute), 1)
		if noError(t, err); (n == 1) != (want < 2) {
			t.Errorf("%d pruned the %d. time", n, want+1)
		}
	}
	if _, ok, err := e.Conversations.Load(e.ctx, e.sc, a, "new"); !ok || err != nil {
		t.Errorf("one that is used is gone: %v, %v", ok, err)
	}
}

func cancelled(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	r := e.full("one")
	wantErr(t, e.Remotes.Insert(ctx, e.sc, r, 10), context.Canceled)
	_, err := e.Remotes.Get(ctx, e.sc, r.ID)
	wantErr(t, err, context.Canceled)
	wantErr(t, e.Conversations.Save(ctx, e.sc, r.Agent, "n", remote.Conversation{}), context.Canceled)
}

func updatesAtOnce(t *testing.T, e *env) {
	r := e.full("one")
	r.Card.Verdict.Score = 0
	e.insert(t, r)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := e.Remotes.Update(e.ctx, e.sc, r.ID, func(r *remote.Remote) error { r.Card.Verdict.Score++; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := e.Remotes.Get(e.ctx, e.sc, r.ID)
	if noError(t, err); got.Card.Verdict.Score != 8 {
		t.Errorf("%d of 8 updates are there", got.Card.Verdict.Score)
	}
}
