package bunstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/adapters/keeper/aesgcm"
	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// plainWriter writes changes as what they are about.
type plainWriter struct {
	gone  bool
	fails error
}

func (w plainWriter) WritePush(_ context.Context, c a2a.PushConfig, ch a2a.PushChange) ([]byte, error) {
	if w.gone {
		return nil, id.NotFound[id.TurnKind](c.Task.String())
	}
	if w.fails != nil {
		return nil, w.fails
	}
	switch {
	case ch.Artifacts && ch.State == a2a.Rejected: // nothing was made
		return nil, nil
	case ch.Artifacts:
		return []byte("made"), nil
	}
	return []byte(ch.State), nil
}

// pushes is an a2a.Pushes with what it stands on.
type pushes struct {
	*a2a.Pushes
	t     *testing.T
	store *Store
	sc    account.Scope
	agent id.Agent
	clock *clocktest.Clock
	deps  a2a.PushesDeps
	log   *bytes.Buffer
}

// TestA2APushes goes through one database, one test after the other, because a sweep posts what all tenants have.
func TestA2APushes(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store *Store) {
		for name, fn := range map[string]func(*pushes){
			"Configurations":             (*pushes).testConfigurations,
			"Refusals":                   (*pushes).testRefusals,
			"Order":                      (*pushes).testOrder,
			"Retries":                    (*pushes).testRetries,
			"GivenUp":                    (*pushes).testGivenUp,
			"Unwritable":                 (*pushes).testUnwritable,
			"Forbidden":                  (*pushes).testForbidden,
			"Crash":                      (*pushes).testCrash,
			"EndOfProcess":               (*pushes).testEndOfProcess,
			"Replicas":                   (*pushes).testReplicas,
			"RolledBack":                 (*pushes).testRolledBack,
			"PruneAndForget":             (*pushes).testPruneAndForget,
			"SetBesideTheLastOfAllMoves": (*pushes).testRace,
		} {
			t.Run(name, func(t *testing.T) {
				p := newPushes(t, store)
				fn(p)
				p.exec("DELETE FROM a2a_push_configs")
				p.exec("DELETE FROM a2a_task_changes")
			})
		}
	})
}

