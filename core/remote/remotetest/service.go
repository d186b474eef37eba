package remotetest

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tool"
)

// world is a service whose web, judge and neighbours are doubles.
type world struct {
	*env
	*remote.Service
	clock *clocktest.Clock

	mu       sync.Mutex
	text     string // of the one card that there is
	etag     string
	age      time.Duration
	down     error
	fetched  []string // addresses with ETags
	agents   map[id.Agent]agent.Config
	archived []id.Agent
	notes    []string
	noted    map[string]any // the metadata of the last of notes
	notices  []map[string]any
	asked    []remote.Conversation
	line     remote.Line
	answer   remote.Answer
	vaults   map[id.Vault]string // the address that each has a token for
	stale    map[id.Vault]error  // why that token is of no use
	sought   []string            // addresses that a token was asked for
}

// flipping is a keeper that turns bits over, and puts the place in front.
type flipping struct{}

func (flipping) Seal(_ context.Context, place string, plain []byte) ([]byte, error) {
	out := []byte(place)
	for _, b := range plain {
		out = append(out, ^b)
	}
	return out, nil
}

func (flipping) Open(_ context.Context, place string, sealed []byte) ([]byte, error) {
	rest, ok := strings.CutPrefix(string(sealed), place)
	if !ok {
		return nil, keeper.ErrOpen
	}
	out := []byte(rest)
	for i := range out {
		out[i] = ^out[i]
	}
	return out, nil
}

const home = "https://agents.example"

func newWorld(t *testing.T, e *env) *world {
	t.Helper()
	w := &world{env: e, clock: clocktest.New(), text: cardText(80, true, ""), age: -1, agents: map[id.Agent]agent.Config{}}
	var err error
	w.Service, err = remote.NewService(remote.Deps{
		TX: e.TX, Clock: w.clock, IDs: ids, Logger: slog.New(slog.DiscardHandler), Keeper: flipping{}, Remotes: e.Remotes, History: e.History,
		Conversations: e.Conversations, Agents: w, Vaults: w, Fetcher: w, Trail: w, Notices: w, Judge: judge,
	}, remote.Config{})
	noError(t, err)
	return w
}

// verdict is a card of this suite: it says of itself what judge finds.
type verdict struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	URL         string `json:"url"`
	Score       int    `json:"score"`
	Valid       bool   `json:"valid"`
	Signed      string `json:"signed"` // "trusted/k1 unknown/k2"
}

