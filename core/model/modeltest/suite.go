// Package modeltest is the conformance suite of the repository of model cards, with Cards on top of it.
package modeltest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Config of the suite.
type Config struct {
	// New returns a store; tests use tenants of their own.
	New func(t *testing.T) (model.CardRepository, tx.Runner)
	// Keeper seals.
	Keeper keeper.Keeper
}

var ids = id.NewGenerator(time.Now)

type env struct {
	repo  model.CardRepository
	tx    tx.Runner
	ctx   context.Context
	sc    account.Scope
	clock *clocktest.Clock
	world *providers
	audit *trail
	cards *model.Cards
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"round trip":        roundTrip,
		"missing":           missing,
		"duplicate":         duplicate,
		"stale version":     stale,
		"one default":       oneDefault,
		"defaults at once":  defaultsAtOnce,
		"pages":             pages,
		"foreign tenant":    foreign,
		"rollback":          rollback,
		"cancelled context": cancelled,
		"bad input":         badInput,
		"probe":             probe,
		"rotation":          rotation,
		"headers":           headers,
		"resolve":           resolve,
		"sealed":            sealed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo, runner := cfg.New(t)
			e := &env{
				repo: repo, tx: runner, ctx: t.Context(), sc: account.System(id.New[id.TenantKind](ids)), clock: clocktest.New(),
				world: &providers{}, audit: &trail{},
			}
			var err error
			e.cards, err = model.NewCards(model.CardDeps{
				TX: runner, Clock: e.clock, IDs: ids, Logger: slog.New(slog.DiscardHandler), Keeper: cfg.Keeper, Repository: repo, Factory: e.world,
				Audit: e.audit,
			})
			if err != nil {
				t.Fatal(err)
			}
			fn(t, e)
		})
	}
}

// providers are models that answer unless their key is "bad-key...".
type providers struct {
	mu    sync.Mutex
	opens []model.Endpoint
	calls atomic.Int32
}

func (p *providers) Open(e model.Endpoint) (llm.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opens = append(p.opens, e)
	if e.BaseURL == "https://unusable.example.com" {
		return nil, fault.Invalidf("base_url", "cannot be used")
	}
	return provider{p, e}, nil
}

func (p *providers) opened() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.opens)
}

type provider struct {
	of *providers
	e  model.Endpoint
}

func (p provider) Name() string { return p.e.Name }

func (p provider) Generate(_ context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		p.of.calls.Add(1)
		switch {
		case req.MaxOutputTokens != 1 || len(req.Messages) != 1:
			yield(llm.Event{}, llm.ErrRefusedRequest.Withf("not a probe"))
		case strings.HasPrefix(p.e.APIKey, "bad-key"):
			yield(llm.Event{}, llm.ErrCredentials.Wrap(&llm.Refusal{Status: 401, Message: "who is " + p.e.APIKey + "?"}))
		case p.e.Model == "missing":
			yield(llm.Event{}, llm.ErrRefusedRequest.Withf("there is no model %s for %s", req.Model, p.e.APIKey))
		case p.e.Model == "broken":
			yield(llm.Event{}, errors.New("an inner matter of "+p.e.APIKey))
		case p.e.Model == "slow":
			yield(llm.Event{}, fmt.Errorf("model call: %w", context.DeadlineExceeded))
		case p.e.Model == "silent":
		default:
			yield(llm.Event{Response: &llm.Response{Model: req.Model}}, nil)
		}
	}
}

type trail struct{ err error }

func (a *trail) Record(context.Context, account.Scope, string, map[string]any) error { return a.err }

func draft(handle string) model.CardDraft {
	return model.CardDraft{ModelID: handle, Provider: model.OAI, APIKey: "sk-a-long-key-1234"}
}

func (e *env) add(t *testing.T, d model.CardDraft) model.Card {
	t.Helper()
	c, err := e.cards.Create(e.ctx, e.sc, d)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error %v, want %v", err, target)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(id.Tenant{}, id.ModelCard{})); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
}

func ptr[T any](v T) *T { return &v }

var noCard = id.NotFound[id.ModelCardKind]("")

