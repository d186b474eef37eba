// Package webhooktest is the conformance suite of the repositories of package webhook.
package webhooktest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Stores are what the suite runs against.
type Stores struct {
	Webhooks   webhook.Webhooks
	Notices    webhook.Notices
	Deliveries webhook.Deliveries
	TX         tx.Runner
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
		"webhook round trip": roundTrip,
		"missing":            missing,
		"foreign tenant":     foreign,
		"limit":              limit,
		"limit race":         limitRace,
		"update":             update,
		"delete":             remove,
		"webhook pages":      webhookPages,
		"wanted":             wanted,
		"once":               once,
		"once race":          onceRace,
		"rollback":           rollback,
		"notice pages":       noticePages,
		"delivery pages":     deliveryPages,
		"order":              order,
		"lanes":              lanes,
		"lease":              lease,
		"lease race":         leaseRace,
		"record":             record,
		"give up":            giveUp,
		"prune":              prune,
		"cancelled context":  cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, &env{cfg.New(t), t.Context(), tenant(), clock.Stored(time.Now())})
		})
	}
}

func tenant() account.Scope { return account.System(id.New[id.TenantKind](ids)) }

func (e *env) webhook(events ...string) webhook.Webhook {
	return webhook.Webhook{
		ID: id.New[id.WebhookKind](ids), Tenant: e.sc.Tenant, URL: "https://example.com/hook?a=1", Events: events, Description: "d", Enabled: true,
		SealedSecret: []byte{1, 0, 255}, CreatedAt: e.now, UpdatedAt: e.now,
	}
}

func (e *env) stored(t *testing.T, events ...string) webhook.Webhook {
	t.Helper()
	w := e.webhook(events...)
	noError(t, e.Webhooks.Insert(e.ctx, e.sc, w, 100))
	return w
}

func (e *env) notice(kind string, at time.Time) webhook.Notice {
	return webhook.Notice{
		ID: id.New[id.NoticeKind](ids), Tenant: e.sc.Tenant, Kind: kind, Agent: id.New[id.AgentKind](ids), Data: json.RawMessage(`{"b":1,"a":"é"}`),
		CreatedAt: at,
	}
}

func (e *env) told(t *testing.T, kind string, at time.Time) webhook.Notice {
	t.Helper()
	n := e.notice(kind, at)
	_, fresh, err := e.Notices.Insert(e.ctx, e.sc, n, "", nil)
	noError(t, err)
	if !fresh {
		t.Fatal("a new notice is not fresh")
	}
	return n
}

func (e *env) delivery(w id.Webhook, n id.Notice) webhook.Delivery {
	return webhook.Delivery{
		ID: id.New[id.AttemptKind](ids), Tenant: e.sc.Tenant, Webhook: w, Notice: n, Kind: "agent.frozen", Status: webhook.Pending, NextAt: e.now,
		CreatedAt: e.now, UpdatedAt: e.now,
	}
}

// queued stores n deliveries to a new webhook.
func (e *env) queued(t *testing.T, n int) (webhook.Lane, []webhook.Delivery) {
	t.Helper()
	w := e.stored(t, "*")
	var all []webhook.Delivery
	for range n {
		all = append(all, e.delivery(w.ID, e.told(t, "agent.frozen", e.now).ID))
	}
	noError(t, e.Deliveries.Insert(e.ctx, e.sc, all...))
	return webhook.Lane{Tenant: e.sc.Tenant, Webhook: w.ID}, all
}

// due returns the lanes of the env's tenant that are due; others' tests run on the same store.
func (e *env) due(t *testing.T, at time.Time) []webhook.Lane {
	t.Helper()
	all, err := e.Deliveries.Due(e.ctx, at, 10_000)
	noError(t, err)
	return slices.DeleteFunc(all, func(l webhook.Lane) bool { return l.Tenant != e.sc.Tenant })
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b id.UUID) bool { return a == b }), cmpopts.EquateComparable(
		id.Webhook{}, id.Tenant{}, id.Notice{}, id.Attempt{}, id.Agent{}), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v; want %v", err, want)
	}
}

var (
	noWebhook  = id.NotFound[id.WebhookKind]("")
	noNotice   = id.NotFound[id.NoticeKind]("")
	noDelivery = id.NotFound[id.AttemptKind]("")
)

