package telemetrytest

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// RetentionStores are what retention works on.
type RetentionStores struct {
	Retention telemetry.RetentionRepository
	Events    telemetry.EventRepository
	Messages  telemetry.MessageRepository
	Feedback  telemetry.FeedbackRepository
}

// RetentionConfig says how to test a store of retention.
type RetentionConfig struct {
	New func(t *testing.T) (RetentionStores, tx.Runner)
}

// RunRetention runs the suite of telemetry.RetentionRepository, through telemetry.Keeping.
func RunRetention(t *testing.T, cfg RetentionConfig) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *shelf){
		"Decide":   testRetentionDecide,
		"Invalid":  testRetentionInvalid,
		"Sweep":    testRetentionSweep,
		"Default":  testRetentionDefault,
		"Crash":    testRetentionCrash,
		"Failures": testRetentionFailures,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stores, runner := cfg.New(t)
			test(t, &shelf{stage: newStage(runner), RetentionStores: stores, all: []account.Tenant{}})
		})
	}
}

// shelf is a server with tenants that keep things.
type shelf struct {
	*stage
	RetentionStores

	all   []account.Tenant
	notes []map[string]any
	fails id.Tenant // whose messages cannot be deleted
	calls int       // of deletions
	after int       // how many of them end well before the server dies; 0 is all
	die   context.CancelFunc
}

// ours hides the tenants of the other tests, which share the store.
type ours struct {
	telemetry.RetentionRepository

	b *shelf
}

func (o ours) Retentions(ctx context.Context) (map[id.Tenant]telemetry.Retention, error) {
	all, err := o.RetentionRepository.Retentions(ctx)
	maps.DeleteFunc(all, func(tenant id.Tenant, _ telemetry.Retention) bool {
		return !slices.ContainsFunc(o.b.all, func(t account.Tenant) bool { return t.ID == tenant })
	})
	return all, err
}

// Tenants implements telemetry.Tenants.
func (b *shelf) Tenants(context.Context) ([]account.Tenant, error) { return b.all, nil }

// Note implements telemetry.Trail.
func (b *shelf) Note(_ context.Context, _ account.Scope, action string, _ id.Agent, metadata map[string]any) error {
	if action == "retention_changed" {
		b.notes = append(b.notes, metadata)
	}
	return nil
}

var errStuck = errors.New("stuck")

// counted wraps a deletion so that the server dies in the middle of one.
func (b *shelf) counted(del telemetry.Deletion) telemetry.Deletion {
	return func(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time, limit int) (int, error) {
		if sc.Tenant == b.fails {
			return 0, errStuck
		}
		b.calls++
		if b.calls != b.after {
			return del(ctx, sc, agent, before, limit)
		}
		b.die()
		return 0, b.tx.Do(context.WithoutCancel(ctx), func(ctx context.Context) error {
			if _, err := del(ctx, sc, agent, before, limit); err != nil {
				return err
			}
			return errStuck // what a process did that died before its commit is undone
		})
	}
}