func roundTrip(t *testing.T, e *env) {
	c := e.add(t, model.CardDraft{
		ModelID: "mine", Model: "gpt-x", Provider: model.AntCompatible, BaseURL: "https://llm.example.com/v1", APIKey: "sk-a-long-key-1234",
		Headers: map[string]string{"X-B": "two", "X-A": "one"}, Default: true,
	})
	same(t, c.Headers, []string{"X-A", "X-B"})
	same(t, c.KeyPreview, "1234")
	got, err := e.cards.Get(e.ctx, e.sc, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, c)
	e.clock.Advance(time.Second)
	changed, probed, err := e.cards.Update(e.ctx, e.sc, c.ID, model.CardPatch{
		ModelID: ptr("yours"), Model: ptr(""), Provider: ptr(model.OAI), BaseURL: ptr(""), APIKey: ptr("short"), Headers: &map[string]string{},
		Default: ptr(false),
	})
	if err != nil || !probed {
		t.Fatalf("probed %v, error %v", probed, err)
	}
	same(t, changed, model.Card{
		ID: c.ID, Tenant: c.Tenant, ModelID: "yours", Provider: model.OAI, Version: 2, CreatedAt: c.CreatedAt, UpdatedAt: c.CreatedAt.Add(time.Second),
	})
	got, err = e.cards.Get(e.ctx, e.sc, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, changed)
	want(t, e.cards.Key(e.ctx, e.sc, c.ID), model.ErrKeyInternal)
	if err := e.cards.Delete(e.ctx, e.sc, c.ID); err != nil {
		t.Fatal(err)
	}
	want(t, e.cards.Delete(e.ctx, e.sc, c.ID), noCard)
	e.add(t, draft("yours"))
}

func missing(t *testing.T, e *env) {
	no := id.New[id.ModelCardKind](ids)
	_, err := e.repo.Get(e.ctx, e.sc, no)
	want(t, err, noCard)
	want(t, e.repo.Delete(e.ctx, e.sc, no), noCard)
	want(t, e.repo.Update(e.ctx, e.sc, model.CardRecord{Card: model.Card{ID: no, Version: 2}, Sealed: []byte("x")}), noCard)
	for _, handle := range []string{"", "none", "a\x00b", "\xff"} {
		if _, ok, err := e.repo.Find(e.ctx, e.sc, handle); ok || err != nil {
			t.Errorf("%q: %v %v", handle, ok, err)
		}
	}
	want(t, e.cards.Key(e.ctx, e.sc, no), noCard)
	any, err := e.cards.Any(e.ctx, e.sc)
	if err != nil || any {
		t.Fatalf("%v %v", any, err)
	}
}

func duplicate(t *testing.T, e *env) {
	c := e.add(t, draft("one"))
	two := e.add(t, draft("two"))
	calls := e.world.calls.Load()
	_, err := e.cards.Create(e.ctx, e.sc, draft("one"))
	want(t, err, model.ErrCardExists)
	_, _, err = e.cards.Update(e.ctx, e.sc, two.ID, model.CardPatch{ModelID: ptr("one")})
	want(t, err, model.ErrCardExists)
	if e.world.calls.Load() != calls {
		t.Error("a model was asked in vain")
	}
	// The store says so by itself.
	r, err := e.repo.Get(e.ctx, e.sc, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.ID = id.New[id.ModelCardKind](ids)
	want(t, e.repo.Insert(e.ctx, e.sc, r), model.ErrCardExists)
	r, err = e.repo.Get(e.ctx, e.sc, two.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.ModelID, r.Version = "one", 2
	want(t, e.repo.Update(e.ctx, e.sc, r), model.ErrCardExists)
	e.sc = account.System(id.New[id.TenantKind](ids))
	e.add(t, draft("one"))
}

func stale(t *testing.T, e *env) {
	c := e.add(t, draft("one"))
	r, err := e.repo.Get(e.ctx, e.sc, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.Version++
	if err := e.repo.Update(e.ctx, e.sc, r); err != nil {
		t.Fatal(err)
	}
	want(t, e.repo.Update(e.ctx, e.sc, r), model.ErrCardVersion)
}

func oneDefault(t *testing.T, e *env) {
	d := draft("one")
	d.Default = true
	one := e.add(t, d)
	d.ModelID = "two"
	two := e.add(t, d)
	is := func(c model.Card, want bool) {
		t.Helper()
		got, err := e.cards.Get(e.ctx, e.sc, c.ID)
		if err != nil || got.Default != want {
			t.Fatalf("%s: default %v, error %v", c.ModelID, got.Default, err)
		}
	}
	is(one, false)
	is(two, true)
	if _, probed, err := e.cards.Update(e.ctx, e.sc, one.ID, model.CardPatch{Default: ptr(true)}); err != nil || probed {
		t.Fatalf("probed %v, error %v", probed, err)
	}
	is(one, true)
	is(two, false)
	r, ok, err := e.repo.Find(e.ctx, e.sc, "")
	if err != nil || !ok || r.ID != one.ID {
		t.Fatalf("%v %v", ok, err)
	}
}

func defaultsAtOnce(t *testing.T, e *env) {
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			d := draft(fmt.Sprintf("m%d", i))
			d.Default = true
			if _, err := e.cards.Create(e.ctx, e.sc, d); err != nil {
				t.Errorf("error %v", err)
			}
		})
	}
	wg.Wait()
	all, err := e.repo.All(e.ctx, e.sc)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range all {
		if c.Default {
			n++
		}
	}
	same(t, []int{len(all), n}, []int{6, 1})
}

