package telemetrytest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// MessagesConfig says how to test a store of messages.
type MessagesConfig struct {
	New func(t *testing.T) (telemetry.MessageRepository, tx.Runner)
}

// RunMessages runs the suite of telemetry.MessageRepository, through telemetry.Exchange.
func RunMessages(t *testing.T, cfg MessagesConfig) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *talk){
		"RoundTrip":     testMessageRoundTrip,
		"Invalid":       testMessageInvalid,
		"Missing":       testMessageMissing,
		"ForeignTenant": testMessageForeign,
		"Filters":       testMessageFilters,
		"Paging":        testMessagePaging,
		"Delete":        testMessageDelete,
		"Rollback":      testMessageRollback,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo, runner := cfg.New(t)
			test(t, newTalk(t, repo, runner))
		})
	}
}

// stage is a tenant with a clock of its own, in which agents are there unless they are named as unknown.
type stage struct {
	tx      tx.Runner
	sc      account.Scope
	ids     id.Generator
	now     time.Time
	unknown id.Agent
}

func newStage(runner tx.Runner) *stage {
	s := &stage{tx: runner, ids: id.NewGenerator(time.Now), now: time.Date(2026, 11, 21, 23, 30, 0, 0, time.UTC)}
	s.sc = account.System(id.New[id.TenantKind](s.ids))
	s.unknown = s.agent()
	return s
}

func (s *stage) agent() id.Agent { return id.New[id.AgentKind](s.ids) }

func (s *stage) clock() clock.Clock { return clock.Func(func() time.Time { return s.now }) }

// Exists implements telemetry.Agents.
func (s *stage) Exists(_ context.Context, _ account.Scope, agent id.Agent) error {
	if agent == s.unknown {
		return id.NotFound[id.AgentKind](agent.String())
	}
	return nil
}

// same compares ids, which have unexported fields.
var same = cmp.Options{
	cmp.Comparer(func(a, b id.Tenant) bool { return a == b }), cmp.Comparer(func(a, b id.Agent) bool { return a == b }),
	cmp.Comparer(func(a, b id.AgentMessage) bool { return a == b }), cmp.Comparer(func(a, b id.Feedback) bool { return a == b }),
	cmp.Comparer(func(a, b id.Report) bool { return a == b }),
}

type talk struct {
	*telemetry.Exchange
	*stage

	repo telemetry.MessageRepository
}