func roundTrip(t *testing.T, e *env) {
	w := e.webhook("agent.frozen", "wallet.*")
	w.Reason, w.Failures, w.SealedPrevious, w.PreviousUntil = "why", 3, []byte{2}, e.now.Add(time.Hour)
	noError(t, e.Webhooks.Insert(e.ctx, e.sc, w, 1))
	got, err := e.Webhooks.Get(e.ctx, e.sc, w.ID)
	noError(t, err)
	equal(t, w, got)

	n := e.notice("agent.frozen", e.now)
	_, fresh, err := e.Notices.Insert(e.ctx, e.sc, n, "", nil)
	noError(t, err)
	equal(t, true, fresh)
	stored, err := e.Notices.Get(e.ctx, e.sc, n.ID)
	noError(t, err)
	equal(t, n, stored)
	n.ID, n.Agent = id.New[id.NoticeKind](ids), id.Agent{}
	_, _, err = e.Notices.Insert(e.ctx, e.sc, n, "", []string{"*"})
	noError(t, err)
	stored, err = e.Notices.Get(e.ctx, e.sc, n.ID)
	noError(t, err)
	equal(t, n, stored)

	d := e.delivery(w.ID, n.ID)
	d.Manual, d.Status, d.Error, d.NextAt = true, webhook.Failed, "gone", time.Time{}
	d.Attempts = []webhook.Attempt{{At: e.now, Duration: 12 * time.Millisecond, Code: 500, Error: "answered 500"}, {At: e.now.Add(time.Second), Error: "no"}}
	noError(t, e.Deliveries.Insert(e.ctx, e.sc, d))
	back, err := e.Deliveries.Get(e.ctx, e.sc, d.ID)
	noError(t, err)
	equal(t, d, back)
}

func missing(t *testing.T, e *env) {
	nothing(t, e, e.sc, id.New[id.WebhookKind](ids), id.New[id.NoticeKind](ids), id.New[id.AttemptKind](ids))
}

func nothing(t *testing.T, e *env, sc account.Scope, w id.Webhook, n id.Notice, d id.Attempt) {
	t.Helper()
	_, err := e.Webhooks.Get(e.ctx, sc, w)
	is(t, err, noWebhook)
	_, err = e.Webhooks.Update(e.ctx, sc, w, func(*webhook.Webhook) error {
		t.Error("a webhook that is not there was changed")
		return nil
	})
	is(t, err, noWebhook)
	is(t, e.Webhooks.Delete(e.ctx, sc, w), noWebhook)
	_, err = e.Notices.Get(e.ctx, sc, n)
	is(t, err, noNotice)
	_, err = e.Deliveries.Get(e.ctx, sc, d)
	is(t, err, noDelivery)
}

func foreign(t *testing.T, e *env) {
	lane, all := e.queued(t, 1)
	other := tenant()
	nothing(t, e, other, lane.Webhook, all[0].Notice, all[0].ID)
	hooks, err := e.Webhooks.List(e.ctx, other, page.Request{})
	noError(t, err)
	notices, err := e.Notices.List(e.ctx, other, webhook.ListNotices{})
	noError(t, err)
	deliveries, err := e.Deliveries.List(e.ctx, other, lane.Webhook, "", page.Request{})
	noError(t, err)
	if len(hooks.Items)+len(notices.Items)+len(deliveries.Items) > 0 {
		t.Errorf("another tenant sees %v %v %v", hooks.Items, notices.Items, deliveries.Items)
	}
	wanted, _, err := e.Notices.Insert(e.ctx, other, webhook.Notice{
		ID: id.New[id.NoticeKind](ids), Tenant: other.Tenant, Kind: "agent.frozen", Data: json.RawMessage("{}"), CreatedAt: e.now,
	}, "", []string{"*"})
	noError(t, err)
	equal(t, 0, len(wanted))
	_, ok, err := e.Deliveries.Lease(e.ctx, webhook.Lane{Tenant: other.Tenant, Webhook: lane.Webhook}, ids.NewUUID(), e.now, e.now.Add(time.Hour))
	noError(t, err)
	equal(t, false, ok)
	noError(t, e.Deliveries.GiveUp(e.ctx, other, lane.Webhook, "no", e.now))
	d, ok, err := e.Deliveries.Lease(e.ctx, lane, ids.NewUUID(), e.now, e.now.Add(time.Hour))
	noError(t, err)
	equal(t, true, ok)
	equal(t, all[0], d)
}