func pages(t *testing.T, e *env) {
	var made []id.ModelCard
	for i := range 5 {
		made = append(made, e.add(t, draft(fmt.Sprintf("m%d", i))).ID)
	}
	card := func(c model.Card) id.ModelCard { return c.ID }
	got := pagetest.Walk(t, 2, card, func(req page.Request) (page.Page[model.Card], error) { return e.cards.List(e.ctx, e.sc, req) })
	same(t, got, []id.ModelCard{made[4], made[3], made[2], made[1], made[0]})
	if _, err := e.cards.List(e.ctx, e.sc, page.Request{Cursor: "nonsense"}); fault.KindOf(err) != fault.Invalid {
		t.Fatalf("bad cursor: %v", err)
	}
}

func foreign(t *testing.T, e *env) {
	d := draft("one")
	d.Default = true
	c := e.add(t, d)
	e.sc = account.System(id.New[id.TenantKind](ids))
	_, err := e.cards.Get(e.ctx, e.sc, c.ID)
	want(t, err, noCard)
	_, _, err = e.cards.Update(e.ctx, e.sc, c.ID, model.CardPatch{ModelID: ptr("mine")})
	want(t, err, noCard)
	want(t, e.cards.Delete(e.ctx, e.sc, c.ID), noCard)
	want(t, e.cards.Key(e.ctx, e.sc, c.ID), noCard)
	for _, handle := range []string{"", "one"} {
		if _, ok, err := e.cards.Find(e.ctx, e.sc, handle); ok || err != nil {
			t.Errorf("%q: %v %v", handle, ok, err)
		}
	}
	if s, err := e.cards.Secrets(e.ctx, e.sc); len(s) > 0 || err != nil {
		t.Errorf("%v %v", s, err)
	}
}