func cardText(score int, valid bool, signed string) string {
	text, err := json.Marshal(verdict{"Parrot, the 1st", "Repeats.", home + "/rpc", score, valid, signed})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func judge(text []byte, _ time.Time) card.Result {
	var v verdict
	if err := json.Unmarshal(text, &v); err != nil {
		return card.Result{}
	}
	res := card.Result{Version: card.V030, Valid: v.Valid, Score: v.Score, Name: v.Name, URL: v.URL, Warnings: []card.Finding{{Code: "odd", Message: "is odd"}}}
	if !v.Valid {
		res.Errors = []card.Finding{{Code: "required", Path: "skills[0].tags", Message: "is required"}}
	}
	for i, s := range strings.Fields(v.Signed) {
		state, key, _ := strings.Cut(s, "/")
		res.Signatures = append(res.Signatures, card.SignatureVerdict{Index: i, State: card.SignatureState(state), KeyID: key})
	}
	return res
}

// Fetch implements remote.Fetcher.
func (w *world) Fetch(_ context.Context, address, etag string) (remote.Fetched, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetched = append(w.fetched, address+" "+etag)
	switch {
	case w.down != nil:
		return remote.Fetched{}, w.down
	case etag != "" && etag == w.etag:
		return remote.Fetched{URL: address, ETag: etag, MaxAge: w.age, NotModified: true}, nil
	}
	return remote.Fetched{URL: home + "/card.json", Text: []byte(w.text), ETag: w.etag, MaxAge: w.age}, nil
}

// Create implements remote.Agents.
func (w *world) Create(_ context.Context, _ account.Scope, cfg agent.Config) (agent.Agent, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := agent.Agent{ID: id.New[id.AgentKind](ids), Config: cfg}
	w.agents[a.ID] = cfg
	return a, nil
}

// Archive implements remote.Agents.
func (w *world) Archive(_ context.Context, _ account.Scope, of id.Agent) (agent.Agent, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.archived = append(w.archived, of)
	return agent.Agent{ID: of}, nil
}

// Note implements remote.Trail.
func (w *world) Note(_ context.Context, _ account.Scope, action string, _ id.Agent, metadata map[string]any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes, w.noted = append(w.notes, action), metadata
	return nil
}

// Publish implements remote.Notices.
func (w *world) Publish(_ context.Context, _ account.Scope, kind string, _ id.Agent, data map[string]any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	data["kind"] = kind
	w.notices = append(w.notices, data)
	return nil
}

// Ask implements remote.Caller.
func (w *world) Ask(_ context.Context, l remote.Line, c remote.Conversation, _ string) (remote.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked, w.line = append(w.asked, c), l
	return w.answer, nil
}

func (w *world) serve(text, etag string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text, w.etag = text, etag
}

func (w *world) registered(t *testing.T, n remote.New) remote.Remote {
	t.Helper()
	n.URL = home
	r, err := w.Register(w.ctx, w.sc, n)
	noError(t, err)
	return r
}

func (w *world) changes(t *testing.T, r remote.Remote) []int {
	t.Helper()
	return pagetest.Walk(t, 0, func(c remote.Change) int { return c.Score }, func(req page.Request) (page.Page[remote.Change], error) {
		return w.Changes(w.ctx, w.sc, r.ID, req)
	})
}

func register(t *testing.T, e *env) {
	w := newWorld(t, e)
	made := w.registered(t, remote.New{Credential: &remote.NewCredential{Kind: remote.APIKey, Secret: secret.NewValue("s3cret")}})
	got, err := w.Get(w.ctx, w.sc, made.ID)
	noError(t, err)
	same(t, made, got)
	same(t, "Parrot__the_1st", got.Name)
	same(t, agent.Config{Name: "Parrot, the 1st", Description: "Repeats."}, w.agents[got.Agent])
	v := got.Card.Verdict
	if v.Score != 80 || !v.Valid || v.Warnings != 1 || len(v.Findings) != 1 || got.Card.URL != home+"/card.json" || got.Card.Elsewhere() {
		t.Errorf("the card: %+v", got.Card)
	}
	if strings.Contains(string(got.Credential.Sealed), "s3cret") || got.Credential.Header != "X-API-Key" {
		t.Errorf("the credential: %+v", got.Credential)
	}
	value, err := w.Secret(w.ctx, got)
	if noError(t, err); value.Reveal() != "s3cret" {
		t.Error("the credential does not come out again")
	}
	same(t, []int{80}, w.changes(t, got))
	same(t, []string{"remote_agent_registered"}, w.notes)
	_, err = w.Register(w.ctx, w.sc, remote.New{URL: home})
	wantErr(t, err, remote.ErrNameTaken)
	same(t, "polly", w.registered(t, remote.New{Name: "polly"}).Name)
}

func registerRefused(t *testing.T, e *env) {
	w := newWorld(t, e)
	for path, n := range map[string]remote.New{
		"url":                 {URL: "ftp://x"},
		"name":                {URL: home, Name: "two words"},
		"credential.secret":   {URL: home, Credential: &remote.NewCredential{Kind: remote.Bearer, Secret: secret.NewValue("a\nb")}},
		"credential.type":     {URL: home, Credential: &remote.NewCredential{Kind: "basic", Secret: secret.NewValue("x")}},
		"credential.header":   {URL: home, Credential: &remote.NewCredential{Kind: remote.APIKey, Header: "hOST", Secret: secret.NewValue("x")}},
		"card.skills[0].tags": {URL: home},
	} {
		w.serve(cardText(50, !strings.HasPrefix(path, "card"), ""), "")
		_, err := w.Register(w.ctx, w.sc, n)
		fe, ok := fault.As(err)
		if !ok || fe.Kind != fault.Invalid || len(fe.Fields) != 1 || fe.Fields[0].Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
	w.down = fault.New(fault.Forbidden, "blocked", "it is private")
	_, err := w.Register(w.ctx, w.sc, remote.New{URL: home})
	if fe, ok := fault.As(err); !ok || fe.Kind != fault.Invalid || fe.Fields[0].Message != "it is private" {
		t.Errorf("a card that cannot be fetched: %v", err)
	}
	w.serve(cardText(50, false, ""), "")
	if w.down = nil; len(w.agents) != 0 {
		t.Errorf("agents were made: %v", w.agents)
	}
	r := w.registered(t, remote.New{AllowInvalid: true})
	if r.Card.Verdict.Valid || r.Usable() != nil {
		t.Errorf("an invalid card that is allowed: %+v, %v", r.Card.Verdict, r.Usable())
	}
}

func change(t *testing.T, e *env) {
	w := newWorld(t, e)
	w.etag = `"1"`
	r := w.registered(t, remote.New{})
	got, err := w.Refresh(w.ctx, w.sc, r.ID, false)
	noError(t, err)
	same(t, home+`/card.json "1"`, w.fetched[len(w.fetched)-1])
	if got.Card.Digest != r.Card.Digest || string(got.Card.Text) != string(r.Card.Text) || len(w.notices) != 0 {
		t.Errorf("the same card: %+v, %v", got.Card, w.notices)
	}
	w.clock.Advance(time.Hour)
	w.serve(cardText(60, false, ""), `"2"`)
	got, err = w.Refresh(w.ctx, w.sc, r.ID, false)
	noError(t, err)
	if got.Card.Verdict.Score != 60 || got.Card.Verdict.Valid || !got.ChangedAt.Equal(w.clock.Now()) {
		t.Errorf("another card: %+v", got)
	}
	wantErr(t, got.Usable(), remote.ErrUnusable)
	if _, _, err := w.ForUse(w.ctx, w.sc, r.Agent); err == nil {
		t.Error("a card that is not valid any more is used")
	}
	w.serve(cardText(90, true, ""), `"3"`)
	got, err = w.Refresh(w.ctx, w.sc, r.ID, false)
	noError(t, err)
	noError(t, got.Usable())
	same(t, []int{90, 60, 80}, w.changes(t, r))
	same(t, []string{"remote_agent_registered", "remote_agent_card_changed", "remote_agent_card_changed"}, w.notes)
	if n := w.notices[0]; n["kind"] != remote.NoticeChanged || n["previous_score"] != 80 || n["score"] != 60 || n["valid"] != false {
		t.Errorf("the notice: %v", n)
	}
}

func unreachable(t *testing.T, e *env) {
	w := newWorld(t, e)
	r := w.registered(t, remote.New{})
	w.down = fault.New(fault.Unavailable, "down", "it is down")
	w.clock.Advance(2 * time.Hour)
	since := w.clock.Now()
	for range 2 {
		_, err := w.Refresh(w.ctx, w.sc, r.ID, false)
		wantErr(t, err, remote.ErrRefetch)
		w.clock.Advance(time.Hour)
	}
	got, ok, err := w.ForUse(w.ctx, w.sc, r.Agent)
	if noError(t, err); !ok || !got.UnreachableSince.Equal(since) || got.Trouble != "it is down" || string(got.Card.Text) != string(r.Card.Text) {
		t.Errorf("out of reach: %+v", got)
	}
	n := len(w.fetched)
	if _, _, err := w.ForUse(w.ctx, w.sc, r.Agent); err != nil || len(w.fetched) != n {
		t.Errorf("asked again at once, or %v", err)
	}
	w.down = nil
	got, err = w.Refresh(w.ctx, w.sc, r.ID, false)
	if noError(t, err); !got.UnreachableSince.IsZero() || got.Trouble != "" {
		t.Errorf("in reach again: %+v", got)
	}
}

func signatures(t *testing.T, e *env) {
	w := newWorld(t, e)
	w.serve(cardText(80, true, "unknown/k0 trusted/k1"), "")
	r := w.registered(t, remote.New{})
	if s := r.Standing(); !s.Signed || s.Suspicious || r.Pin.KeyID != "k1" {
		t.Fatalf("a signed card: %+v, %+v", s, r.Pin)
	}
	for _, step := range []struct {
		signed     string
		accept     bool
		suspicious bool
		pinned     string
	}{
		{"trusted/k2", false, true, "k1"},
		{"trusted/k1", false, false, "k1"}, // back again
		{"", false, true, "k1"},
		{"", true, false, ""},
		{"unknown/k3", false, false, "k3"}, // it begins to be signed
		{"trusted/k3", false, false, "k3"}, // and the operator trusts that
		{"wrong/k3", false, true, "k3"},
		{"trusted/k4", true, false, "k4"},
	} {
		w.serve(cardText(80, true, step.signed), "")
		got, err := w.Refresh(w.ctx, w.sc, r.ID, step.accept)
		noError(t, err)
		if s := got.Standing(); s.Suspicious != step.suspicious || got.Pin.KeyID != step.pinned {
			t.Errorf("%+v: %+v, %q", step, got.Pin, got.Suspicion)
		}
	}
}

func freshness(t *testing.T, e *env) {
	w := newWorld(t, e)
	w.age, w.etag = 5*time.Minute, `"1"`
	r := w.registered(t, remote.New{})
	for _, step := range []struct {
		wait time.Duration
		asks bool
	}{{4 * time.Minute, false}, {2 * time.Minute, true}, {4 * time.Minute, false}, {2 * time.Minute, true}} {
		n := len(w.fetched)
		w.clock.Advance(step.wait)
		if _, ok, err := w.ForUse(w.ctx, w.sc, r.Agent); !ok || err != nil || (len(w.fetched) > n) != step.asks {
			t.Errorf("%+v: %d requests, %v", step, len(w.fetched)-n, err)
		}
	}
	if _, ok, err := w.ForUse(w.ctx, w.sc, id.New[id.AgentKind](ids)); ok || err != nil {
		t.Errorf("an agent of our own: %v, %v", ok, err)
	}
}

func job(t *testing.T, e *env) {
	w := newWorld(t, e)
	r := w.registered(t, remote.New{})
	if got, err := w.Get(w.ctx, w.sc, r.ID); err != nil || got.NextCheckAt.Before(w.clock.Now().Add(time.Hour)) ||
		got.NextCheckAt.After(w.clock.Now().Add(66*time.Minute+time.Second)) {
		t.Errorf("the next check: %v, %v", got.NextCheckAt, err)
	}
	w.serve(cardText(99, true, ""), "")
	_, err := e.Remotes.Update(e.ctx, e.sc, r.ID, func(r *remote.Remote) error { r.NextCheckAt = long.Add(-time.Hour); return nil })
	noError(t, err)
	n, err := w.Recheck(w.ctx)
	noError(t, err)
	got, err := w.Get(w.ctx, w.sc, r.ID)
	if noError(t, err); n == 0 || got.Card.Verdict.Score != 99 {
		t.Errorf("%d were checked, and the score is %d", n, got.Card.Verdict.Score)
	}
}

func asTool(t *testing.T, e *env) {
	w := newWorld(t, e)
	r := w.registered(t, remote.New{Name: "polly", Credential: &remote.NewCredential{Kind: remote.Bearer, Secret: secret.NewValue("s")}})
	of, one, two := id.New[id.AgentKind](ids), id.New[id.SessionKind](ids), id.New[id.SessionKind](ids)
	polly := w.Tool(w.sc, r, w, remote.Holder{Agent: of, Session: one})
	if spec := polly.Spec(); spec.Name != "polly" || !strings.Contains(spec.Description, "Repeats.") || spec.Idempotent {
		t.Errorf("the tool: %+v", spec)
	}
	call := func(in tool.Tool, context string) tool.Result {
		t.Helper()
		input, err := json.Marshal(map[string]string{"message": "hi", "context_id": context})
		noError(t, err)
		res, err := in.Call(w.ctx, tool.Call{Input: input})
		noError(t, err)
		return res
	}
	w.answer = remote.Answer{Text: "Which colour?", Conversation: remote.Conversation{Context: "c1", Task: "t1", Waiting: true}}
	if res := call(polly, ""); res.IsError || !strings.Contains(res.Text, "Which colour?") || !strings.Contains(res.Text, `"c1"`) {
		t.Errorf("the first answer: %+v", res)
	}
	if w.line.Secret.Reveal() != "s" || string(w.line.Card) != w.text || w.line.Origin != home+":443" {
		t.Errorf("the line: %+v", w.line)
	}
	w.answer = remote.Answer{Text: "Red it is.", Conversation: remote.Conversation{Context: "c1"}}
	if res := call(polly, "c1"); res.IsError {
		t.Errorf("going on: %+v", res)
	}
	if c := w.asked[1]; c.Context != "c1" || c.Task != "t1" || !c.Waiting {
		t.Errorf("it went on with %+v", c)
	}
	if res := call(w.Tool(w.sc, r, w, remote.Holder{Agent: of, Session: two}), "c1"); !res.IsError || len(w.asked) != 2 {
		t.Errorf("another session's conversation: %+v", res)
	}
	w.serve(cardText(10, true, ""), "")
	_, err := w.Refresh(w.ctx, w.sc, r.ID, false)
	noError(t, err)
	if res := call(polly, ""); !res.IsError || len(w.asked) != 2 {
		t.Errorf("called by a card that nobody has judged for this turn: %+v", res)
	}
}

func removed(t *testing.T, e *env) {
	w := newWorld(t, e)
	r := w.registered(t, remote.New{})
	noError(t, w.Remove(w.ctx, w.sc, r.ID))
	wantCode(t, w.Remove(w.ctx, w.sc, r.ID), "remote_agent_not_found")
	_, err := w.Changes(w.ctx, w.sc, r.ID, page.Request{})
	wantCode(t, err, "remote_agent_not_found")
	same(t, []id.Agent{r.Agent}, w.archived)
	same(t, []string{"remote_agent_registered", "remote_agent_removed"}, w.notes)
}

func forgotten(t *testing.T, e *env) {
	w := newWorld(t, e)
	r := w.registered(t, remote.New{})
	own := id.New[id.AgentKind](ids)
	noError(t, w.Remember(w.ctx, w.sc, own, "s", remote.Conversation{Context: "c"}))
	if c, err := w.Conversation(w.ctx, w.sc, own, "s"); err != nil || c.Context != "c" || !c.UsedAt.Equal(w.clock.Now()) {
		t.Errorf("a conversation: %+v, %v", c, err)
	}
	for range 2 {
		noError(t, w.ForgetAgent(w.ctx, w.sc, own))
		noError(t, w.ForgetAgent(w.ctx, w.sc, r.Agent))
	}
	if c, err := w.Conversation(w.ctx, w.sc, own, "s"); err != nil || c.Context != "" {
		t.Errorf("a conversation is left: %+v, %v", c, err)
	}
	_, err := w.Get(w.ctx, w.sc, r.ID)
	wantCode(t, err, "remote_agent_not_found")
}