func limit(t *testing.T, e *env) {
	noError(t, e.Webhooks.Insert(e.ctx, e.sc, e.webhook("*"), 2))
	noError(t, e.Webhooks.Insert(e.ctx, e.sc, e.webhook("*"), 2))
	is(t, e.Webhooks.Insert(e.ctx, e.sc, e.webhook("*"), 2), webhook.ErrTooMany)
}

func limitRace(t *testing.T, e *env) {
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() { errs <- e.Webhooks.Insert(e.ctx, e.sc, e.webhook("*"), 2) }()
	}
	stored := 0
	for range cap(errs) {
		switch err := <-errs; {
		case err == nil:
			stored++
		case !errors.Is(err, webhook.ErrTooMany):
			t.Error(err)
		}
	}
	equal(t, 2, stored)
}

func update(t *testing.T, e *env) {
	w := e.stored(t, "agent.*")
	want := w
	want.URL, want.Events, want.Description, want.Enabled, want.Reason, want.Failures = "http://b.example", []string{"*"}, "", false, "r", 9
	want.SealedSecret, want.SealedPrevious, want.PreviousUntil = []byte{9}, []byte{8}, e.now.Add(time.Minute)
	want.UpdatedAt = e.now.Add(time.Second)
	got, err := e.Webhooks.Update(e.ctx, e.sc, w.ID, func(w *webhook.Webhook) error {
		*w = want
		w.ID, w.CreatedAt = id.New[id.WebhookKind](ids), e.now.Add(time.Hour) // these two stay
		return nil
	})
	noError(t, err)
	equal(t, want, got)
	got, err = e.Webhooks.Get(e.ctx, e.sc, w.ID)
	noError(t, err)
	equal(t, want, got)
	boom := errors.New("boom")
	_, err = e.Webhooks.Update(e.ctx, e.sc, w.ID, func(w *webhook.Webhook) error {
		w.URL = "http://c.example"
		return boom
	})
	is(t, err, boom)
	got, err = e.Webhooks.Get(e.ctx, e.sc, w.ID)
	noError(t, err)
	equal(t, want, got)
}

func remove(t *testing.T, e *env) {
	lane, all := e.queued(t, 2)
	noError(t, e.Webhooks.Delete(e.ctx, e.sc, lane.Webhook))
	is(t, e.Webhooks.Delete(e.ctx, e.sc, lane.Webhook), noWebhook)
	_, err := e.Deliveries.Get(e.ctx, e.sc, all[0].ID)
	is(t, err, noDelivery)
	equal(t, 0, len(e.due(t, e.now)))
	_, err = e.Notices.Get(e.ctx, e.sc, all[0].Notice)
	noError(t, err)
	wanted, _, err := e.Notices.Insert(e.ctx, e.sc, e.notice("agent.frozen", e.now), "", []string{"*"})
	noError(t, err)
	equal(t, 0, len(wanted))
}

func wanted(t *testing.T, e *env) {
	all, agents, exact := e.stored(t, "*"), e.stored(t, "agent.*", "agent.frozen"), e.stored(t, "agent.frozen")
	off := e.webhook("*")
	off.Enabled = false
	noError(t, e.Webhooks.Insert(e.ctx, e.sc, off, 100))
	ask := func(patterns ...string) []id.Webhook {
		t.Helper()
		got, fresh, err := e.Notices.Insert(e.ctx, e.sc, e.notice("agent.frozen", e.now), "", patterns)
		noError(t, err)
		equal(t, true, fresh)
		return got
	}
	equal(t, []id.Webhook{all.ID, agents.ID, exact.ID}, ask("*", "agent.frozen", "agent.*"))
	equal(t, []id.Webhook{all.ID}, ask("*", "wallet.deposit", "wallet.*"))
	for _, w := range []webhook.Webhook{all, exact} {
		_, err := e.Webhooks.Update(e.ctx, e.sc, w.ID, func(w *webhook.Webhook) error {
			w.Enabled = false
			return nil
		})
		noError(t, err)
	}
	equal(t, []id.Webhook{agents.ID}, ask("*", "agent.frozen", "agent.*"))
	equal(t, 0, len(ask("*", "wallet.deposit", "wallet.*")))
}