func rollback(t *testing.T, e *env) {
	c := e.add(t, draft("one"))
	e.audit.err = errors.New("full disk")
	if _, err := e.cards.Create(e.ctx, e.sc, draft("two")); err == nil {
		t.Error("no error")
	}
	if _, _, err := e.cards.Update(e.ctx, e.sc, c.ID, model.CardPatch{ModelID: ptr("three")}); err == nil {
		t.Error("no error")
	}
	if err := e.cards.Delete(e.ctx, e.sc, c.ID); err == nil {
		t.Error("no error")
	}
	p, err := e.cards.List(e.ctx, e.sc, page.Request{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, p.Items, []model.Card{c})
}

func cancelled(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	if _, err := e.cards.Create(ctx, e.sc, draft("one")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func badInput(t *testing.T, e *env) {
	for path, change := range map[string]func(d *model.CardDraft){
		"model_id":            func(d *model.CardDraft) { d.ModelID = " " },
		"model":               func(d *model.CardDraft) { d.Model = strings.Repeat("m", 257) },
		"provider":            func(d *model.CardDraft) { d.Provider = "anthropic" },
		"api_key":             func(d *model.CardDraft) { d.APIKey = "a\nb" },
		"base_url":            func(d *model.CardDraft) { d.BaseURL = "llm.example.com" },
		"custom_headers":      func(d *model.CardDraft) { d.Headers = map[string]string{"a b": "c"} },
		"custom_headers.Host": func(d *model.CardDraft) { d.Headers = map[string]string{"Host": "c"} },
		"custom_headers.TE":   func(d *model.CardDraft) { d.Headers = map[string]string{"TE": "c"} },
		"custom_headers.x-a":  func(d *model.CardDraft) { d.Headers = map[string]string{"X-A": "c", "x-a": "d"} },
		"custom_headers.X-B":  func(d *model.CardDraft) { d.Headers = map[string]string{"X-B": "a\r\nb"} },
	} {
		d := draft("one")
		change(&d)
		_, err := e.cards.Create(e.ctx, e.sc, d)
		f, ok := fault.As(err)
		if !ok || !errors.Is(err, model.ErrCardInvalid) || f.Fields[0].Path != path {
			t.Errorf("%s: error %v", path, err)
		}
	}
	for _, handle := range []string{"offline", "default", "", " a", "a\x00"} {
		if _, err := e.cards.Create(e.ctx, e.sc, draft(handle)); !errors.Is(err, model.ErrCardInvalid) {
			t.Errorf("%q: error %v", handle, err)
		}
	}
	for _, u := range []string{"ftp://a", "https://", "https://u:p@a", "https://a?key=x", "https://a#x", "https://a b"} {
		d := draft("one")
		d.BaseURL = u
		if _, err := e.cards.Create(e.ctx, e.sc, d); !errors.Is(err, model.ErrCardInvalid) {
			t.Errorf("%q: error %v", u, err)
		}
	}
	if n := e.world.opened(); n > 0 {
		t.Errorf("%d models were asked", n)
	}
}

func probe(t *testing.T, e *env) {
	for message, change := range map[string]func(d *model.CardDraft){
		"the model provider refused the credentials: who is [redacted]?": func(d *model.CardDraft) { d.APIKey = "bad-key-12345678" },
		"there is no model missing for [redacted]":                       func(d *model.CardDraft) { d.Model = "missing" },
		"the model did not answer":                                       func(d *model.CardDraft) { d.Model = "broken" },
		"the model did not answer within 6s":                             func(d *model.CardDraft) { d.Model = "slow" },
		"base_url: cannot be used":                                       func(d *model.CardDraft) { d.BaseURL = "https://unusable.example.com" },
	} {
		d := draft("one")
		change(&d)
		_, err := e.cards.Create(e.ctx, e.sc, d)
		f, ok := fault.As(err)
		if !ok || f.Kind != fault.Invalid || f.Message != message || strings.Contains(err.Error(), d.APIKey) {
			t.Errorf("%q: error %v", message, err)
		}
	}
	d := draft("one")
	d.Model = "silent"
	_, err := e.cards.Create(e.ctx, e.sc, d)
	want(t, err, model.ErrProbe)
	if any, err := e.cards.Any(e.ctx, e.sc); any || err != nil {
		t.Fatalf("stored: %v %v", any, err)
	}
}

func rotation(t *testing.T, e *env) {
	c := e.add(t, draft("one"))
	_, _, err := e.cards.Update(e.ctx, e.sc, c.ID, model.CardPatch{APIKey: ptr("bad-key-12345678")})
	want(t, err, model.ErrProbe)
	key := func() string {
		t.Helper()
		res, ok, err := e.cards.Find(e.ctx, e.sc, "one")
		if err != nil || !ok {
			t.Fatalf("%v %v", ok, err)
		}
		return res.Provider.(provider).e.APIKey
	}
	same(t, key(), "sk-a-long-key-1234")
	n := e.world.opened()
	same(t, key(), "sk-a-long-key-1234")
	same(t, e.world.opened(), n) // it is remembered
	if _, probed, err := e.cards.Update(e.ctx, e.sc, c.ID, model.CardPatch{APIKey: ptr("sk-another-key-5678")}); err != nil || !probed {
		t.Fatalf("%v %v", probed, err)
	}
	same(t, key(), "sk-another-key-5678")
	calls := e.world.calls.Load()
	if _, probed, err := e.cards.Update(e.ctx, e.sc, c.ID, model.CardPatch{APIKey: ptr("sk-another-key-5678")}); err != nil || probed {
		t.Fatalf("%v %v", probed, err)
	}
	same(t, e.world.calls.Load(), calls)
}

func headers(t *testing.T, e *env) {
	d := draft("one")
	d.Headers = map[string]string{"X-A": "secret-one", "X-B": "two"}
	c := e.add(t, d)
	_, _, err := e.cards.Update(e.ctx, e.sc, c.ID, model.CardPatch{Headers: &map[string]string{"x-a": model.HiddenHeader, "X-C": "three"}})
	if err != nil {
		t.Fatal(err)
	}
	res, _, err := e.cards.Find(e.ctx, e.sc, "one")
	if err != nil {
		t.Fatal(err)
	}
	same(t, res.Provider.(provider).e.Headers, map[string]string{"x-a": "secret-one", "X-C": "three"})
	secrets, err := e.cards.Secrets(e.ctx, e.sc)
	if err != nil {
		t.Fatal(err)
	}
	same(t, secrets, map[string][]string{"one": {"sk-a-long-key-1234", "secret-one", "three"}})
}

func resolve(t *testing.T, e *env) {
	offline := provider{e.world, model.Endpoint{Name: "offline"}}
	r, err := model.NewRegistry(model.Deps{Offline: offline, Cards: e.cards}, model.Config{})
	if err != nil {
		t.Fatal(err)
	}
	resolved := func(handle string) string {
		t.Helper()
		res, err := r.Resolve(e.ctx, e.sc, handle)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s/%s %v", res.ProviderName, res.Model, res.Warning != "")
	}
	if err := r.CheckModel(e.ctx, e.sc, "mine"); err != nil {
		t.Errorf("without cards: %v", err)
	}
	same(t, resolved("mine"), "offline/offline true")
	d := draft("mine")
	d.Model = "gpt-x"
	e.add(t, d)
	d = draft("claude")
	d.Provider, d.Default = model.Ant, true
	e.add(t, d)
	same(t, resolved(" mine "), "openai/gpt-x false")
	same(t, resolved("claude"), "anthropic/claude false")
	same(t, resolved(""), "anthropic/claude false")
	same(t, resolved("default"), "anthropic/claude false")
	same(t, resolved("offline"), "offline/offline false")
	same(t, resolved("Mine"), "offline/offline true")
	for _, handle := range []string{"mine", "claude", "", "default", "offline"} {
		if err := r.CheckModel(e.ctx, e.sc, handle); err != nil {
			t.Errorf("%q: %v", handle, err)
		}
	}
	want(t, r.CheckModel(e.ctx, e.sc, "Mine"), model.ErrUnknownModel)
	withDefault, err := model.NewRegistry(model.Deps{
		Offline: offline, Cards: e.cards, Sources: []model.Source{{Name: "house", Provider: offline, Model: "house-model"}},
	}, model.Config{Default: "house"})
	if err != nil {
		t.Fatal(err)
	}
	if err := withDefault.CheckModel(e.ctx, e.sc, "anything"); err != nil {
		t.Errorf("with a default provider: %v", err)
	}
	r = withDefault
	same(t, resolved("mine"), "openai/gpt-x false")
	same(t, resolved("anything"), "house/anything false")
}

func sealed(t *testing.T, e *env) {
	d := draft("one")
	d.Headers = map[string]string{"X-A": "header-secret"}
	one := e.add(t, d)
	two := e.add(t, draft("two"))
	a, err := e.repo.Get(e.ctx, e.sc, one.ID)
	if err != nil {
		t.Fatal(err)
	}
	if shown := fmt.Sprintf("%+v %s", a, a.Sealed); strings.Contains(shown, "sk-a-long") || strings.Contains(shown, "header-secret") {
		t.Fatal(shown)
	}
	b, err := e.repo.Get(e.ctx, e.sc, two.ID)
	if err != nil {
		t.Fatal(err)
	}
	b.Sealed, b.Version = a.Sealed, b.Version+1
	if err := e.repo.Update(e.ctx, e.sc, b); err != nil {
		t.Fatal(err)
	}
	_, _, err = e.cards.Find(e.ctx, e.sc, "two")
	want(t, err, keeper.ErrOpen)
}