func (b *shelf) keeping(t *testing.T, cfg telemetry.KeepingConfig) *telemetry.Keeping {
	t.Helper()
	k, err := telemetry.NewKeeping(telemetry.KeepingDeps{
		TX: b.tx, Clock: b.clock(), Logger: slog.New(slog.DiscardHandler), Repository: ours{b.Retention, b}, Tenants: b, Trail: b,
		Events: b.counted(b.Events.DeleteEvents), Messages: b.counted(b.Messages.DeleteMessages), Feedback: b.counted(b.Feedback.DeleteFeedback),
	}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// tenant makes a tenant with an event, a message and feedback for each of the ages, in days.
func (b *shelf) tenant(t *testing.T, ages ...float64) account.Scope {
	t.Helper()
	sc := account.System(id.New[id.TenantKind](b.ids))
	b.all = append(b.all, account.Tenant{ID: sc.Tenant})
	for _, age := range ages {
		when := b.now.Add(-time.Duration(age * 24 * float64(time.Hour)))
		u := b.ids.NewUUID()
		u[6] = 0x80 | u[6]&0x0f // an id that a report brings: it says nothing of the time
		e := telemetry.Event{ID: id.Of[id.ReportKind](u), Tenant: sc.Tenant, Agent: b.agent(), Type: "x", Level: telemetry.LevelInfo, At: when}
		if _, err := b.Events.InsertEvents(t.Context(), sc, []telemetry.Event{e}); err != nil {
			t.Fatal(err)
		}
		m := telemetry.Message{ID: id.New[id.AgentMessageKind](b.ids), Sender: b.agent(), Receiver: b.agent(), Type: "x", At: when}
		if err := b.Messages.InsertMessage(t.Context(), sc, m); err != nil {
			t.Fatal(err)
		}
		f := telemetry.Feedback{
			ID: id.New[id.FeedbackKind](b.ids), Target: telemetry.TargetAgent, TargetID: b.agent().UUID(), Agent: b.agent(), Type: "x", At: when,
		}
		if err := b.Feedback.InsertFeedback(t.Context(), sc, f); err != nil {
			t.Fatal(err)
		}
	}
	return sc
}

// left counts the events, messages and feedback of a tenant.
func (b *shelf) left(t *testing.T, sc account.Scope) [3]int {
	t.Helper()
	req := page.Request{Limit: 1, Count: true}
	e, err1 := b.Events.Events(t.Context(), sc, telemetry.Filter{}, req)
	m, err2 := b.Messages.Messages(t.Context(), sc, telemetry.MessageFilter{}, req)
	f, err3 := b.Feedback.Feedback(t.Context(), sc, telemetry.FeedbackFilter{}, req)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return [3]int{e.Total, m.Total, f.Total}
}

func testRetentionDecide(t *testing.T, b *shelf) {
	k := b.keeping(t, telemetry.KeepingConfig{Default: telemetry.Retention{EventsDays: 90}})
	got, err := k.Get(t.Context(), b.sc)
	if want := (telemetry.Retention{EventsDays: 90}); got != want || err != nil {
		t.Errorf("undecided: %+v, %v; want the default", got, err)
	}
	for _, want := range []telemetry.Retention{{MessagesDays: 1, FeedbackDays: telemetry.MaxRetentionDays}, {}, {EventsDays: 30}} {
		if got, err := k.Set(t.Context(), b.sc, want); got != want || err != nil {
			t.Errorf("set %+v: %+v, %v", want, got, err)
		}
		if got, err := k.Get(t.Context(), b.sc); got != want || err != nil {
			t.Errorf("get %+v: %+v, %v", want, got, err)
		}
	}
	if got, err := k.Get(t.Context(), account.System(id.New[id.TenantKind](b.ids))); got.EventsDays != 90 || err != nil {
		t.Errorf("another tenant: %+v, %v; want the default", got, err)
	}
	days := func(events, messages, feedback any) map[string]any {
		return map[string]any{"events_days": events, "messages_days": messages, "feedback_days": feedback}
	}
	want := []map[string]any{
		{"from": days(90, nil, nil), "to": days(nil, 1, telemetry.MaxRetentionDays)},
		{"from": days(nil, 1, telemetry.MaxRetentionDays), "to": days(nil, nil, nil)},
		{"from": days(nil, nil, nil), "to": days(30, nil, nil)},
	}
	if diff := cmp.Diff(want, b.notes); diff != "" {
		t.Error(diff)
	}
}

func testRetentionInvalid(t *testing.T, b *shelf) {
	k := b.keeping(t, telemetry.KeepingConfig{})
	for path, r := range map[string]telemetry.Retention{
		"events_days": {EventsDays: -1}, "messages_days": {MessagesDays: telemetry.MaxRetentionDays + 1}, "feedback_days": {FeedbackDays: -1},
	} {
		_, err := k.Set(t.Context(), b.sc, r)
		known, ok := fault.As(err)
		if !ok || !errors.Is(err, telemetry.ErrInvalid) || len(known.Fields) != 1 || known.Fields[0].Path != path {
			t.Errorf("%s: %v; want ErrInvalid there", path, err)
		}
	}
	if len(b.notes) != 0 {
		t.Errorf("noted %v", b.notes)
	}
}

func testRetentionSweep(t *testing.T, b *shelf) {
	k := b.keeping(t, telemetry.KeepingConfig{Chunk: 2})
	ages := []float64{0, 0.5, 1, 1.001, 2, 5, 6, 7, 9.9, 30, 31}
	mine, theirs, silent := b.tenant(t, ages...), b.tenant(t, ages...), b.tenant(t, ages...)
	for sc, r := range map[*account.Scope]telemetry.Retention{
		&mine: {EventsDays: 1, MessagesDays: 30}, &theirs: {FeedbackDays: 7},
	} {
		if _, err := k.Set(t.Context(), *sc, r); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		later        time.Duration
		deleted      int
		mine, theirs [3]int
	}{
		{0, 8 + 1 + 3, [3]int{3, 10, 11}, [3]int{11, 11, 8}},
		{0, 0, [3]int{3, 10, 11}, [3]int{11, 11, 8}},
		{12 * time.Hour, 1 + 1 + 1, [3]int{2, 9, 11}, [3]int{11, 11, 7}},
		{100 * 24 * time.Hour, 2 + 9 + 7, [3]int{0, 0, 11}, [3]int{11, 11, 0}},
	} {
		b.now = b.now.Add(step.later)
		n, err := k.Sweep(t.Context())
		if err != nil || n != step.deleted || b.left(t, mine) != step.mine || b.left(t, theirs) != step.theirs {
			t.Errorf("after %s more: deleted %d, left %v and %v, %v; want %+v", step.later, n, b.left(t, mine), b.left(t, theirs), err, step)
		}
	}
	if left := b.left(t, silent); left != [3]int{11, 11, 11} {
		t.Errorf("a tenant that decided nothing keeps %v", left)
	}
}

func testRetentionDefault(t *testing.T, b *shelf) {
	k := b.keeping(t, telemetry.KeepingConfig{Default: telemetry.Retention{EventsDays: 2, MessagesDays: 2}})
	silent, keeps := b.tenant(t, 1, 3), b.tenant(t, 1, 3)
	if _, err := k.Set(t.Context(), keeps, telemetry.Retention{}); err != nil {
		t.Fatal(err)
	}
	if n, err := k.Sweep(t.Context()); n != 2 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	if got := b.left(t, silent); got != [3]int{1, 1, 2} {
		t.Errorf("by the default %v are left", got)
	}
	if got := b.left(t, keeps); got != [3]int{2, 2, 2} {
		t.Errorf("of a tenant that keeps everything %v are left", got)
	}
}

// testRetentionCrash ends the server in the middle of every deletion that a sweep makes, and starts another one.
func testRetentionCrash(t *testing.T, b *shelf) {
	sc := b.tenant(t, 0, 1, 8, 9, 10, 11, 12)
	if _, err := b.keeping(t, telemetry.KeepingConfig{}).Set(t.Context(), sc, telemetry.Retention{EventsDays: 7, MessagesDays: 7, FeedbackDays: 7}); err != nil {
		t.Fatal(err)
	}
	crashes := 0
	for b.after = 1; ; b.after++ {
		ctx, cancel := context.WithCancel(t.Context())
		b.calls, b.die = 0, cancel
		before := b.left(t, sc)
		n, err := b.keeping(t, telemetry.KeepingConfig{Chunk: 2}).Sweep(ctx)
		cancel()
		after := b.left(t, sc)
		if gone := before[0] - after[0] + before[1] - after[1] + before[2] - after[2]; gone != n {
			t.Errorf("says that %d are gone, not %d", n, gone)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if crashes++; crashes > 20 {
			t.Fatal("it never ends")
		}
	}
	if got := b.left(t, sc); got != [3]int{2, 2, 2} || crashes < 3 {
		t.Errorf("after %d crashes %v are left", crashes, got)
	}
}

func testRetentionFailures(t *testing.T, b *shelf) {
	k := b.keeping(t, telemetry.KeepingConfig{Default: telemetry.Retention{MessagesDays: 1}})
	broken, whole := b.tenant(t, 2), b.tenant(t, 2)
	b.fails = broken.Tenant
	n, err := k.Sweep(t.Context())
	if n != 1 || !errors.Is(err, errStuck) || b.left(t, whole)[1] != 0 || b.left(t, broken)[1] != 1 {
		t.Errorf("deleted %d, %v: one tenant keeps the others from it", n, err)
	}
}