func once(t *testing.T, e *env) {
	w := e.stored(t, "*")
	first := e.notice("budget.alert", e.now)
	got, fresh, err := e.Notices.Insert(e.ctx, e.sc, first, "half", []string{"*"})
	noError(t, err)
	equal(t, true, fresh)
	equal(t, []id.Webhook{w.ID}, got)
	second := e.notice("budget.alert", e.now)
	got, fresh, err = e.Notices.Insert(e.ctx, e.sc, second, "half", []string{"*"})
	noError(t, err)
	equal(t, false, fresh)
	equal(t, 0, len(got))
	_, err = e.Notices.Get(e.ctx, e.sc, second.ID)
	is(t, err, noNotice)
	_, fresh, err = e.Notices.Insert(e.ctx, e.sc, second, "all", nil)
	noError(t, err)
	equal(t, true, fresh)
	other := tenant()
	n := e.notice("budget.alert", e.now)
	n.Tenant = other.Tenant
	_, fresh, err = e.Notices.Insert(e.ctx, other, n, "half", nil)
	noError(t, err)
	equal(t, true, fresh)
}

func onceRace(t *testing.T, e *env) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	told := 0
	for range 4 {
		wg.Go(func() {
			_, fresh, err := e.Notices.Insert(e.ctx, e.sc, e.notice("budget.alert", e.now), "half", nil)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if fresh {
				told++
			}
		})
	}
	wg.Wait()
	equal(t, 1, told)
}

func rollback(t *testing.T, e *env) {
	w, n := e.stored(t, "*"), e.notice("agent.frozen", e.now)
	d := e.delivery(w.ID, n.ID)
	boom := errors.New("boom")
	is(t, e.TX.Do(e.ctx, func(ctx context.Context) error {
		if _, _, err := e.Notices.Insert(ctx, e.sc, n, "once", []string{"*"}); err != nil {
			return err
		}
		if err := e.Deliveries.Insert(ctx, e.sc, d); err != nil {
			return err
		}
		return boom
	}), boom)
	_, err := e.Notices.Get(e.ctx, e.sc, n.ID)
	is(t, err, noNotice)
	_, err = e.Deliveries.Get(e.ctx, e.sc, d.ID)
	is(t, err, noDelivery)
	_, fresh, err := e.Notices.Insert(e.ctx, e.sc, n, "once", nil)
	noError(t, err)
	equal(t, true, fresh)
}

// walked reads a list in pages of two and returns what was read.
func walked[T any](t *testing.T, list func(page.Request) (page.Page[T], error)) []T {
	t.Helper()
	return pagetest.Walk(t, 2, pagetest.Whole[T], list)
}

func badCursor[T any](t *testing.T, list func(page.Request) (page.Page[T], error)) {
	t.Helper()
	for _, c := range []string{"x", "WyJ4Il0"} { // the second one is ["x"]
		if _, err := list(page.Request{Cursor: c}); err == nil {
			t.Errorf("the cursor %q was read", c)
		}
	}
}

func webhookPages(t *testing.T, e *env) {
	var want []webhook.Webhook
	for range 5 {
		want = append([]webhook.Webhook{e.stored(t, "*")}, want...)
	}
	list := func(r page.Request) (page.Page[webhook.Webhook], error) { return e.Webhooks.List(e.ctx, e.sc, r) }
	equal(t, want, walked(t, list))
	badCursor(t, list)
}

func noticePages(t *testing.T, e *env) {
	var want, frozen []webhook.Notice
	for i := range 5 {
		kind := []string{"agent.frozen", "agent.unfrozen"}[i%2]
		n := e.told(t, kind, e.now)
		want = append([]webhook.Notice{n}, want...)
		if kind == "agent.frozen" {
			frozen = append([]webhook.Notice{n}, frozen...)
		}
	}
	list := func(kind string, agent id.Agent) func(page.Request) (page.Page[webhook.Notice], error) {
		return func(r page.Request) (page.Page[webhook.Notice], error) {
			return e.Notices.List(e.ctx, e.sc, webhook.ListNotices{Request: r, Kind: kind, Agent: agent})
		}
	}
	equal(t, want, walked(t, list("", id.Agent{})))
	equal(t, frozen, walked(t, list("agent.frozen", id.Agent{})))
	equal(t, want[3:4], walked(t, list("", want[3].Agent)))
	equal(t, 0, len(walked(t, list("agent.frozen", want[3].Agent))))
	badCursor(t, list("", id.Agent{}))
	oneOf := func(kinds ...string) func(page.Request) (page.Page[webhook.Notice], error) {
		return func(r page.Request) (page.Page[webhook.Notice], error) {
			return e.Notices.List(e.ctx, e.sc, webhook.ListNotices{Request: r, Kinds: kinds})
		}
	}
	equal(t, frozen, walked(t, oneOf("agent.frozen", "wallet.deposit")))
	equal(t, want, walked(t, oneOf("agent.frozen", "agent.unfrozen")))
	equal(t, 0, len(walked(t, oneOf("wallet.deposit"))))
}

