package telemetrytest

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// FeedbackConfig says how to test a store of feedback.
type FeedbackConfig struct {
	New func(t *testing.T) (telemetry.FeedbackRepository, tx.Runner)
}

// RunFeedback runs the suite of telemetry.FeedbackRepository, through telemetry.Opinions.
func RunFeedback(t *testing.T, cfg FeedbackConfig) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *poll){
		"RoundTrip":     testFeedbackRoundTrip,
		"Invalid":       testFeedbackInvalid,
		"Missing":       testFeedbackMissing,
		"ForeignTenant": testFeedbackForeign,
		"Filters":       testFeedbackFilters,
		"Paging":        testFeedbackPaging,
		"Satisfaction":  testSatisfaction,
		"Delete":        testFeedbackDelete,
		"Rollback":      testFeedbackRollback,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo, runner := cfg.New(t)
			test(t, newPoll(t, repo, runner))
		})
	}
}

// poll is a stage with events and messages that users may judge.
type poll struct {
	*telemetry.Opinions
	*stage

	repo     telemetry.FeedbackRepository
	events   map[id.Report]id.Agent
	messages map[id.AgentMessage]id.Agent
}

func newPoll(t *testing.T, repo telemetry.FeedbackRepository, runner tx.Runner) *poll {
	t.Helper()
	b := &poll{stage: newStage(runner), repo: repo, events: map[id.Report]id.Agent{}, messages: map[id.AgentMessage]id.Agent{}}
	var err error
	b.Opinions, err = telemetry.NewOpinions(telemetry.OpinionsDeps{
		TX: runner, Clock: b.clock(), IDs: b.ids, Repository: repo, Agents: b, Events: b, Messages: b,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Event implements telemetry.EventSource.
func (b *poll) Event(_ context.Context, _ account.Scope, event id.Report) (telemetry.Event, error) {
	a, ok := b.events[event]
	if !ok {
		return telemetry.Event{}, id.NotFound[id.ReportKind](event.String())
	}
	return telemetry.Event{ID: event, Agent: a}, nil
}

// Message implements telemetry.MessageSource.
func (b *poll) Message(_ context.Context, _ account.Scope, message id.AgentMessage) (telemetry.Message, error) {
	a, ok := b.messages[message]
	if !ok {
		return telemetry.Message{}, id.NotFound[id.AgentMessageKind](message.String())
	}
	return telemetry.Message{ID: message, Sender: a}, nil
}

func (b *poll) event(of id.Agent) id.UUID {
	e := id.New[id.ReportKind](b.ids)
	b.events[e] = of
	return e.UUID()
}

func (b *poll) message(of id.Agent) id.UUID {
	m := id.New[id.AgentMessageKind](b.ids)
	b.messages[m] = of
	return m.UUID()
}

func (b *poll) submit(t *testing.T, n telemetry.NewFeedback) telemetry.Feedback {
	t.Helper()
	f, err := b.Submit(t.Context(), b.sc, n)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (b *poll) list(t *testing.T, f telemetry.FeedbackFilter) []telemetry.Feedback {
	t.Helper()
	p, err := b.List(t.Context(), b.sc, f, page.Request{})
	if err != nil {
		t.Fatal(err)
	}
	return p.Items
}

func testFeedbackRoundTrip(t *testing.T, b *poll) {
	a := b.agent()
	var want []telemetry.Feedback
	for _, n := range []telemetry.NewFeedback{
		{Target: telemetry.TargetAgent, TargetID: a.UUID(), Type: telemetry.ThumbsUp, Rating: 5},
		{Target: telemetry.TargetEvent, TargetID: b.event(a), Type: telemetry.ThumbsDown, Rating: 1, Comment: "Too slow, isn't it?\n", User: "ada"},
		{Target: telemetry.TargetMessage, TargetID: b.message(a), Type: "comment"},
	} {
		b.now = b.now.Add(time.Second)
		got := b.submit(t, n)
		f := telemetry.Feedback{
			ID: got.ID, Tenant: b.sc.Tenant, Target: n.Target, TargetID: n.TargetID, Agent: a, Type: n.Type, Rating: n.Rating,
			Comment: n.Comment, User: n.User, At: b.now,
		}
		if diff := cmp.Diff(f, got, same); diff != "" {
			t.Error(diff)
		}
		want = append([]telemetry.Feedback{f}, want...)
	}
	if diff := cmp.Diff(want, b.list(t, telemetry.FeedbackFilter{}), same); diff != "" {
		t.Error(diff)
	}
}

func testFeedbackInvalid(t *testing.T, b *poll) {
	for path, n := range map[string]telemetry.NewFeedback{
		"target_type":   {Target: "planet", Type: "x"},
		"feedback_type": {Target: telemetry.TargetAgent},
		"rating":        {Target: telemetry.TargetAgent, Type: "x", Rating: 6},
		"comment":       {Target: telemetry.TargetAgent, Type: "x", Comment: strings.Repeat("x", telemetry.MaxComment+1)},
		"user":          {Target: telemetry.TargetAgent, Type: "x", User: "\x00"},
	} {
		n.TargetID = b.agent().UUID()
		_, err := b.Submit(t.Context(), b.sc, n)
		known, ok := fault.As(err)
		if !ok || !errors.Is(err, telemetry.ErrInvalid) || len(known.Fields) != 1 || known.Fields[0].Path != path {
			t.Errorf("%s: %v; want ErrInvalid there", path, err)
		}
	}
	if got := b.list(t, telemetry.FeedbackFilter{}); len(got) != 0 {
		t.Errorf("stored %+v", got)
	}
}

func testFeedbackMissing(t *testing.T, b *poll) {
	for target, want := range map[telemetry.Target]error{
		telemetry.TargetAgent:   id.NotFound[id.AgentKind](""),
		telemetry.TargetEvent:   id.NotFound[id.ReportKind](""),
		telemetry.TargetMessage: id.NotFound[id.AgentMessageKind](""),
	} {
		_, err := b.Submit(t.Context(), b.sc, telemetry.NewFeedback{Target: target, TargetID: b.unknown.UUID(), Type: "x"})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v; want %v", target, err, want)
		}
	}
	if got := b.list(t, telemetry.FeedbackFilter{}); len(got) != 0 {
		t.Errorf("stored %+v", got)
	}
}

func testFeedbackForeign(t *testing.T, b *poll) {
	other := newPoll(t, b.repo, b.tx)
	f := other.submit(t, telemetry.NewFeedback{Target: telemetry.TargetAgent, TargetID: b.agent().UUID(), Type: telemetry.ThumbsUp})
	if got := b.list(t, telemetry.FeedbackFilter{TargetID: f.TargetID}); len(got) != 0 {
		t.Errorf("another tenant's feedback: %+v", got)
	}
	s, err := b.Summary(t.Context(), b.sc, telemetry.FeedbackFilter{Agent: f.Agent})
	if s != (telemetry.Satisfaction{}) || err != nil {
		t.Errorf("another tenant's sums: %+v, %v", s, err)
	}
	groups, err := b.SummaryBy(t.Context(), b.sc, telemetry.FeedbackFilter{}, telemetry.SatisfactionByAgent)
	if len(groups) != 0 || err != nil {
		t.Errorf("another tenant's groups: %+v, %v", groups, err)
	}
	if n, err := b.repo.DeleteFeedback(t.Context(), b.sc, f.Agent, time.Time{}, 10); n != 0 || err != nil {
		t.Errorf("deleted %d of another tenant's, %v", n, err)
	}
}

func testFeedbackFilters(t *testing.T, b *poll) {
	a, start := b.agent(), b.now
	b.submit(t, telemetry.NewFeedback{Target: telemetry.TargetAgent, TargetID: a.UUID(), Type: telemetry.ThumbsUp, User: "1"})
	b.now = b.now.Add(time.Hour)
	b.submit(t, telemetry.NewFeedback{Target: telemetry.TargetAgent, TargetID: a.UUID(), Type: telemetry.ThumbsDown, User: "2"})
	b.now = b.now.Add(time.Hour)
	event := b.event(a)
	b.submit(t, telemetry.NewFeedback{Target: telemetry.TargetEvent, TargetID: event, Type: telemetry.ThumbsUp, User: "3"})
	b.submit(t, telemetry.NewFeedback{Target: telemetry.TargetAgent, TargetID: b.agent().UUID(), Type: telemetry.ThumbsUp, User: "4"})
	for name, x := range map[string]struct {
		f    telemetry.FeedbackFilter
		want string
	}{
		"all":           {telemetry.FeedbackFilter{}, "4321"},
		"target":        {telemetry.FeedbackFilter{Target: telemetry.TargetAgent, TargetID: a.UUID()}, "21"},
		"id alone":      {telemetry.FeedbackFilter{TargetID: event}, "3"},
		"target alone":  {telemetry.FeedbackFilter{Target: telemetry.TargetAgent}, "421"},
		"another kind":  {telemetry.FeedbackFilter{Target: telemetry.TargetMessage, TargetID: event}, ""},
		"agent":         {telemetry.FeedbackFilter{Agent: a}, "321"},
		"type":          {telemetry.FeedbackFilter{Agent: a, Type: telemetry.ThumbsUp}, "31"},
		"type, anybody": {telemetry.FeedbackFilter{Type: telemetry.ThumbsUp}, "431"},
		"since":         {telemetry.FeedbackFilter{Since: start.Add(time.Hour)}, "432"},
		"until":         {telemetry.FeedbackFilter{Until: start.Add(time.Hour)}, "1"},
	} {
		got := ""
		for _, f := range b.list(t, x.f) {
			got += f.User
		}
		if got != x.want {
			t.Errorf("%s: %q; want %q", name, got, x.want)
		}
		p, err := b.List(t.Context(), b.sc, x.f, page.Request{Limit: 1, Offset: 1, Count: true})
		if err != nil || p.Total != len(x.want) || len(p.Items) != min(1, max(0, len(x.want)-1)) {
			t.Errorf("%s: the second page of one is %+v, %v", name, p, err)
		}
		s, err := b.Summary(t.Context(), b.sc, x.f)
		if err != nil || s.Count != int64(len(x.want)) {
			t.Errorf("%s: the sums are of %d, %v", name, s.Count, err)
		}
	}
}

func testFeedbackPaging(t *testing.T, b *poll) {
	a := b.agent()
	var want []id.Feedback
	for i := range 7 {
		if i%3 == 0 {
			b.now = b.now.Add(time.Second) // those of one moment are told apart by their ids
		}
		n := telemetry.NewFeedback{Target: telemetry.TargetAgent, TargetID: a.UUID(), Type: "comment"}
		want = append([]id.Feedback{b.submit(t, n).ID}, want...)
	}
	got := pagetest.Walk(t, 2, func(f telemetry.Feedback) id.Feedback { return f.ID },
		func(req page.Request) (page.Page[telemetry.Feedback], error) {
			return b.List(t.Context(), b.sc, telemetry.FeedbackFilter{Agent: a}, req)
		})
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}
	_, err := b.List(t.Context(), b.sc, telemetry.FeedbackFilter{}, page.Request{Cursor: "x"})
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad cursor: %v; want fault.Invalid", err)
	}
}

// testSatisfaction compares what the store adds up with the rule itself, for every type with every rating.
func testSatisfaction(t *testing.T, b *poll) {
	all := telemetry.Satisfaction{}
	byAgent, byDay := map[string]telemetry.Satisfaction{}, map[string]telemetry.Satisfaction{}
	agents := []id.Agent{b.agent(), b.agent()}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []string{telemetry.ThumbsUp, telemetry.ThumbsDown, "comment"} {
		for rating := range telemetry.MaxRating + 1 {
			b.now = b.now.Add(20 * time.Minute) // it is 23:30 at first
			f := b.submit(t, telemetry.NewFeedback{
				Target: telemetry.TargetAgent, TargetID: agents[rng.IntN(2)].UUID(), Type: kind, Rating: rating,
			})
			all = all.Add(f)
			key, day := f.Agent.UUID().String(), f.At.Format(time.DateOnly)
			byAgent[key], byDay[day] = byAgent[key].Add(f), byDay[day].Add(f)
		}
	}
	got, err := b.Summary(t.Context(), b.sc, telemetry.FeedbackFilter{})
	if diff := cmp.Diff(all, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if len(byDay) < 2 || len(byAgent) != 2 {
		t.Fatalf("%d days and %d agents", len(byDay), len(byAgent))
	}
	for by, want := range map[telemetry.SatisfactionGrouping]map[string]telemetry.Satisfaction{
		telemetry.SatisfactionByAgent: byAgent, telemetry.SatisfactionByDay: byDay,
	} {
		groups, err := b.SummaryBy(t.Context(), b.sc, telemetry.FeedbackFilter{}, by)
		if err != nil {
			t.Fatal(err)
		}
		got, last := map[string]telemetry.Satisfaction{}, ""
		for _, g := range groups {
			if g.Key <= last {
				t.Errorf("by %s: %q comes after %q", by, g.Key, last)
			}
			got[g.Key], last = g.Satisfaction, g.Key
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("by %s: %s", by, diff)
		}
	}
	if _, err := b.SummaryBy(t.Context(), b.sc, telemetry.FeedbackFilter{}, "colour"); !errors.Is(err, telemetry.ErrGrouping) {
		t.Errorf("%v; want ErrGrouping", err)
	}
}

func testFeedbackDelete(t *testing.T, b *poll) {
	a, start := b.agent(), b.now
	for i := range 5 {
		b.now = start.Add(time.Duration(i) * time.Hour)
		of := a
		if i%2 == 1 {
			of = b.agent()
		}
		b.submit(t, telemetry.NewFeedback{Target: telemetry.TargetEvent, TargetID: b.event(of), Type: "comment"})
	}
	for _, step := range []struct {
		agent      id.Agent
		before     time.Time
		limit      int
		want, left int
	}{
		{id.Agent{}, start, 10, 0, 5},
		{a, start.Add(time.Hour), 10, 1, 4},
		{id.Agent{}, start.Add(3 * time.Hour), 1, 1, 3},
		{a, time.Time{}, 1, 1, 2},
		{a, time.Time{}, 10, 1, 1},
		{a, time.Time{}, 10, 0, 1},
		{id.Agent{}, time.Time{}, 10, 1, 0},
	} {
		n, err := b.repo.DeleteFeedback(t.Context(), b.sc, step.agent, step.before, step.limit)
		if left := b.list(t, telemetry.FeedbackFilter{}); n != step.want || err != nil || len(left) != step.left {
			t.Errorf("%+v: deleted %d and left %d, %v", step, n, len(left), err)
		}
	}
}

func testFeedbackRollback(t *testing.T, b *poll) {
	boom := errors.New("boom")
	err := b.tx.Do(t.Context(), func(ctx context.Context) error {
		n := telemetry.NewFeedback{Target: telemetry.TargetAgent, TargetID: b.agent().UUID(), Type: "x"}
		if _, err := b.Submit(ctx, b.sc, n); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if got := b.list(t, telemetry.FeedbackFilter{}); len(got) != 0 {
		t.Errorf("stored %+v", got)
	}
}