func newTalk(t *testing.T, repo telemetry.MessageRepository, runner tx.Runner) *talk {
	t.Helper()
	b := &talk{stage: newStage(runner), repo: repo}
	var err error
	b.Exchange, err = telemetry.NewExchange(telemetry.ExchangeDeps{TX: runner, Clock: b.clock(), IDs: b.ids, Repository: repo, Agents: b})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *talk) send(t *testing.T, n telemetry.NewMessage) telemetry.Message {
	t.Helper()
	m, err := b.Record(t.Context(), b.sc, n)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (b *talk) list(t *testing.T, f telemetry.MessageFilter) []telemetry.Message {
	t.Helper()
	p, err := b.List(t.Context(), b.sc, f, page.Request{})
	if err != nil {
		t.Fatal(err)
	}
	return p.Items
}

func testMessageRoundTrip(t *testing.T, b *talk) {
	b.now = b.now.Add(1500 * time.Nanosecond) // stores keep microseconds
	whole := b.send(t, telemetry.NewMessage{
		Sender: b.agent(), Receiver: b.agent(), Type: "request", TraceID: "trace ünïcode",
		Payload: json.RawMessage(" {\"b\": 1.0, \"a\":\"\\u0000 it's ?\", \"a\": [1e2]}\n"),
	})
	want := telemetry.Message{
		ID: whole.ID, Tenant: b.sc.Tenant, Sender: whole.Sender, Receiver: whole.Receiver, Type: "request", TraceID: "trace ünïcode",
		Payload: json.RawMessage(`{"b":1.0,"a":"\u0000 it's ?","a":[1e2]}`), At: b.now.Truncate(time.Microsecond),
	}
	if diff := cmp.Diff(want, whole, same); diff != "" {
		t.Error(diff)
	}
	self := b.agent()
	bare := b.send(t, telemetry.NewMessage{Sender: self, Receiver: self, Type: "note", Payload: json.RawMessage("null")})
	if bare.Payload != nil || bare.TraceID != "" {
		t.Errorf("a message without anything: %+v", bare)
	}
	if diff := cmp.Diff([]telemetry.Message{bare, want}, b.list(t, telemetry.MessageFilter{}), same); diff != "" {
		t.Error(diff)
	}
	got, err := b.Get(t.Context(), b.sc, whole.ID)
	if diff := cmp.Diff(want, got, same); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if got := b.list(t, telemetry.MessageFilter{Agent: self}); len(got) != 1 {
		t.Errorf("what an agent told itself is listed %d times", len(got))
	}
}

func testMessageInvalid(t *testing.T, b *talk) {
	long := strings.Repeat("ü", telemetry.MaxType)
	b.send(t, telemetry.NewMessage{Sender: b.agent(), Receiver: b.agent(), Type: long, TraceID: long})
	for path, n := range map[string]telemetry.NewMessage{
		"message_type": {Type: " "},
		"trace_id":     {Type: "x", TraceID: long + "ü"},
		"payload":      {Type: "x", Payload: json.RawMessage("[1]")},
	} {
		n.Sender, n.Receiver = b.agent(), b.agent()
		_, err := b.Record(t.Context(), b.sc, n)
		known, ok := fault.As(err)
		if !ok || !errors.Is(err, telemetry.ErrInvalid) || len(known.Fields) != 1 || known.Fields[0].Path != path {
			t.Errorf("%s: %v; want ErrInvalid there", path, err)
		}
	}
	for _, payload := range []string{`{`, `{"a":}`, `"x"`, `1`, `{"a":"` + strings.Repeat("x", telemetry.MaxPayload) + `"}`} {
		_, err := b.Record(t.Context(), b.sc, telemetry.NewMessage{Sender: b.agent(), Receiver: b.agent(), Type: "x", Payload: json.RawMessage(payload)})
		if !errors.Is(err, telemetry.ErrInvalid) {
			t.Errorf("payload of %d bytes: %v; want ErrInvalid", len(payload), err)
		}
	}
	if got := b.list(t, telemetry.MessageFilter{}); len(got) != 1 {
		t.Errorf("%d messages are stored, want the one that was right", len(got))
	}
}

func testMessageMissing(t *testing.T, b *talk) {
	for _, n := range []telemetry.NewMessage{
		{Sender: b.unknown, Receiver: b.agent(), Type: "x"}, {Sender: b.agent(), Receiver: b.unknown, Type: "x"},
	} {
		if _, err := b.Record(t.Context(), b.sc, n); !errors.Is(err, id.NotFound[id.AgentKind]("")) {
			t.Errorf("%v; want agent_not_found", err)
		}
	}
	if got := b.list(t, telemetry.MessageFilter{}); len(got) != 0 {
		t.Errorf("stored %+v", got)
	}
	_, err := b.Get(t.Context(), b.sc, id.New[id.AgentMessageKind](b.ids))
	if !errors.Is(err, id.NotFound[id.AgentMessageKind]("")) {
		t.Errorf("%v; want agent_message_not_found", err)
	}
}

func testMessageForeign(t *testing.T, b *talk) {
	other := newTalk(t, b.repo, b.tx)
	m := other.send(t, telemetry.NewMessage{Sender: b.agent(), Receiver: b.agent(), Type: "x", TraceID: "t"})
	for name, f := range map[string]telemetry.MessageFilter{
		"all": {}, "agent": {Agent: m.Sender}, "trace": {TraceID: "t"}, "type": {Type: "x"},
	} {
		if got := b.list(t, f); len(got) != 0 {
			t.Errorf("%s: another tenant's messages: %+v", name, got)
		}
	}
	if _, err := b.Get(t.Context(), b.sc, m.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("another tenant's message: %v", err)
	}
	if n, err := b.repo.DeleteMessages(t.Context(), b.sc, m.Sender, time.Time{}, 10); n != 0 || err != nil {
		t.Errorf("deleted %d of another tenant's, %v", n, err)
	}
}

func testMessageFilters(t *testing.T, b *talk) {
	start, a, c, d := b.now, b.agent(), b.agent(), b.agent()
	b.send(t, telemetry.NewMessage{Sender: a, Receiver: c, Type: "request", TraceID: "t1", Payload: json.RawMessage(`{"n":1}`)})
	b.now = b.now.Add(time.Hour)
	b.send(t, telemetry.NewMessage{Sender: c, Receiver: a, Type: "response", TraceID: "t1", Payload: json.RawMessage(`{"n":2}`)})
	b.now = b.now.Add(time.Hour)
	b.send(t, telemetry.NewMessage{Sender: c, Receiver: d, Type: "request", TraceID: "t2", Payload: json.RawMessage(`{"n":3}`)})
	for name, x := range map[string]struct {
		f    telemetry.MessageFilter
		want string
	}{
		"all":                         {telemetry.MessageFilter{}, "321"},
		"either side":                 {telemetry.MessageFilter{Agent: a}, "21"},
		"the middle one":              {telemetry.MessageFilter{Agent: c}, "321"},
		"sender":                      {telemetry.MessageFilter{Sender: c}, "32"},
		"receiver":                    {telemetry.MessageFilter{Receiver: c}, "1"},
		"both":                        {telemetry.MessageFilter{Sender: c, Receiver: d}, "3"},
		"either side, one named":      {telemetry.MessageFilter{Agent: a, Sender: c}, "2"},
		"either side, not that agent": {telemetry.MessageFilter{Agent: d, Receiver: a}, ""},
		"type":                        {telemetry.MessageFilter{Type: "request"}, "31"},
		"type of one agent":           {telemetry.MessageFilter{Agent: a, Type: "request"}, "1"},
		"trace":                       {telemetry.MessageFilter{TraceID: "t1"}, "21"},
		"since":                       {telemetry.MessageFilter{Since: start.Add(time.Hour)}, "32"},
		"until":                       {telemetry.MessageFilter{Agent: c, Until: start.Add(time.Hour)}, "1"},
	} {
		got := ""
		for _, m := range b.list(t, x.f) {
			got += string(m.Payload[5:6])
		}
		if got != x.want {
			t.Errorf("%s: %q; want %q", name, got, x.want)
		}
		p, err := b.List(t.Context(), b.sc, x.f, page.Request{Limit: 1, Offset: 1, Count: true})
		if err != nil || p.Total != len(x.want) || len(p.Items) != min(1, max(0, len(x.want)-1)) {
			t.Errorf("%s: the second page of one is %+v, %v", name, p, err)
		} else if len(p.Items) == 1 && string(p.Items[0].Payload[5:6]) != x.want[1:2] {
			t.Errorf("%s: the second item is %s", name, p.Items[0].Payload)
		}
	}
}

func testMessagePaging(t *testing.T, b *talk) {
	a := b.agent()
	var want []id.AgentMessage
	for i := range 9 {
		if i%3 == 0 {
			b.now = b.now.Add(time.Second) // those of one moment are told apart by their ids
		}
		n := telemetry.NewMessage{Sender: a, Receiver: b.agent(), Type: "x"}
		if i%2 == 0 {
			n.Sender, n.Receiver = n.Receiver, n.Sender
		}
		want = append([]id.AgentMessage{b.send(t, n).ID}, want...)
	}
	for name, f := range map[string]telemetry.MessageFilter{"all": {}, "of one agent": {Agent: a}} {
		got := pagetest.Walk(t, 2, func(m telemetry.Message) id.AgentMessage { return m.ID },
			func(req page.Request) (page.Page[telemetry.Message], error) { return b.List(t.Context(), b.sc, f, req) })
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, err := b.List(t.Context(), b.sc, telemetry.MessageFilter{}, page.Request{Cursor: "x"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad cursor: %v; want fault.Invalid", err)
	}
}

func testMessageDelete(t *testing.T, b *talk) {
	a, start := b.agent(), b.now
	for i := range 6 {
		b.now = start.Add(time.Duration(i) * time.Hour)
		n := telemetry.NewMessage{Sender: a, Receiver: b.agent(), Type: "mine"}
		switch i % 3 {
		case 1:
			n.Sender, n.Receiver = n.Receiver, n.Sender
		case 2:
			n.Sender, n.Type = b.agent(), "other"
		}
		b.send(t, n)
	}
	for _, step := range []struct {
		agent  id.Agent
		before time.Time
		limit  int
		want   int
		left   int
	}{
		{id.Agent{}, start, 10, 0, 6},
		{a, start.Add(time.Hour), 10, 1, 5},
		{id.Agent{}, start.Add(3 * time.Hour), 1, 1, 4},
		{id.Agent{}, start.Add(3 * time.Hour), 10, 1, 3},
		{a, time.Time{}, 10, 2, 1},
		{a, time.Time{}, 10, 0, 1},
		{id.Agent{}, time.Time{}, 10, 1, 0},
	} {
		n, err := b.repo.DeleteMessages(t.Context(), b.sc, step.agent, step.before, step.limit)
		if left := b.list(t, telemetry.MessageFilter{}); n != step.want || err != nil || len(left) != step.left {
			t.Errorf("%+v: deleted %d and left %d, %v", step, n, len(left), err)
		}
	}
}

func testMessageRollback(t *testing.T, b *talk) {
	boom := errors.New("boom")
	err := b.tx.Do(t.Context(), func(ctx context.Context) error {
		if _, err := b.Record(ctx, b.sc, telemetry.NewMessage{Sender: b.agent(), Receiver: b.agent(), Type: "x"}); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if got := b.list(t, telemetry.MessageFilter{}); len(got) != 0 {
		t.Errorf("stored %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Record(ctx, b.sc, telemetry.NewMessage{Sender: b.agent(), Receiver: b.agent(), Type: "x"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