func deliveryPages(t *testing.T, e *env) {
	lane, all := e.queued(t, 5)
	e.queued(t, 1) // another webhook's
	slices.Reverse(all)
	list := func(s webhook.Status) func(page.Request) (page.Page[webhook.Delivery], error) {
		return func(r page.Request) (page.Page[webhook.Delivery], error) {
			return e.Deliveries.List(e.ctx, e.sc, lane.Webhook, s, r)
		}
	}
	equal(t, all, walked(t, list("")))
	equal(t, all, walked(t, list(webhook.Pending)))
	equal(t, 0, len(walked(t, list(webhook.Failed))))
	badCursor(t, list(""))
}

// take leases the first delivery of a lane and fails when there is none.
func (e *env) take(t *testing.T, l webhook.Lane, at time.Time) (webhook.Delivery, id.UUID) {
	t.Helper()
	token := ids.NewUUID()
	d, ok, err := e.Deliveries.Lease(e.ctx, l, token, at, at.Add(time.Minute))
	noError(t, err)
	if !ok {
		t.Fatal("nothing to lease")
	}
	return d, token
}

func (e *env) refused(t *testing.T, l webhook.Lane, at time.Time) {
	t.Helper()
	d, ok, err := e.Deliveries.Lease(e.ctx, l, ids.NewUUID(), at, at.Add(time.Minute))
	noError(t, err)
	if ok {
		t.Fatalf("leased %+v", d)
	}
}

func (e *env) end(t *testing.T, d webhook.Delivery, token id.UUID, s webhook.Status) {
	t.Helper()
	d.Status, d.NextAt = s, time.Time{}
	ok, err := e.Deliveries.Record(e.ctx, e.sc, d, token)
	noError(t, err)
	equal(t, true, ok)
}

func order(t *testing.T, e *env) {
	lane, all := e.queued(t, 3)
	for i, s := range []webhook.Status{webhook.Delivered, webhook.Failed, webhook.Delivered} {
		equal(t, []webhook.Lane{lane}, e.due(t, e.now))
		d, token := e.take(t, lane, e.now)
		equal(t, all[i].ID, d.ID)
		equal(t, 0, len(e.due(t, e.now)))
		e.refused(t, lane, e.now) // the one behind waits
		// One that is to be tried later keeps the others behind it waiting, too.
		d.NextAt = e.now.Add(time.Second)
		ok, err := e.Deliveries.Record(e.ctx, e.sc, d, token)
		noError(t, err)
		equal(t, true, ok)
		e.refused(t, lane, e.now)
		equal(t, 0, len(e.due(t, e.now)))
		d, token = e.take(t, lane, e.now.Add(time.Second))
		e.end(t, d, token, s)
	}
	e.refused(t, lane, e.now)
	equal(t, 0, len(e.due(t, e.now)))
}

func lanes(t *testing.T, e *env) {
	one, first := e.queued(t, 2)
	two, _ := e.queued(t, 1)
	manual := e.delivery(one.Webhook, first[0].Notice)
	manual.Manual = true
	noError(t, e.Deliveries.Insert(e.ctx, e.sc, manual))
	by := one
	by.Manual = true
	got := e.due(t, e.now)
	equal(t, 3, len(got))
	for _, l := range []webhook.Lane{one, two, by} {
		if !slices.Contains(got, l) {
			t.Errorf("%+v is not due: %+v", l, got)
		}
	}
	d, _ := e.take(t, by, e.now)
	equal(t, manual.ID, d.ID)
	d, _ = e.take(t, one, e.now)
	equal(t, first[0].ID, d.ID)
	equal(t, []webhook.Lane{two}, e.due(t, e.now))
	all, err := e.Deliveries.Due(e.ctx, e.now, 1)
	noError(t, err)
	if len(all) > 1 {
		t.Errorf("%d lanes; asked for one", len(all))
	}
}

func lease(t *testing.T, e *env) {
	lane, all := e.queued(t, 1)
	e.refused(t, lane, e.now.Add(-time.Microsecond)) // not yet
	d, first := e.take(t, lane, e.now)
	equal(t, all[0], d)
	e.refused(t, lane, e.now.Add(time.Minute-time.Microsecond))
	later := e.now.Add(time.Minute)
	equal(t, []webhook.Lane{lane}, e.due(t, later))
	again, second := e.take(t, lane, later) // its holder has vanished
	equal(t, d, again)
	d.Status, d.NextAt = webhook.Delivered, time.Time{}
	ok, err := e.Deliveries.Record(e.ctx, e.sc, d, first)
	noError(t, err)
	equal(t, false, ok)
	e.end(t, again, second, webhook.Delivered)
	ok, err = e.Deliveries.Record(e.ctx, e.sc, d, second)
	noError(t, err)
	equal(t, false, ok)
}

