package bunstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/adapters/keeper/aesgcm"
	"github.com/bureau-agents/bureau/adapters/webhook/nethttp"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// receiver is a server that webhooks are delivered to.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer func(n int, w http.ResponseWriter, r *http.Request) // to the n-th request, from 0; nil is 204
}

type received struct {
	header http.Header
	body   []byte
}

func receive(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	rec := &receiver{answer: answer}
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		rec.mu.Lock()
		n := len(rec.got)
		rec.got = append(rec.got, received{r.Header.Clone(), body})
		rec.mu.Unlock()
		if rec.answer != nil {
			rec.answer(n, w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(rec.Close)
	return rec
}

func status(codes ...int) func(int, http.ResponseWriter, *http.Request) {
	return func(n int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(codes[min(n, len(codes)-1)]) }
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// ids returns the webhook-ids of what was received.
func (r *receiver) ids() (out []string) {
	for _, g := range r.all() {
		out = append(out, g.header.Get(webhook.HeaderID))
	}
	return out
}

// entries is a webhook.Trail that remembers.
type entries struct {
	mu  sync.Mutex
	all []string
}

func (e *entries) Note(_ context.Context, _ account.Scope, action string, _ id.Agent, metadata map[string]any) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, fmt.Sprint(action, " ", metadata))
	return nil
}

// teller is a webhook.Service with what it stands on.
type teller struct {
	*webhook.Service
	t     *testing.T
	sc    account.Scope
	clock *clocktest.Clock
	trail *entries
	log   *bytes.Buffer
	deps  webhook.Deps
}

// TestWebhookDelivery goes through one database, one test after the other, because a sweep delivers what all tenants have.
func TestWebhookDelivery(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store *Store) {
		for name, fn := range map[string]func(*testing.T, *Store){
			"DeliveryIsSigned":                testDeliveryIsSigned,
			"DeliveriesAreRetriedInOrder":     testDeliveriesAreRetriedInOrder,
			"SlowWebhookDelaysNoOther":        testSlowWebhookDelaysNoOther,
			"HangingWebhookTimesOut":          testHangingWebhookTimesOut,
			"FailingWebhookIsDisabled":        testFailingWebhookIsDisabled,
			"GoneWebhookIsDisabled":           testGoneWebhookIsDisabled,
			"PrivateAddressesAreNotReached":   testPrivateAddressesAreNotReached,
			"ReplicasDeliverOnceAndInOrder":   testReplicasDeliverOnceAndInOrder,
			"CrashBetweenSendingAndRecording": testCrashBetweenSendingAndRecording,
			"EndOfProcessGivesDeliveriesBack": testEndOfProcessGivesDeliveriesBack,
			"RotatedSecretsOverlap":           testRotatedSecretsOverlap,
			"ManualDeliveries":                testManualDeliveries,
			"NoticesStayWithTheirTenant":      testNoticesStayWithTheirTenant,
			"PublishRefusesUnknownKinds":      testPublishRefusesUnknownKinds,
		} {
			t.Run(name, func(t *testing.T) { fn(t, store) })
		}
	})
}