func newPushes(t *testing.T, store *Store) *pushes {
	t.Helper()
	keeper, err := aesgcm.New(aesgcm.Config{Root: aesgcm.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	p := &pushes{
		t: t, store: store, sc: account.System(id.New[id.TenantKind](testIDs)), agent: id.New[id.AgentKind](testIDs), clock: clocktest.New(),
		log: &bytes.Buffer{},
	}
	repo := store.Pushes()
	p.deps = a2a.PushesDeps{
		TX: store, Clock: p.clock, IDs: testIDs, Logger: slog.New(slog.NewTextHandler(p.log, nil)), Keeper: keeper, Configs: repo, Sweeps: repo,
		Changes: repo, Sender: sender(t, "127.0.0.1"), Writer: plainWriter{},
	}
	p.Pushes = p.with(func(*a2a.PushesDeps) {})
	return p
}

// with returns another service over the same store.
func (p *pushes) with(change func(*a2a.PushesDeps)) *a2a.Pushes {
	p.t.Helper()
	d := p.deps
	change(&d)
	out, err := a2a.NewPushes(d, a2a.PushesConfig{Timeout: 5 * time.Second})
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *pushes) exec(query string, args ...any) {
	p.t.Helper()
	err := p.store.write(p.t.Context(), func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, query, args...)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pushes) task() a2a.Task {
	return a2a.Task{ID: id.New[id.TurnKind](testIDs), Who: a2a.Who{Agent: p.agent}, State: a2a.Submitted, UpdatedAt: p.clock.Now()}
}

func (p *pushes) set(t a2a.Task, n a2a.NewPush) a2a.PushConfig {
	p.t.Helper()
	c, err := p.Set(p.t.Context(), p.sc, t, n)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (p *pushes) move(t a2a.Task, states ...a2a.State) {
	p.t.Helper()
	for _, s := range states {
		t.State = s
		if err := p.TaskChanged(p.t.Context(), p.sc, t); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *pushes) sweep() {
	p.t.Helper()
	if _, err := p.Sweep(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pushes) later(d time.Duration) { p.clock.Set(p.clock.Now().Add(d)) }

func (p *pushes) state(c a2a.PushConfig) a2a.PushConfig {
	p.t.Helper()
	now, err := p.Get(p.t.Context(), p.sc, c.Task, c.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	return now
}

// bodies are those of what was received, in order.
func (r *receiver) bodies() (out []string) {
	for _, g := range r.all() {
		out = append(out, string(g.body))
	}
	return out
}

func (p *pushes) want(r *receiver, bodies ...string) {
	p.t.Helper()
	if got := r.bodies(); !slices.Equal(got, bodies) {
		p.t.Errorf("received %q; want %q", got, bodies)
	}
}

func (p *pushes) testConfigurations() {
	task, other := p.task(), p.task()
	a := p.set(task, a2a.NewPush{ID: "mine", URL: "https://a.example/x", Token: secret.NewValue("t0ken"), Scheme: "Bearer", Credentials: secret.NewValue("cr3d")})
	if got := p.state(a); !reflect.DeepEqual(a, got) {
		p.t.Errorf("stored %+v; want %+v", got, a)
	}
	if shown := fmt.Sprintf("%+v", a); strings.Contains(shown+string(a.Sealed), "t0ken") || strings.Contains(shown+string(a.Sealed), "cr3d") {
		p.t.Errorf("a secret is in %s", shown)
	}
	p.later(time.Second)
	b := p.set(task, a2a.NewPush{URL: "https://b.example"})
	replaced := p.set(task, a2a.NewPush{ID: "mine", URL: "https://c.example", Protocol: a2a.Push03})
	if all, err := p.List(p.t.Context(), p.sc, task.ID); err != nil || len(all) != 2 || p.state(a).URL != "https://c.example" || p.state(a).Sealed != nil {
		p.t.Errorf("%+v, %v", all, err)
	}
	first, again := p.set(other, a2a.NewPush{URL: "https://a.example", ReplaceFirst: true}), p.set(other, a2a.NewPush{URL: "https://b.example", ReplaceFirst: true})
	if got, err := p.Get(p.t.Context(), p.sc, other.ID, ""); first.ID != again.ID || err != nil || got.URL != "https://b.example" {
		p.t.Errorf("%q, %q, %+v, %v", first.ID, again.ID, got, err)
	}
	if ended := p.set(a2a.Task{ID: other.ID, Who: other.Who, State: a2a.Completed}, a2a.NewPush{ID: "late", URL: "https://a.example"}); p.state(ended).State != a2a.PushDone {
		p.t.Errorf("%+v", ended)
	}
	foreign := account.System(id.New[id.TenantKind](testIDs))
	for name, call := range map[string]func() error{
		"missing": func() error { _, err := p.Get(p.t.Context(), p.sc, task.ID, "nope"); return err },
		"none":    func() error { _, err := p.Get(p.t.Context(), p.sc, p.task().ID, ""); return err },
		"foreign": func() error { _, err := p.Get(p.t.Context(), foreign, task.ID, b.ID); return err },
		"delete":  func() error { return p.Delete(p.t.Context(), foreign, task.ID, b.ID) },
		"twice": func() error {
			if err := p.Delete(p.t.Context(), p.sc, task.ID, b.ID); err != nil {
				return err
			}
			return p.Delete(p.t.Context(), p.sc, task.ID, b.ID)
		},
	} {
		if err := call(); !errors.Is(err, a2a.ErrPushNotFound) {
			p.t.Errorf("%s: %v", name, err)
		}
	}
	if all, err := p.List(p.t.Context(), foreign, task.ID); err != nil || len(all) != 0 {
		p.t.Errorf("%+v, %v", all, err)
	}
	for i := range a2a.MaxPushPerTask - 1 {
		p.set(task, a2a.NewPush{ID: fmt.Sprint(i), URL: "https://a.example"})
	}
	p.set(task, a2a.NewPush{ID: replaced.ID, URL: "https://a.example"}) // one that is replaced is none more
	if _, err := p.Set(p.t.Context(), p.sc, task, a2a.NewPush{URL: "https://a.example"}); !errors.Is(err, a2a.ErrTooManyPushes) {
		p.t.Errorf("one too many: %v", err)
	}
}

func (p *pushes) testRefusals() {
	good := a2a.NewPush{URL: "https://a.example"}
	for path, n := range map[string]a2a.NewPush{
		"id":                         {URL: good.URL, ID: strings.Repeat("x", a2a.MaxPushID+1)},
		"url":                        {},
		"url ":                       {URL: "ftp://a.example"},
		"url  ":                      {URL: "http://169.254.169.254/latest"},
		"url   ":                     {URL: "https://user:password@a.example"},
		"token":                      {URL: good.URL, Token: secret.NewValue("a\nb")},
		"authentication.scheme":      {URL: good.URL, Scheme: "Bearer x"},
		"authentication.scheme ":     {URL: good.URL, Credentials: secret.NewValue("x")},
		"authentication.credentials": {URL: good.URL, Scheme: "Bearer", Credentials: secret.NewValue("a\r\nb: c")},
	} {
		_, err := p.Set(p.t.Context(), p.sc, p.task(), n)
		if f, ok := fault.As(err); !ok || f.Kind != fault.Invalid || f.Fields[0].Path != strings.TrimSpace(path) {
			p.t.Errorf("%s: %v", path, err)
		}
	}
}

func (p *pushes) testOrder() {
	to, silent := receive(p.t, nil), receive(p.t, nil)
	task, other := p.task(), p.task()
	p.move(task, a2a.Submitted) // nobody has asked yet
	c := p.set(task, a2a.NewPush{URL: to.URL, Token: secret.NewValue("t0ken"), Scheme: "Bearer", Credentials: secret.NewValue("cr3d")})
	p.set(other, a2a.NewPush{URL: silent.URL})
	p.move(task, a2a.Working, a2a.InputRequired)
	p.sweep()
	p.want(to, "working", "input-required")
	p.move(task, a2a.Working, a2a.Completed)
	p.sweep()
	p.want(to, "working", "input-required", "working", "made", "completed")
	p.want(silent)
	if got := p.state(c); got.State != a2a.PushDone || got.EndedAt.IsZero() {
		p.t.Errorf("%+v", got)
	}
	seen := map[string]bool{}
	for _, g := range to.all() {
		seen[g.header.Get(a2a.HeaderPushID)] = true
		if g.header.Get("Authorization") != "Bearer cr3d" || g.header.Get(a2a.HeaderPushToken) != "t0ken" || g.header.Get(a2a.HeaderPushVersion) != "1.0" ||
			g.header.Get("Content-Type") != "application/a2a+json" {
			p.t.Errorf("headers %v", g.header)
		}
	}
	if len(seen) != 5 {
		p.t.Errorf("the changes have the ids %v", seen)
	}
	for _, end := range []a2a.State{a2a.Failed, a2a.Canceled} { // what it made until then
		task, to := p.task(), receive(p.t, nil)
		p.set(task, a2a.NewPush{URL: to.URL})
		p.move(task, end)
		p.sweep()
		p.want(to, "made", string(end))
	}
	// A configuration of 0.3 has other headers, and one without secrets none of them.
	old := p.task()
	p.set(old, a2a.NewPush{URL: silent.URL, Protocol: a2a.Push03})
	p.move(old, a2a.Rejected)
	p.sweep()
	if h := silent.all()[0].header; h.Get("Content-Type") != "application/json" || h.Get("Authorization")+h.Get(a2a.HeaderPushToken)+h.Get(a2a.HeaderPushVersion) != "" {
		p.t.Errorf("headers %v", h)
	}
	if strings.Contains(p.log.String(), "cr3d") || strings.Contains(p.log.String(), "t0ken") {
		p.t.Error("a secret is in the log")
	}
}

func (p *pushes) testRetries() {
	to := receive(p.t, status(500, 302, 200, 404, 200))
	task := p.task()
	c := p.set(task, a2a.NewPush{URL: to.URL})
	p.move(task, a2a.Working, a2a.Rejected)
	p.sweep()
	p.later(time.Second - time.Microsecond)
	p.sweep()
	p.want(to, "working")
	p.later(time.Microsecond)
	p.sweep()
	p.want(to, "working", "working")
	if got := p.state(c); got.Failures != 2 || got.NextAt.Sub(p.clock.Now()) != 5*time.Second {
		p.t.Errorf("%+v", got)
	}
	p.later(5 * time.Second)
	p.sweep() // what arrives forgives what did not
	p.want(to, "working", "working", "working", "rejected")
	p.later(time.Second)
	p.sweep()
	p.want(to, "working", "working", "working", "rejected", "rejected")
	if got := p.state(c); got.State != a2a.PushDone || got.Failures != 0 {
		p.t.Errorf("%+v", got)
	}
	ids := to.all()
	if a, b := ids[0].header.Get(a2a.HeaderPushID), ids[2].header.Get(a2a.HeaderPushID); a != b || a == ids[3].header.Get(a2a.HeaderPushID) {
		p.t.Errorf("ids %q, %q", a, b)
	}
}

func (p *pushes) testGivenUp() {
	to, gone := receive(p.t, status(500)), receive(p.t, status(410))
	task := p.task()
	c, g := p.set(task, a2a.NewPush{URL: to.URL}), p.set(task, a2a.NewPush{URL: gone.URL})
	p.move(task, a2a.Working)
	for range 12 {
		p.sweep()
		p.later(4 * time.Hour)
	}
	if got := p.state(c); got.State != a2a.PushFailed || got.Error != "answered 500" || len(to.all()) != 10 {
		p.t.Errorf("%+v after %d attempts", got, len(to.all()))
	}
	if got := p.state(g); got.State != a2a.PushFailed || len(gone.all()) != 1 {
		p.t.Errorf("%+v after %d attempts", got, len(gone.all()))
	}
	lost := p.set(task, a2a.NewPush{URL: to.URL})
	p.move(task, a2a.Canceled)
	p.Pushes = p.with(func(d *a2a.PushesDeps) { d.Writer = plainWriter{gone: true} })
	p.sweep()
	if got := p.state(lost); got.State != a2a.PushFailed || got.Error != "the task is no longer kept" {
		p.t.Errorf("%+v", got)
	}
}

// testUnwritable has changes that cannot be written down: at first, and for ever.
func (p *pushes) testUnwritable() {
	to := receive(p.t, nil)
	task, other := p.task(), p.task()
	c := p.set(task, a2a.NewPush{URL: to.URL})
	p.move(task, a2a.Working, a2a.Failed)
	whole := p.Pushes
	p.Pushes = p.with(func(d *a2a.PushesDeps) { d.Writer = plainWriter{fails: errDied} })
	p.sweep()
	if got := p.state(c); got.State != a2a.PushActive || got.Failures != 1 || got.NextAt.Sub(p.clock.Now()) != time.Second {
		p.t.Errorf("%+v", got)
	}
	p.later(time.Second)
	if _, err := whole.Sweep(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.want(to, "working", "made", "failed")
	c = p.set(other, a2a.NewPush{URL: to.URL})
	p.move(other, a2a.Working)
	for range 12 {
		p.sweep()
		p.later(4 * time.Hour)
	}
	if got := p.state(c); got.State != a2a.PushFailed || got.Error == "" || strings.Contains(got.Error, errDied.Error()) {
		p.t.Errorf("%+v", got)
	}
	p.want(to, "working", "made", "failed")
}

// testForbidden lets the address lead to a private one after it was checked.
func (p *pushes) testForbidden() {
	to := receive(p.t, nil)
	task := p.task()
	c := p.set(task, a2a.NewPush{URL: to.URL})
	p.Pushes = p.with(func(d *a2a.PushesDeps) { d.Sender = sender(p.t) })
	p.move(task, a2a.Working)
	p.sweep()
	p.want(to)
	if got := p.state(c); got.State != a2a.PushFailed || got.Error == "" {
		p.t.Errorf("%+v", got)
	}
}

// lost is a store whose process dies before it has recorded anything.
type lost struct{ a2a.PushConfigs }

var errDied = errors.New("the process is dead")

func (lost) Record(context.Context, a2a.PushConfig, id.UUID, time.Time) (bool, error) {
	return false, errDied
}

func (p *pushes) testCrash() {
	to := receive(p.t, nil)
	task := p.task()
	c := p.set(task, a2a.NewPush{URL: to.URL})
	p.move(task, a2a.Working, a2a.Completed)
	dead := p.with(func(d *a2a.PushesDeps) { d.Configs = lost{d.Configs} })
	if _, err := dead.Sweep(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.sweep()
	p.want(to, "working") // the lease of the dead one holds
	p.later(10 * time.Second)
	p.sweep()
	p.want(to, "working", "working", "made", "completed")
	if got := p.state(c); got.State != a2a.PushDone {
		p.t.Errorf("%+v", got)
	}
}

func (p *pushes) testEndOfProcess() {
	ctx, end := context.WithCancel(p.t.Context())
	defer end()
	to := receive(p.t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 0 {
			end()
			<-r.Context().Done()
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	task := p.task()
	p.set(task, a2a.NewPush{URL: to.URL})
	p.move(task, a2a.Rejected)
	p.Run(ctx)
	p.with(func(*a2a.PushesDeps) {}).Sweep(p.t.Context())
	p.want(to, "rejected", "rejected")
}

func (p *pushes) testReplicas() {
	to := receive(p.t, nil)
	task := p.task()
	p.set(task, a2a.NewPush{URL: to.URL})
	p.move(task, a2a.Submitted, a2a.Working, a2a.InputRequired, a2a.Working, a2a.Completed)
	var all sync.WaitGroup
	for range 4 {
		s := p.with(func(*a2a.PushesDeps) {})
		all.Go(func() {
			if _, err := s.Sweep(p.t.Context()); err != nil {
				p.t.Error(err)
			}
		})
	}
	all.Wait()
	p.want(to, "submitted", "working", "input-required", "working", "made", "completed")
}

func (p *pushes) testRolledBack() {
	to := receive(p.t, nil)
	task := p.task()
	p.set(task, a2a.NewPush{URL: to.URL})
	err := p.store.Do(p.t.Context(), func(ctx context.Context) error {
		task.State = a2a.Completed
		if err := p.TaskChanged(ctx, p.sc, task); err != nil {
			return err
		}
		return errDied
	})
	if !errors.Is(err, errDied) {
		p.t.Fatal(err)
	}
	p.sweep()
	p.want(to)
}

func (p *pushes) testPruneAndForget() {
	to := receive(p.t, nil)
	done, kept, theirs := p.task(), p.task(), p.task()
	for _, t := range []a2a.Task{done, kept} {
		stamped := at(p.clock.Now())
		p.exec(`INSERT INTO a2a_tasks (id, tenant_id, agent_id, key_id, context, state, reason, rule, first_seq, last_seq, created_at, updated_at)
			VALUES (?, ?, ?, ?, '', 'working', '', '', 0, 0, ?, ?)`, t.ID, p.sc.Tenant, p.agent, id.New[id.APIKeyKind](testIDs), stamped, stamped)
	}
	p.set(done, a2a.NewPush{URL: to.URL})
	alive := p.set(kept, a2a.NewPush{URL: to.URL})
	gone := p.set(theirs, a2a.NewPush{URL: to.URL}) // of a task that is not there
	p.move(done, a2a.Completed)
	p.sweep()
	p.later(a2a.KeepPushes + time.Second)
	if n, err := p.Prune(p.t.Context()); err != nil || n != 2 {
		p.t.Fatalf("%d, %v", n, err)
	}
	if _, err := p.Get(p.t.Context(), p.sc, gone.Task, gone.ID); !errors.Is(err, a2a.ErrPushNotFound) {
		p.t.Errorf("%v", err)
	}
	p.state(alive)
	if err := p.Forget(p.t.Context(), account.System(id.New[id.TenantKind](testIDs)), p.agent); err != nil {
		p.t.Fatal(err)
	}
	p.state(alive)
	if err := p.Forget(p.t.Context(), p.sc, p.agent); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.Get(p.t.Context(), p.sc, alive.Task, alive.ID); !errors.Is(err, a2a.ErrPushNotFound) {
		p.t.Errorf("%v", err)
	}
	var left int
	if err := p.store.read(p.t.Context()).QueryRowContext(p.t.Context(), "SELECT count(*) FROM a2a_task_changes").Scan(&left); err != nil || left != 0 {
		p.t.Errorf("%d changes are left, %v", left, err)
	}
}

// testRace adds a configuration while the task ends: it is told of the end, or it knows that there is nothing to be told.
func (p *pushes) testRace() {
	to := receive(p.t, nil)
	for range 10 {
		task := p.task()
		p.set(task, a2a.NewPush{URL: "https://a.example"}) // so that the change is noted
		var both sync.WaitGroup
		both.Go(func() { p.move(task, a2a.Working) })
		both.Go(func() { p.set(task, a2a.NewPush{ID: "b", URL: to.URL}) })
		both.Wait()
		next, ok, err := p.deps.Changes.Next(p.t.Context(), task.ID, 0)
		place := p.state(a2a.PushConfig{Task: task.ID, ID: "b"}).Place
		if err != nil || !ok || next.Number != 1 || place > 1 {
			p.t.Fatalf("%+v, %v, %v; place %d", next, ok, err, place)
		}
	}
}