func leaseRace(t *testing.T, e *env) {
	lane, _ := e.queued(t, 3)
	var mu sync.Mutex
	var wg sync.WaitGroup
	taken := 0
	for range 4 {
		wg.Go(func() {
			_, ok, err := e.Deliveries.Lease(e.ctx, lane, ids.NewUUID(), e.now, e.now.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if ok {
				taken++
			}
		})
	}
	wg.Wait()
	equal(t, 1, taken)
}

func record(t *testing.T, e *env) {
	lane, _ := e.queued(t, 1)
	d, token := e.take(t, lane, e.now)
	d.Attempts = []webhook.Attempt{{At: e.now, Duration: time.Second, Error: "answered 500"}}
	d.Status, d.Error, d.NextAt, d.UpdatedAt = webhook.Failed, "why", time.Time{}, e.now.Add(time.Second)
	ok, err := e.Deliveries.Record(e.ctx, tenant(), d, token)
	noError(t, err)
	equal(t, false, ok)
	ok, err = e.Deliveries.Record(e.ctx, e.sc, d, token)
	noError(t, err)
	equal(t, true, ok)
	got, err := e.Deliveries.Get(e.ctx, e.sc, d.ID)
	noError(t, err)
	equal(t, d, got)
}

func giveUp(t *testing.T, e *env) {
	lane, all := e.queued(t, 3)
	other, _ := e.queued(t, 1)
	d, token := e.take(t, lane, e.now)
	e.end(t, d, token, webhook.Delivered)
	d, token = e.take(t, lane, e.now)
	noError(t, e.Deliveries.GiveUp(e.ctx, e.sc, lane.Webhook, "disabled", e.now.Add(time.Second)))
	ok, err := e.Deliveries.Record(e.ctx, e.sc, d, token)
	noError(t, err)
	equal(t, false, ok) // also what was leased
	equal(t, []webhook.Lane{other}, e.due(t, e.now))
	for i, want := range []webhook.Status{webhook.Delivered, webhook.Failed, webhook.Failed} {
		got, err := e.Deliveries.Get(e.ctx, e.sc, all[i].ID)
		noError(t, err)
		equal(t, want, got.Status)
		if want == webhook.Failed {
			equal(t, "disabled", got.Error)
			equal(t, time.Time{}, got.NextAt)
			equal(t, e.now.Add(time.Second), got.UpdatedAt)
		}
	}
}

func prune(t *testing.T, e *env) {
	w := e.stored(t, "*")
	long := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	old, kept := []webhook.Notice{e.told(t, "agent.frozen", long), e.told(t, "agent.frozen", long.Add(time.Second))}, e.told(t, "agent.frozen", e.now)
	gone, stays := e.delivery(w.ID, old[0].ID), e.delivery(w.ID, kept.ID)
	noError(t, e.Deliveries.Insert(e.ctx, e.sc, gone, stays))
	n, err := e.Notices.Prune(e.ctx, long.Add(time.Second), 1000)
	noError(t, err)
	equal(t, 1, n)
	_, err = e.Notices.Get(e.ctx, e.sc, old[0].ID)
	is(t, err, noNotice)
	_, err = e.Deliveries.Get(e.ctx, e.sc, gone.ID)
	is(t, err, noDelivery)
	_, err = e.Deliveries.Get(e.ctx, e.sc, stays.ID)
	noError(t, err)
	_, err = e.Notices.Get(e.ctx, e.sc, old[1].ID)
	noError(t, err)
	e.told(t, "agent.frozen", long.Add(2*time.Second))
	for _, want := range []int{1, 1, 0} {
		n, err = e.Notices.Prune(e.ctx, long.Add(time.Minute), 1)
		noError(t, err)
		equal(t, want, n)
	}
}

func cancelled(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	if _, err := e.Webhooks.Get(ctx, e.sc, id.New[id.WebhookKind](ids)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want context.Canceled", err)
	}
	if _, err := e.Deliveries.Due(ctx, e.now, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want context.Canceled", err)
	}
}