// telling runs fn, and forgets what it has not delivered.
func telling(t *testing.T, store *Store, c webhook.Config, fn func(t *testing.T, s *teller)) {
	t.Helper()
	fn(t, newTeller(t, store, c))
	err := store.write(t.Context(), func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM webhook_deliveries")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func newTeller(t *testing.T, store *Store, c webhook.Config) *teller {
	t.Helper()
	keeper, err := aesgcm.New(aesgcm.Config{Root: aesgcm.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	s := &teller{t: t, sc: account.System(id.New[id.TenantKind](testIDs)), clock: clocktest.New(), trail: &entries{}, log: &bytes.Buffer{}}
	s.deps = webhook.Deps{
		TX: store, Clock: s.clock, IDs: testIDs, Logger: slog.New(slog.NewTextHandler(s.log, nil)), Keeper: keeper, Webhooks: store.Webhooks(),
		Notices: store.Notices(), Deliveries: store.WebhookDeliveries(), Sender: sender(t, "127.0.0.1"), Trail: s.trail,
	}
	s.Service = s.with(c, func(*webhook.Deps) {})
	return s
}

var testIDs = id.NewGenerator(time.Now)

func sender(t *testing.T, allow ...string) webhook.Sender {
	t.Helper()
	s, err := nethttp.New(nethttp.Config{Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// with returns another service over the same store.
func (s *teller) with(c webhook.Config, change func(*webhook.Deps)) *webhook.Service {
	s.t.Helper()
	d := s.deps
	change(&d)
	out, err := webhook.NewService(d, c)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *teller) hook(url string, events ...string) (webhook.Webhook, secret.Value) {
	s.t.Helper()
	w, key, err := s.Create(s.t.Context(), s.sc, webhook.NewWebhook{URL: url, Events: events})
	if err != nil {
		s.t.Fatal(err)
	}
	return w, key
}

func (s *teller) tell(kind string, n int) {
	s.t.Helper()
	for i := range n {
		if err := s.Publish(s.t.Context(), s.sc, kind, id.New[id.AgentKind](testIDs), map[string]any{"n": i}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *teller) sweep() {
	s.t.Helper()
	if _, err := s.Sweep(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *teller) later(d time.Duration) { s.clock.Set(s.clock.Now().Add(d)) }

// deliveries are those of a webhook, the first queued first.
func (s *teller) deliveries(w webhook.Webhook) []webhook.Delivery {
	s.t.Helper()
	p, err := s.Deliveries(s.t.Context(), s.sc, w.ID, "", page.Request{Limit: 100})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Reverse(p.Items)
	return p.Items
}

func (s *teller) noticeIDs(kind string) (out []string) {
	s.t.Helper()
	p, err := s.Notices(s.t.Context(), s.sc, webhook.ListNotices{Request: page.Request{Limit: 100}, Kind: kind})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, n := range slices.Backward(p.Items) {
		out = append(out, n.ID.String())
	}
	return out
}

func testDeliveryIsSigned(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{}, func(t *testing.T, s *teller) {
		to, unwanted := receive(t, nil), receive(t, nil)
		w, key := s.hook(to.URL+"/hook?token=x", "agent.*")
		s.hook(unwanted.URL, "wallet.*")
		agent, policy := id.New[id.AgentKind](testIDs), id.New[id.PolicyKind](testIDs)
		err := s.Publish(t.Context(), s.sc, "agent.approval_required", agent, map[string]any{
			"policy_id": policy.UUID().String(), "amount": "5.00", "nested": map[string]any{"agent_ids": []any{agent.UUID().String()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.sweep()
		got := to.all()
		if len(got) != 1 || len(unwanted.all()) != 0 {
			t.Fatalf("received %d and %d", len(got), len(unwanted.all()))
		}
		notice := s.noticeIDs("agent.approval_required")[0]
		want := fmt.Sprintf(`{"id":%q,"type":"agent.approval_required","created_at":"2026-07-15T12:30:00.000Z",`+
			`"data":{"agent_id":%q,"amount":"5.00","nested":{"agent_ids":[%q]},"policy_id":%q}}`, notice, agent, agent, policy)
		if string(got[0].body) != want {
			t.Errorf("body %s\nwant %s", got[0].body, want)
		}
		if err := webhook.Verify(key, got[0].header.Get, got[0].body, s.clock.Now()); err != nil {
			t.Error(err)
		}
		if sum := got[0].header.Get("X-Valta-Signature"); sum != webhook.SignValta(key, got[0].body) {
			t.Errorf("x-valta-signature is %q", sum)
		}
		if h := got[0].header; h.Get("Content-Type") != "application/json" || h.Get(webhook.HeaderID) != notice || h.Get(webhook.HeaderValtaPrevious) != "" {
			t.Errorf("headers %v", h)
		}
		d := s.deliveries(w)
		if len(d) != 1 || d[0].Status != webhook.Delivered || len(d[0].Attempts) != 1 || d[0].Attempts[0].Code != 204 || !d[0].NextAt.IsZero() {
			t.Errorf("deliveries %+v", d)
		}
		// What is shown, logged and noted holds neither the secret nor what the address's query may hold.
		shown := fmt.Sprintf("%+v %s %v", w, s.log, s.trail.all)
		stored, _ := json.Marshal(w)
		for _, hidden := range []string{key.Reveal(), strings.TrimPrefix(key.Reveal(), "whsec_")} {
			if strings.Contains(shown+string(stored), hidden) {
				t.Errorf("the secret is in %s", shown)
			}
		}
		if strings.Contains(fmt.Sprint(s.trail.all), "token=x") {
			t.Errorf("the query is in %v", s.trail.all)
		}
	})
}

func testDeliveriesAreRetriedInOrder(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{}, func(t *testing.T, s *teller) {
		// The first notice fails once, the second one for good, the third one arrives.
		to := receive(t, status(500, 200, 503, 302, 404, 500, 500, 500, 200))
		w, _ := s.hook(to.URL, "*")
		s.tell("agent.frozen", 3)
		n := s.noticeIDs("")
		s.sweep()
		s.later(time.Second - time.Microsecond)
		s.sweep()
		if got := to.ids(); !slices.Equal(got, n[:1]) {
			t.Fatalf("received %v before the time has come", got)
		}
		s.later(time.Microsecond)
		s.sweep() // the first one arrives, and the second one is tried at once
		want := []string{n[0], n[0], n[1]}
		for _, wait := range webhook.Retries() {
			if got := to.ids(); !slices.Equal(got, want) {
				t.Fatalf("received %v; want %v", got, want)
			}
			s.later(wait)
			s.sweep()
			want = append(want, n[1])
		}
		if got := to.ids(); !slices.Equal(got, append(want, n[2])) {
			t.Errorf("received %v; want %v", got, append(want, n[2]))
		}
		d := s.deliveries(w)
		if d[0].Status != webhook.Delivered || d[1].Status != webhook.Failed || d[2].Status != webhook.Delivered {
			t.Errorf("statuses %v %v %v", d[0].Status, d[1].Status, d[2].Status)
		}
		if a := d[1].Attempts; len(a) != 6 || a[0].Code != 503 || a[1].Error != "answered 302; redirects are not followed" || a[2].Code != 404 {
			t.Errorf("attempts %+v", a)
		}
		// What arrives forgives what did not.
		if w, err := s.Get(t.Context(), s.sc, w.ID); err != nil || w.Failures != 0 || !w.Enabled {
			t.Errorf("%+v, %v", w, err)
		}
		for i, g := range to.all() {
			if first := to.all()[slices.Index(to.ids(), g.header.Get(webhook.HeaderID))]; !bytes.Equal(first.body, g.body) {
				t.Errorf("request %d has another body than the first one of its notice", i)
			}
		}
	})
}

func testSlowWebhookDelaysNoOther(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{Timeout: 2 * time.Second}, func(t *testing.T, s *teller) {
		arrived := make(chan struct{})
		quick := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
			close(arrived)
		})
		slow := receive(t, func(_ int, w http.ResponseWriter, r *http.Request) {
			select {
			case <-arrived: // so that the test ends at once when all is well
				panic(http.ErrAbortHandler)
			case <-r.Context().Done():
			}
		})
		w, _ := s.hook(slow.URL, "*")
		s.hook(quick.URL, "*")
		s.tell("agent.frozen", 1)
		s.sweep()
		if d := s.deliveries(w)[0]; d.Status != webhook.Pending || d.Attempts[0].Error != "the address cannot be reached" {
			t.Errorf("%+v", d) // cut off, and not timed out
		}
		if len(quick.all()) != 1 {
			t.Error("the other webhook was not told")
		}
	})
}

func testHangingWebhookTimesOut(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{Timeout: 30 * time.Millisecond}, func(t *testing.T, s *teller) {
		to := receive(t, func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		w, _ := s.hook(to.URL, "*")
		s.tell("agent.frozen", 1)
		s.sweep()
		if d := s.deliveries(w)[0]; d.Status != webhook.Pending || d.Attempts[0].Error != "no answer within 30ms" || d.Attempts[0].Code != 0 {
			t.Errorf("%+v", d)
		}
	})
}

func testFailingWebhookIsDisabled(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{DisableAfter: 2}, func(t *testing.T, s *teller) {
		to, watcher := receive(t, status(500)), receive(t, nil)
		w, _ := s.hook(to.URL, "agent.*")
		s.hook(watcher.URL, "webhook.*")
		s.tell("agent.frozen", 4)
		for range 2 {
			s.sweep()
			for _, wait := range webhook.Retries() {
				s.later(wait)
				s.sweep()
			}
		}
		got, err := s.Get(t.Context(), s.sc, w.ID)
		if err != nil || got.Enabled || got.Failures != 2 || got.Reason != "2 deliveries in a row have failed; the last one: answered 500" {
			t.Errorf("%+v, %v", got, err)
		}
		d := s.deliveries(w)
		if len(d) != 4 || d[2].Status != webhook.Failed || d[3].Error != "the webhook was disabled" {
			t.Errorf("deliveries %+v", d)
		}
		s.sweep()
		if n := len(watcher.all()); n != 1 {
			t.Errorf("the other webhook was told %d times", n)
		}
		if all := s.trail.all; !strings.HasPrefix(all[len(all)-1], "webhook_disabled ") {
			t.Errorf("trail %v", all)
		}
		sent := len(to.all())
		s.tell("agent.frozen", 1)
		s.sweep()
		if len(to.all()) != sent {
			t.Error("a disabled webhook was told")
		}
		if _, err := s.Test(t.Context(), s.sc, w.ID); !errors.Is(err, webhook.ErrDisabled) {
			t.Errorf("a test of a disabled webhook: %v", err)
		}
		on := true
		got, err = s.Update(t.Context(), s.sc, w.ID, webhook.Patch{Enabled: &on})
		if err != nil || !got.Enabled || got.Failures != 0 || got.Reason != "" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func testGoneWebhookIsDisabled(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{}, func(t *testing.T, s *teller) {
		w, _ := s.hook(receive(t, status(410)).URL, "*")
		s.tell("agent.frozen", 1)
		s.sweep()
		got, err := s.Get(t.Context(), s.sc, w.ID)
		if err != nil || got.Enabled || got.Reason != "its address answered 410 Gone" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func testPrivateAddressesAreNotReached(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{}, func(t *testing.T, s *teller) {
		to := receive(t, nil)
		s.deps.Sender = sender(t)
		s.Service = s.with(webhook.Config{}, func(*webhook.Deps) {})
		for _, url := range []string{
			to.URL, "http://10.1.2.3/", "http://169.254.169.254/latest", "http://[::1]:80/", "http://[::ffff:127.0.0.1]/", "file:///etc/passwd", "ftp://a.example/",
			"/hook", "http://", "http://user:password@a.example/", "https://a.example/#x", "", "https://a.example/\x00", "http://a b/",
		} {
			_, _, err := s.Create(t.Context(), s.sc, webhook.NewWebhook{URL: url, Events: []string{"*"}})
			if f, ok := fault.As(err); !ok || !errors.Is(err, webhook.ErrInvalid) || f.Fields[0].Path != "url" {
				t.Errorf("%q: %v", url, err)
			}
		}
		// A name is looked up when it is used.
		w, _ := s.hook(strings.Replace(to.URL, "127.0.0.1", "localhost", 1), "*")
		s.tell("agent.frozen", 1)
		s.sweep()
		if d := s.deliveries(w)[0]; d.Status != webhook.Failed || len(d.Attempts) != 1 || !strings.Contains(d.Error, "not a public address") {
			t.Errorf("%+v", d)
		}
		if n := len(to.all()); n != 0 {
			t.Errorf("%d requests have arrived", n)
		}
	})
}

func testReplicasDeliverOnceAndInOrder(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{}, func(t *testing.T, s *teller) {
		to := receive(t, nil)
		s.hook(to.URL, "*")
		other := s.with(webhook.Config{}, func(*webhook.Deps) {})
		s.tell("agent.frozen", 20)
		for len(to.all()) < 20 {
			var wg sync.WaitGroup
			for _, replica := range []*webhook.Service{s.Service, other} {
				wg.Go(func() {
					if _, err := replica.Sweep(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		if got, want := to.ids(), s.noticeIDs(""); !slices.Equal(got, want) {
			t.Errorf("received %v\nwant %v", got, want)
		}
	})
}

// dying loses what came of deliveries, like a process that dies before it can write it down.
type dying struct {
	webhook.Deliveries
	dead bool
}

func (d *dying) Record(ctx context.Context, sc account.Scope, v webhook.Delivery, token id.UUID) (bool, error) {
	if d.dead {
		return false, errors.New("the process has died")
	}
	return d.Deliveries.Record(ctx, sc, v, token)
}

func testCrashBetweenSendingAndRecording(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{}, func(t *testing.T, s *teller) {
		to := receive(t, nil)
		w, _ := s.hook(to.URL, "*")
		s.tell("agent.frozen", 2)
		n := s.noticeIDs("")
		victim := s.with(webhook.Config{}, func(d *webhook.Deps) { d.Deliveries = &dying{d.Deliveries, true} })
		if _, err := victim.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.sweep() // it has the lease still
		s.later(20*time.Second - time.Microsecond)
		s.sweep()
		if got := to.ids(); !slices.Equal(got, n[:1]) {
			t.Fatalf("received %v", got)
		}
		s.later(time.Microsecond)
		s.sweep()
		if got := to.ids(); !slices.Equal(got, []string{n[0], n[0], n[1]}) {
			t.Errorf("received %v", got)
		}
		if all := to.all(); !bytes.Equal(all[0].body, all[1].body) {
			t.Error("the body has changed")
		}
		if d := s.deliveries(w); d[0].Status != webhook.Delivered || d[1].Status != webhook.Delivered {
			t.Errorf("deliveries %+v", d)
		}
	})
}

func testEndOfProcessGivesDeliveriesBack(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{}, func(t *testing.T, s *teller) {
		began := make(chan struct{})
		to := receive(t, func(n int, w http.ResponseWriter, r *http.Request) {
			if n > 0 {
				w.WriteHeader(200)
				return
			}
			close(began)
			<-r.Context().Done()
		})
		w, _ := s.hook(to.URL, "*")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.Run(ctx)
		}()
		s.tell("agent.frozen", 1)
		<-began
		stop()
		<-ended
		s.sweep() // without waiting for the lease
		if d := s.deliveries(w)[0]; d.Status != webhook.Delivered || len(d.Attempts) != 1 || len(to.all()) != 2 {
			t.Errorf("%+v after %d requests", d, len(to.all()))
		}
	})
}

func testRotatedSecretsOverlap(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{}, func(t *testing.T, s *teller) {
		to := receive(t, nil)
		w, old := s.hook(to.URL, "*")
		_, fresh, err := s.Rotate(t.Context(), s.sc, w.ID, "", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		last := func() received {
			s.tell("agent.frozen", 1)
			s.sweep()
			all := to.all()
			return all[len(all)-1]
		}
		r := last()
		for _, key := range []secret.Value{old, fresh} {
			if err := webhook.Verify(key, r.header.Get, r.body, s.clock.Now()); err != nil {
				t.Error(err)
			}
		}
		if h := r.header; h.Get(webhook.HeaderValta) != webhook.SignValta(fresh, r.body) || h.Get(webhook.HeaderValtaPrevious) != webhook.SignValta(old, r.body) {
			t.Errorf("headers %v", h)
		}
		s.later(time.Hour)
		r = last()
		if err := webhook.Verify(old, r.header.Get, r.body, s.clock.Now()); !errors.Is(err, webhook.ErrSignature) {
			t.Errorf("the old secret is still good: %v", err)
		}
		if err := webhook.Verify(fresh, r.header.Get, r.body, s.clock.Now()); err != nil {
			t.Error(err)
		}
		for _, bad := range []string{"short", "whsec_AAAA", "whsec_!", strings.Repeat("a", 201), "with spaces in it, though"} {
			if _, _, err := s.Rotate(t.Context(), s.sc, w.ID, bad, 0); !errors.Is(err, webhook.ErrInvalid) {
				t.Errorf("the secret %q: %v", bad, err)
			}
		}
		if _, _, err := s.Rotate(t.Context(), s.sc, w.ID, "", webhook.MaxOverlap+1); !errors.Is(err, webhook.ErrInvalid) {
			t.Errorf("a long overlap: %v", err)
		}
	})
}

func testManualDeliveries(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{}, func(t *testing.T, s *teller) {
		to := receive(t, status(200, 500, 200, 200, 500))
		w, _ := s.hook(to.URL, "agent.*")
		s.tell("agent.frozen", 2)
		n := s.noticeIDs("")
		s.sweep() // the first one arrives, the second one is to be tried again
		d := s.deliveries(w)
		if _, err := s.Redeliver(t.Context(), s.sc, w.ID, d[1].ID); !errors.Is(err, webhook.ErrWaiting) {
			t.Errorf("redelivering what waits: %v", err)
		}
		again, err := s.Redeliver(t.Context(), s.sc, w.ID, d[0].ID)
		if err != nil || !again.Manual || again.Notice != d[0].Notice || again.ID == d[0].ID {
			t.Fatalf("%+v, %v", again, err)
		}
		test, err := s.Test(t.Context(), s.sc, w.ID)
		if err != nil || test.Kind != webhook.KindTest {
			t.Fatalf("%+v, %v", test, err)
		}
		s.sweep() // both do not wait for the one that does
		if got := to.ids(); !slices.Equal(got, []string{n[0], n[1], n[0], test.Notice.String()}) {
			t.Errorf("received %v", got)
		}
		// A test is made once.
		if test, err = s.Test(t.Context(), s.sc, w.ID); err != nil {
			t.Fatal(err)
		}
		s.sweep()
		if test, err = s.Delivery(t.Context(), s.sc, w.ID, test.ID); err != nil || test.Status != webhook.Failed || len(test.Attempts) != 1 {
			t.Errorf("%+v, %v", test, err)
		}
		if w, err := s.Get(t.Context(), s.sc, w.ID); err != nil || w.Failures != 0 {
			t.Errorf("a failed test counts: %+v, %v", w, err)
		}
		other, _ := s.hook(to.URL, "*")
		for name, call := range map[string]func() error{
			"another webhook's": func() error {
				_, err := s.Redeliver(t.Context(), s.sc, other.ID, d[0].ID)
				return err
			},
			"another tenant's": func() error {
				_, err := s.Redeliver(t.Context(), account.System(id.New[id.TenantKind](testIDs)), w.ID, d[0].ID)
				return err
			},
		} {
			if err := call(); fault.KindOf(err) != fault.NotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func testNoticesStayWithTheirTenant(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{}, func(t *testing.T, s *teller) {
		mine, theirs := receive(t, nil), receive(t, nil)
		s.hook(mine.URL, "*")
		other := *s
		other.sc = account.System(id.New[id.TenantKind](testIDs))
		other.hook(theirs.URL, "*")
		s.tell("agent.frozen", 1)
		s.sweep()
		if len(mine.all()) != 1 || len(theirs.all()) != 0 || len(other.noticeIDs("")) != 0 {
			t.Errorf("received %d and %d", len(mine.all()), len(theirs.all()))
		}
	})
}

func testPublishRefusesUnknownKinds(t *testing.T, store *Store) {
	telling(t, store, webhook.Config{}, func(t *testing.T, s *teller) {
		if err := s.Publish(t.Context(), s.sc, "agent.danced", id.Agent{}, nil); err == nil {
			t.Error("an unknown kind was told of")
		}
		for _, events := range [][]string{nil, {"agent"}, {"agent.fro*"}, {"*.*"}, {""}, {"agent.danced"}} {
			_, _, err := s.Create(t.Context(), s.sc, webhook.NewWebhook{URL: "https://a.example", Events: events})
			if f, ok := fault.As(err); !ok || f.Kind != fault.Invalid || f.Fields[0].Path != "events" {
				t.Errorf("events %q: %v", events, err)
			}
		}
		for _, k := range webhook.Kinds() {
			if _, _, err := s.Create(t.Context(), s.sc, webhook.NewWebhook{URL: "https://a.example", Events: []string{k.Name}}); err != nil {
				t.Errorf("%s: %v", k.Name, err)
			}
		}
		if _, _, err := s.Create(t.Context(), s.sc, webhook.NewWebhook{URL: "https://a.example", Events: []string{"agent.run.*", "*"}}); err != nil {
			t.Error(err)
		}
	})
}
