package clients

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
	valar "github.com/bureau-agents/bureau/sdk/go"
)

// Example_valar starts a server and speaks to it as an agent would.
func Example_valar() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "bureau-example-")
	check(err)
	defer os.RemoveAll(dir)
	a, err := app.New(ctx, app.Config{DataDir: dir, Logger: slog.New(slog.DiscardHandler)})
	check(err)
	check(a.Start(ctx))
	defer func() { check(a.Stop(ctx)) }()
	srv := httptest.NewServer(a.Handler())
	defer srv.Close()

	client, err := valar.New(valar.Config{BaseURL: srv.URL + "/compat/valar", APIKey: a.BootstrapKey()})
	check(err)
	agent, err := client.RegisterAgent(ctx, valar.NewAgent{Name: "my-bot", Icon: "🤖", Platform: "go"})
	check(err)

	events := client.NewBatcher(valar.BatcherConfig{})
	for step := range 3 {
		events.Log(valar.NewEvent{AgentID: agent.ID, EventType: "step", Payload: map[string]int{"n": step}})
	}
	check(events.Close(ctx))
	_, err = client.LogEvent(ctx, valar.NewEvent{AgentID: agent.ID, EventType: "failed", Level: valar.LevelError})
	check(err)
	for event, err := range client.AllEvents(ctx, valar.EventFilter{AgentID: agent.ID}) {
		check(err)
		fmt.Println(event.Level, event.EventType)
	}

	usage, err := client.ReportUsage(ctx, valar.NewUsage{
		AgentID: agent.ID, Model: "claude-sonnet-4-20250514", Provider: "anthropic", TokensInput: 1500, TokensOutput: 800, CachedTokens: 200,
	})
	check(err)
	fmt.Printf("%.5f dollars\n", *usage.ComputedCost)

	_, err = client.GetAgent(ctx, "00000000-0000-7000-8000-000000000001")
	fmt.Println(valar.IsStatus(err, http.StatusNotFound))
	// Output:
	// error failed
	// info step
	// info step
	// info step
	// 0.01656 dollars
	// true
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// TestGoSDK drives a server with the Go client of the valar face.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	connect := func(key string) *valar.Client {
		c, err := valar.New(valar.Config{BaseURL: s.URL + "/compat/valar", APIKey: key})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	client := connect(s.BootstrapKey())
	t.Run("lost answers", func(t *testing.T) {
		t.Parallel()
		lossy := &forgetful{}
		c, err := valar.New(valar.Config{BaseURL: s.URL + "/compat/valar", APIKey: s.BootstrapKey(), HTTPClient: &http.Client{Transport: lossy}})
		if err != nil {
			t.Fatal(err)
		}
		driveThroughLosses(t, c)
		if n := lossy.n.Load(); n != 10 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("rates", func(t *testing.T) {
		t.Parallel()
		scale := 0.02 // two requests a minute
		slow := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { c.RateLimitScale = &scale }})
		c, err := valar.New(valar.Config{BaseURL: slow.URL + "/compat/valar", APIKey: slow.BootstrapKey(), MaxRetries: -1})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_, err = c.ListAgents(t.Context(), valar.AgentFilter{})
		}
		if e := refused(t, http.StatusTooManyRequests, err); e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
			t.Errorf("try again after %v", e.RetryAfter)
		}
	})
	steps := []struct {
		name string
		run  func(*testing.T, *valar.Client)
	}{
		{"agents", driveAgents},
		{"events", driveEvents},
		{"batcher", driveBatcher},
		{"messages", driveMessages},
		{"feedback", driveFeedback},
		{"usage", driveUsage},
		{"skills", driveSkills},
		{"links", driveLinks},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			step.run(t, client)
		})
	}
	t.Run("keys", func(t *testing.T) {
		t.Parallel()
		stranger := connect("not-a-key")
		if _, err := stranger.ListAgents(t.Context(), valar.AgentFilter{}); !valar.IsStatus(err, http.StatusUnauthorized) {
			t.Error(err)
		}
		if err := stranger.Health(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// must fails the test unless a call succeeded.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(out T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func register(t *testing.T, c *valar.Client, platform string) valar.Agent {
	t.Helper()
	return must[valar.Agent](t)(c.RegisterAgent(t.Context(), valar.NewAgent{Name: rand.Text(), Platform: platform}))
}

// refused fails the test unless a call was refused with this status.
func refused(t *testing.T, status int, err error) *valar.Error {
	t.Helper()
	e, ok := errors.AsType[*valar.Error](err)
	if !ok || e.Status != status {
		t.Fatalf("got %v, want a refusal with %d", err, status)
	}
	return e
}

// forgetful loses the answer to every other request.
type forgetful struct{ n atomic.Int32 }

func (f *forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && f.n.Add(1)%2 == 1 {
		res.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return res, err
}

func driveThroughLosses(t *testing.T, c *valar.Client) {
	ctx, agent := t.Context(), register(t, c, "")
	must[valar.Event](t)(c.LogEvent(ctx, valar.NewEvent{AgentID: agent.ID, EventType: "once"}))
	b := c.NewBatcher(valar.BatcherConfig{})
	b.Log(valar.NewEvent{AgentID: agent.ID, EventType: "once"})
	if err := b.Close(ctx); err != nil {
		t.Error(err)
	}
	if page := must[valar.Page[valar.Event]](t)(c.ListEvents(ctx, valar.EventFilter{AgentID: agent.ID})); page.Total != 2 {
		t.Errorf("%d events stored", page.Total)
	}
	if err := c.DeleteAgent(ctx, agent.ID); err != nil {
		t.Error(err)
	}
}

func driveAgents(t *testing.T, c *valar.Client) {
	ctx, platform := t.Context(), rand.Text()
	var made []string
	for range 3 {
		made = append(made, register(t, c, platform).ID)
	}
	page := must[valar.Page[valar.Agent]](t)(c.ListAgents(ctx, valar.AgentFilter{Platform: platform, Paging: valar.Paging{Limit: 2}}))
	if page.Total != 3 || len(page.Items) != 2 || page.Items[0].ID != made[2] {
		t.Errorf("page: %+v", page)
	}
	var all []string
	for a, err := range c.AllAgents(ctx, valar.AgentFilter{Platform: platform, Paging: valar.Paging{Limit: 1}}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a.ID)
	}
	if slices.Reverse(all); !slices.Equal(all, made) {
		t.Errorf("all: %v, want %v", all, made)
	}
	first := must[valar.Agent](t)(c.GetAgent(ctx, made[0]))
	if again := must[valar.Agent](t)(c.RegisterAgent(ctx, valar.NewAgent{Name: first.Name, Type: "other"})); again.ID != first.ID || again.Type != "assistant" {
		t.Errorf("registered again: %+v", again)
	}
	status, none := "busy", ""
	changed := must[valar.Agent](t)(c.UpdateAgent(ctx, first.ID, valar.AgentChange{Status: &status, Platform: &none}))
	if changed.Status != status || changed.Platform != "" || changed.Name != first.Name {
		t.Errorf("changed: %+v", changed)
	}
	_, err := c.UpdateAgent(ctx, made[1], valar.AgentChange{Name: &first.Name})
	refused(t, http.StatusConflict, err)
	if err := c.DeleteAgent(ctx, first.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, http.StatusNotFound, c.DeleteAgent(ctx, first.ID))
}

func driveEvents(t *testing.T, c *valar.Client) {
	ctx, agent, trace := t.Context(), register(t, c, ""), rand.Text()
	parent := must[valar.Event](t)(c.LogEvent(ctx, valar.NewEvent{AgentID: agent.ID, EventType: "task", TraceID: trace}))
	child := must[valar.Event](t)(c.LogEvent(ctx, valar.NewEvent{
		AgentID: agent.ID, EventType: "sub_task", TraceID: trace, ParentEventID: parent.ID, Payload: map[string]any{"n": 1},
	}))
	if child.ParentEventID != parent.ID || string(child.Payload) != `{"n":1}` || child.Level != valar.LevelInfo || child.CreatedAt.IsZero() {
		t.Errorf("child: %+v", child)
	}
	batch := must[[]valar.Event](t)(c.LogEvents(ctx, []valar.NewEvent{{AgentID: agent.ID, EventType: "a"}, {AgentID: agent.ID, EventType: "b"}}))
	if len(batch) != 2 || batch[1].EventType != "b" {
		t.Errorf("batch: %+v", batch)
	}
	_, err := c.LogEvents(ctx, []valar.NewEvent{{AgentID: agent.ID, EventType: "a"}, {AgentID: agent.ID, EventType: "b", Level: "loud"}})
	if e := refused(t, http.StatusUnprocessableEntity, err); len(e.Fields) != 1 || strings.Join(e.Fields[0].Path, ".") != "body.events.1.level" {
		t.Errorf("fields: %+v", e.Fields)
	}
	page := must[valar.Page[valar.Event]](t)(c.ListEvents(ctx, valar.EventFilter{TraceID: trace, Since: parent.CreatedAt}))
	if page.Total != 2 || page.Items[0].ID != child.ID {
		t.Errorf("trace: %+v", page)
	}
	if n := must[int](t)(c.CleanupEvents(ctx, valar.Cleanup{OlderThanDays: 30, AgentName: agent.Name})); n != 0 {
		t.Errorf("%d young events deleted", n)
	}
	if n := must[int](t)(c.CleanupEvents(ctx, valar.Cleanup{AgentID: agent.ID})); n != 4 {
		t.Errorf("%d events deleted", n)
	}
}

func driveBatcher(t *testing.T, c *valar.Client) {
	ctx, agent, gone := t.Context(), register(t, c, ""), register(t, c, "")
	if err := c.DeleteAgent(ctx, gone.ID); err != nil {
		t.Fatal(err)
	}
	b := c.NewBatcher(valar.BatcherConfig{})
	for i := range 300 {
		e := valar.NewEvent{AgentID: agent.ID, EventType: "good"}
		switch i % 30 {
		case 7:
			e.AgentID = gone.ID
		case 8:
			e.Level = "loud"
		}
		b.Log(e)
	}
	if err := b.Close(ctx); err != nil || b.Dropped() != 20 {
		t.Errorf("%v, %d dropped", err, b.Dropped())
	}
	if page := must[valar.Page[valar.Event]](t)(c.ListEvents(ctx, valar.EventFilter{AgentID: agent.ID})); page.Total != 280 {
		t.Errorf("%d events stored", page.Total)
	}
}

func driveMessages(t *testing.T, c *valar.Client) {
	ctx, a, b := t.Context(), register(t, c, ""), register(t, c, "")
	asked := must[valar.Message](t)(c.SendMessage(ctx, valar.NewMessage{SenderID: a.ID, ReceiverID: b.ID, MessageType: "request"}))
	told := must[valar.Message](t)(c.SendMessage(ctx, valar.NewMessage{SenderID: b.ID, ReceiverID: a.ID, MessageType: "response", Payload: map[string]bool{"done": true}}))
	page := must[valar.Page[valar.Message]](t)(c.ListMessages(ctx, valar.MessageFilter{AgentID: a.ID}))
	if page.Total != 2 || page.Items[0].ID != told.ID || page.Items[1].ID != asked.ID || string(told.Payload) != `{"done":true}` {
		t.Errorf("messages: %+v", page)
	}
	for m, err := range c.AllMessages(ctx, valar.MessageFilter{SenderID: a.ID}) {
		if err != nil || m.ID != asked.ID {
			t.Errorf("%+v, %v", m, err)
		}
	}
}

func driveFeedback(t *testing.T, c *valar.Client) {
	ctx, agent := t.Context(), register(t, c, "")
	if sum := must[valar.FeedbackSummary](t)(c.SummarizeFeedback(ctx, valar.Span{AgentID: agent.ID})); sum.Count != 0 || sum.Satisfaction != nil {
		t.Errorf("summary of nothing: %+v", sum)
	}
	for _, f := range []valar.NewFeedback{{FeedbackType: valar.ThumbsUp, Rating: 5, User: "ada"}, {FeedbackType: valar.ThumbsDown}} {
		f.TargetType, f.TargetID = valar.TargetAgent, agent.ID
		if got := must[valar.Feedback](t)(c.SubmitFeedback(ctx, f)); got.Rating != f.Rating || got.User != f.User {
			t.Errorf("feedback: %+v", got)
		}
	}
	sum := must[valar.FeedbackSummary](t)(c.SummarizeFeedback(ctx, valar.Span{AgentID: agent.ID}))
	if sum.Count != 2 || *sum.Satisfaction != 0.5 || *sum.AverageRating != 5 {
		t.Errorf("summary: %+v", sum)
	}
	n := 0
	for _, err := range c.AllFeedback(ctx, valar.FeedbackFilter{TargetID: agent.ID, Paging: valar.Paging{Limit: 1}}) {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if page := must[valar.Page[valar.Feedback]](t)(c.ListFeedback(ctx, valar.FeedbackFilter{AgentID: agent.ID, FeedbackType: valar.ThumbsUp})); page.Total != 1 || n != 2 {
		t.Errorf("%d of %d", page.Total, n)
	}
}

func driveUsage(t *testing.T, c *valar.Client) {
	ctx, agent, cost := t.Context(), register(t, c, ""), 1.25
	known := must[valar.Usage](t)(c.ReportUsage(ctx, valar.NewUsage{
		AgentID: agent.ID, Model: "claude-sonnet-4-20250514", Provider: "anthropic", TokensInput: 1500, TokensOutput: 800, CachedTokens: 200, Cost: &cost,
	}))
	if *known.Cost != cost || math.Abs(*known.ComputedCost-0.01656) > 1e-9 {
		t.Errorf("usage: %+v", known)
	}
	if unknown := must[valar.Usage](t)(c.ReportUsage(ctx, valar.NewUsage{AgentID: agent.ID, Model: "nobody-knows-it", TokensInput: 1})); unknown.ComputedCost != nil {
		t.Errorf("unknown: %+v", unknown)
	}
	n := 0
	for _, err := range c.AllUsage(ctx, valar.UsageFilter{AgentID: agent.ID}) {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	page := must[valar.Page[valar.Usage]](t)(c.ListUsage(ctx, valar.UsageFilter{AgentID: agent.ID, Provider: "anthropic"}))
	sum := must[valar.UsageSummary](t)(c.SummarizeUsage(ctx, valar.Span{AgentID: agent.ID}, valar.ByModel))
	if n != 2 || page.Total != 1 || len(sum.Groups) != 2 || sum.Total.TokensInput != 1501 || sum.Total.Unpriced != 1 {
		t.Errorf("%d rows, %d of anthropic, summary %+v", n, page.Total, sum)
	}
}

func driveSkills(t *testing.T, c *valar.Client) {
	ctx, agent, category := t.Context(), register(t, c, ""), rand.Text()
	made := must[[]valar.IngestedSkill](t)(c.IngestSkills(ctx, agent.ID, []valar.NewSkill{
		{
			Key: rand.Text(), Name: "Send a message", Category: category, Version: "1.0.0", Tags: []string{"chat"}, PromptTemplate: "Send it.",
			Requirements: []valar.Requirement{{Name: "Bot token", Type: "credential"}}, ConfigSchema: map[string]any{"type": "object"},
		},
		{Key: rand.Text(), Name: "Another", Category: category},
	}))
	if len(made) != 2 || made[0].Status != valar.SkillPending {
		t.Fatalf("ingested: %+v", made)
	}
	waiting := map[string]valar.Skill{}
	for s, err := range c.AllSkillReviews(ctx, valar.ReviewFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		waiting[s.ID] = s
	}
	seen, other := waiting[made[0].ID], waiting[made[1].ID]
	if seen.AgentID != agent.ID || seen.Scan == nil || seen.SHA256 == "" || other.Key != made[1].Key {
		t.Fatalf("waiting: %+v", waiting)
	}
	_, err := c.ApproveSkill(ctx, seen.ID, valar.Approval{Digest: other.SHA256})
	refused(t, http.StatusConflict, err)
	if s := must[valar.Skill](t)(c.ApproveSkill(ctx, seen.ID, valar.Approval{Digest: seen.SHA256})); s.Status != valar.SkillApproved {
		t.Errorf("approved: %+v", s)
	}
	if s := must[valar.Skill](t)(c.DenySkill(ctx, made[1].ID, "It says nothing.")); s.Status != valar.SkillDenied {
		t.Errorf("denied: %+v", s)
	}
	page := must[valar.Page[valar.Skill]](t)(c.ListMarketplaceSkills(ctx, valar.SkillFilter{Category: category}))
	if page.Total != 1 || page.Items[0].ID != made[0].ID {
		t.Errorf("marketplace: %+v", page)
	}
	shown := must[valar.Skill](t)(c.GetMarketplaceSkill(ctx, made[0].ID))
	if len(shown.Requirements) != 1 || shown.Requirements[0].Name != "Bot token" || shown.Version != "1.0.0" {
		t.Errorf("shown: %+v", shown)
	}
	if p := must[string](t)(c.InstallPrompt(ctx, made[0].ID)); !strings.Contains(p, "Send it.") {
		t.Errorf("prompt: %s", p)
	}
	_, err = c.GetMarketplaceSkill(ctx, made[1].ID)
	refused(t, http.StatusNotFound, err)
}

func driveLinks(t *testing.T, c *valar.Client) {
	ctx, agent := t.Context(), register(t, c, "")
	link := must[valar.AgentLink](t)(c.CreateAgentLink(ctx, agent.ID, "ada@example.com"))
	found := false
	for l, err := range c.AllAgentLinks(ctx, valar.Paging{}) {
		if err != nil {
			t.Fatal(err)
		}
		found = found || l == link
	}
	if !found || link.User != "ada@example.com" {
		t.Errorf("link: %+v", link)
	}
	if err := c.DeleteAgentLink(ctx, link.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, http.StatusNotFound, c.DeleteAgentLink(ctx, link.ID))
}
