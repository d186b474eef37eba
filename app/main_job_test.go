package app_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/core/audit"
)

// eachDatabase runs a test on SQLite and on Postgres. `task test` runs this package twice. Under the race detector SQLite has to do: what
// only Postgres has to do is raced by the suites of the store. Without it, what SQLite has to do was tested already, says the environment.
func eachDatabase(t *testing.T, test func(t *testing.T, cfg apptest.Config)) {
	_, unraced := unracedTests.Load(t.Name())
	t.Run("sqlite", func(t *testing.T) {
		if os.Getenv("BUREAU_TEST_RACED") != "" && !unraced {
			t.Skip("this was tested under the race detector")
		}
		t.Parallel()
		test(t, apptest.Config{})
	})
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("needs Postgres")
		}
		if raceDetector {
			t.Skip("SQLite is raced")
		}
		t.Parallel()
		test(t, apptest.Config{DatabaseURL: apptest.PostgresURL(t)})
	})
}

// unracedTests holds the names of the tests that called unraced.
var unracedTests sync.Map

// unraced skips a test of every operation under the race detector, where it takes minutes: `task test` runs it without it.
func unraced(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("every operation takes minutes under the race detector: `task test` runs this one without it")
	}
	unracedTests.Store(t.Name(), nil)
}

// TestMainJob plays what Bureau is for, over HTTP alone: an agent with a wallet, a policy whose rule runs in a process of its own, a skill
// and some knowledge is talked to, pays, waits for an approval, is stopped by a limit and by a freeze, and the books prove it.
func TestMainJob(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		s.WaitForPlugins("calculator", "approval_threshold")
		j := &job{}
		for _, step := range []struct {
			name string
			do   func(*testing.T, *job)
		}{
			{"agent", createAgent},
			{"wallet", fundWallet},
			{"no policy, no payment", payWithoutPolicy},
			{"policy with a plugin rule", createPolicy},
			{"skill", installSkill},
			{"knowledge", ingestKnowledge},
			{"conversation", converse},
			{"payment by API", payByAPI},
			{"books", checkBooks},
			{"usage", checkUsage},
			{"session log", checkLog},
			{"freeze", freeze},
			{"audit trail", checkAudit},
			{"reconciliation", reconcile},
		} {
			if !t.Run(step.name, func(t *testing.T) {
				j.api = s.Admin.In(t)
				step.do(t, j)
			}) {
				return
			}
		}
	})
}

// reconcile demands that everything that happened agrees with itself in every book.
func reconcile(t *testing.T, j *job) {
	j.api.Call("POST", "/v1/transactions/"+apptest.All[struct{ ID string }](j.api, j.path("/wallet/transactions?kind=payment"))[0].ID+"/refund",
		m{"amount": "1"}, nil)
	var got struct {
		OK          bool
		Checked     map[string]int
		Differences []map[string]any
	}
	j.api.Call("GET", "/v1/reconciliation", nil, &got)
	if !got.OK || len(got.Differences) > 0 {
		t.Errorf("the books differ: %v", got.Differences)
	}
	for _, book := range []string{"wallets", "entries", "acts", "usage", "sessions"} {
		if got.Checked[book] == 0 {
			t.Errorf("no %s were compared: %v", book, got.Checked)
		}
	}
}

// job is what the steps hand on to each other.
type job struct {
	api     *apptest.Client
	agent   string
	policy  string
	session string
}

func (j *job) path(rest string) string { return "/v1/agents/" + j.agent + rest }

// m is a JSON object.
type m = map[string]any

func usdc(amount string) money { return money{amount, "USDC"} }

type money struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
}

func createAgent(t *testing.T, j *job) {
	var made struct {
		ID, Standing string
		Version      int
	}
	j.api.Call("POST", "/v1/agents", m{"name": "buyer", "model": "offline", "system": "You buy what the marketing team needs."}, &made)
	same(t, "active", made.Standing)
	same(t, 1, made.Version)
	j.agent = made.ID
	var session struct{ ID, Status string }
	j.api.Call("POST", "/v1/sessions", m{"agent": j.agent, "title": "marketing"}, &session)
	same(t, "idle", session.Status)
	j.session = session.ID
}

func fundWallet(t *testing.T, j *job) {
	body := m{"amount": usdc("100.00"), "description": "budget"}
	first := j.api.Do("POST", j.path("/wallet/deposits"), body, "Idempotency-Key: budget-1")
	again := j.api.Do("POST", j.path("/wallet/deposits"), body, "Idempotency-Key: budget-1")
	same(t, string(first.Body), string(again.Body))
	j.wantWallet(t, "100.00")
}

func (j *job) wantWallet(t *testing.T, balance string) {
	t.Helper()
	type wallet struct{ Balance, Held, Available money }
	var got wallet
	j.api.Call("GET", j.path("/wallet"), nil, &got)
	same(t, wallet{usdc(balance), usdc("0.00"), usdc(balance)}, got)
}

type payment struct {
	ID, Status  string
	Approved    bool
	Decision    struct{ Outcome, Rule string }
	Transaction *struct{ ID string }
}

func payWithoutPolicy(t *testing.T, j *job) {
	var got payment
	j.api.Call("POST", j.path("/wallet/payments"), m{"amount": usdc("1"), "payee": "vendor.example"}, &got)
	same(t, "denied no_policy", got.Status+" "+got.Decision.Rule)
	j.wantWallet(t, "100.00")
}

func createPolicy(t *testing.T, j *job) {
	var made struct {
		ID      string
		Version int
	}
	j.api.Call("POST", "/v1/policies", m{
		"scope":  m{"agent_id": j.agent},
		"limits": m{"max_per_transaction": usdc("50"), "daily_limit": usdc("60")},
		"rules":  []m{{"plugin": "approval_threshold", "config": m{"threshold": "30", "currency": "USDC"}}},
	}, &made)
	j.policy = made.ID
	same(t, 1, made.Version)
	j.api.Refuse(400, "POST", "/v1/policies", m{"scope": m{"agent_id": j.agent}, "limits": m{"daily_limt": usdc("60")}})
}

func installSkill(t *testing.T, j *job) {
	var got struct{ Name, State, SHA256 string }
	j.api.Call("POST", j.path("/skills"), m{"skill_id": "calculator"}, &got)
	same(t, "calculator ready", got.Name+" "+got.State)
	same(t, 64, len(got.SHA256))
}

func ingestKnowledge(t *testing.T, j *job) {
	var got struct {
		Stored, Skipped, Total int
		SkippedChunks          []struct {
			Index       int
			DuplicateOf string `json:"duplicate_of"`
			Similarity  float64
		} `json:"skipped_chunks"`
	}
	j.api.Call("POST", "/v1/knowledge/ingest", m{"agent_id": j.agent, "chunks": []m{
		{"text": "Refunds are granted within 30 days of the purchase, to the card that was charged.", "source": "handbook.md"},
		{"text": "Refunds are granted within 30 days of the purchase, to the card that was charged!", "source": "faq.md"},
		{"text": "The marketing workspace renews SendGrid every March; Sarah Chen owns the budget.", "source": "budget.md"},
	}}, &got)
	same(t, []int{2, 1, 3, 1}, []int{got.Stored, got.Skipped, got.Total, len(got.SkippedChunks)})
	twin := got.SkippedChunks[0]
	if twin.Index != 1 || twin.DuplicateOf == "" || twin.Similarity < 0.95 {
		t.Fatalf("the twin is reported as %+v", twin)
	}
}

// event is what the test reads of a session's event; its other fields are in Raw.
type event struct {
	ID, Type   string
	Seq        int64
	Name       string
	ToolUseID  string `json:"tool_use_id"`
	IsError    bool   `json:"is_error"`
	Permission string `json:"evaluated_permission"`
	Content    []struct{ Text string }
	StopReason struct {
		Type     string
		EventIDs []string `json:"event_ids"`
	} `json:"stop_reason"`
	Error struct{ Type, Message string }
}

func (e event) text() string {
	var b strings.Builder
	for _, c := range e.Content {
		b.WriteString(c.Text)
	}
	return b.String()
}

// turn is a session's events from one message to the next idle state.
type turn []event

// logged are the events that stand in the log; token chunks do not.
func logged(t *testing.T, stream []apptest.Event) turn {
	t.Helper()
	var all turn
	for _, frame := range stream {
		var e event
		if err := json.Unmarshal(frame.Data, &e); err != nil {
			t.Fatalf("%s: %v", frame.Data, err)
		}
		if e.Type != frame.Type {
			t.Fatalf("the event is named %s and holds %s", frame.Type, frame.Data)
		}
		if e.ID != "" {
			all = append(all, e)
		}
	}
	return all
}

// last returns the last event of a type.
func (tn turn) last(t *testing.T, typ string) event {
	t.Helper()
	for _, e := range slices.Backward(tn) {
		if e.Type == typ {
			return e
		}
	}
	t.Fatalf("there is no %s in %+v", typ, tn)
	return event{}
}

// say sends a message and returns what its stream shows up to its end.
func (j *job) say(t *testing.T, text string) turn {
	t.Helper()
	stream := j.api.Stream("POST", "/v1/sessions/"+j.session+"/messages", m{"content": text}).Rest()
	chunks := ""
	for _, e := range stream {
		if e.Type == "agent.message_chunk" {
			var c struct{ Delta string }
			if err := json.Unmarshal(e.Data, &c); err != nil {
				t.Fatal(err)
			}
			chunks += c.Delta
		}
	}
	tn := logged(t, stream)
	same(t, "user.message", tn[0].Type)
	same(t, "session.status_idle", tn[len(tn)-1].Type)
	// Chunks are shown as long as the event that completes them has not been, so what a slow reader misses is their end.
	if chunks != "" && !strings.HasPrefix(tn.last(t, "agent.message").text(), chunks) {
		t.Fatalf("the chunks %q do not begin the message %q", chunks, tn.last(t, "agent.message").text())
	}
	return tn
}

func converse(t *testing.T, j *job) {
	for _, line := range []struct {
		say        string
		tool       string   // that is used
		permission string   // that the gate gave
		result     []string // what its result holds
		failed     bool     // the result is an error
		answer     []string // what the agent's answer holds
		approve    bool     // a person is asked, and says yes
		balance    string   // of the wallet afterwards
	}{
		{
			say: "What is 17 * 23?", tool: "calculator", permission: "allow",
			result: []string{"391"}, answer: []string{"391"}, balance: "100.00",
		},
		{
			say: "Pay 20 USDC to vendor.example for the SendGrid renewal", tool: "pay", permission: "allow",
			result: []string{`"amount":"20.00"`, `"balance_after":"80.00"`}, answer: []string{"20"}, balance: "80.00",
		},
		{
			say: "Please send 35 USDC to vendor.example for the yearly plan", tool: "pay", permission: "ask", approve: true,
			result: []string{`"amount":"35.00"`, `"balance_after":"45.00"`}, answer: []string{"35"}, balance: "45.00",
		},
		{
			say: "Pay 10 USDC to vendor.example for one more seat", tool: "pay", permission: "deny", failed: true,
			result: []string{"daily_limit"}, answer: []string{"daily_limit"}, balance: "45.00",
		},
		{
			say: "Within how many days are refunds granted?", tool: "search_knowledge", permission: "allow",
			result: []string{"handbook.md"}, answer: []string{"30 days", "handbook.md"}, balance: "45.00",
		},
	} {
		tn := j.say(t, line.say)
		use := tn.last(t, "agent.tool_use")
		same(t, line.tool+" "+line.permission, use.Name+" "+use.Permission)
		if line.approve {
			tn = j.approve(t, tn, use)
		}
		same(t, "end_turn", tn.last(t, "session.status_idle").StopReason.Type)
		result, answer := tn.last(t, "agent.tool_result"), tn.last(t, "agent.message")
		same(t, use.ID, result.ToolUseID)
		same(t, line.failed, result.IsError)
		for _, want := range line.result {
			if !strings.Contains(result.text(), want) {
				t.Fatalf("%s: the tool answered %q, which lacks %q", line.say, result.text(), want)
			}
		}
		for _, want := range line.answer {
			if !strings.Contains(answer.text(), want) {
				t.Fatalf("%s: the agent answered %q, which lacks %q", line.say, answer.text(), want)
			}
		}
		j.wantWallet(t, line.balance)
	}
}

type approval struct {
	ID, Status, Rule, Action string
	SessionID                string `json:"session_id"`
	ToolUseID                string `json:"tool_use_id"`
	Amount                   money
	Act                      struct{ State string }
}

// approve lets a person approve the parked tool use, and returns what the session does then.
func (j *job) approve(t *testing.T, tn turn, use event) turn {
	t.Helper()
	idle := tn.last(t, "session.status_idle")
	same(t, "requires_action", idle.StopReason.Type)
	same(t, []string{use.ID}, idle.StopReason.EventIDs)
	j.wantWallet(t, "80.00") // what is parked holds no money

	waiting := apptest.All[approval](j.api, "/v1/approvals?status=pending&session_id="+j.session)
	same(t, 1, len(waiting))
	want := approval{
		ID: waiting[0].ID, Status: "pending", Rule: "approval_threshold", Action: "payment", SessionID: j.session, ToolUseID: use.ID,
		Amount: usdc("35.00"),
	}
	same(t, want, waiting[0])

	stream := j.api.Stream("GET", "/v1/sessions/"+j.session+"/events/stream", nil)
	var approved approval
	j.api.Call("POST", "/v1/approvals/"+waiting[0].ID+"/approve", nil, &approved)
	same(t, "approved done", approved.Status+" "+approved.Act.State)
	code, _ := j.api.Refuse(409, "POST", "/v1/approvals/"+waiting[0].ID+"/approve", nil) // decided once
	same(t, "approval_decided", code)
	return logged(t, stream.Until(func(e apptest.Event) bool { return e.Type == "session.status_idle" }))
}

func payByAPI(t *testing.T, j *job) {
	pay := func(amount string, headers ...string) apptest.Answer {
		return j.api.Do("POST", j.path("/wallet/payments"), m{"amount": usdc(amount), "payee": "vendor.example", "description": "stamps"}, headers...)
	}
	first := pay("2.50", "Idempotency-Key: stamps-1")
	var got payment
	if err := json.Unmarshal(first.Body, &got); err != nil || first.Status != 200 {
		t.Fatalf("%d %s: %v", first.Status, first.Body, err)
	}
	same(t, "completed", got.Status)
	for range 3 {
		again := pay("2.50", "Idempotency-Key: stamps-1")
		same(t, first.Status, again.Status)
		same(t, string(first.Body), string(again.Body))
	}
	other := pay("2.51", "Idempotency-Key: stamps-1")
	if code, _, err := other.Error(); err != nil || other.Status != 409 {
		t.Fatalf("another body under the same key: %d %s %v", other.Status, code, err)
	}
	j.wantWallet(t, "42.50")
}

type transaction struct {
	Kind, Payee, Description string
	Amount                   money
	BalanceAfter             money `json:"balance_after"`
}

func checkBooks(t *testing.T, j *job) {
	same(t, []transaction{
		{"payment", "vendor.example", "stamps", usdc("2.50"), usdc("42.50")},
		{"payment", "vendor.example", "the yearly plan", usdc("35.00"), usdc("45.00")},
		{"payment", "vendor.example", "the SendGrid renewal", usdc("20.00"), usdc("80.00")},
		{"deposit", "", "budget", usdc("100.00"), usdc("100.00")},
	}, apptest.All[transaction](j.api, j.path("/wallet/transactions")))
}

func checkUsage(t *testing.T, j *job) {
	type row struct {
		Model        string
		TokensInput  int64                   `json:"tokens_input"`
		TokensOutput int64                   `json:"tokens_output"`
		Computed     struct{ Amount string } `json:"computed_cost"`
	}
	rows := apptest.All[row](j.api, "/v1/usage?session_id="+j.session)
	same(t, 10, len(rows)) // each of the five messages asks the model once for the tool and once for the answer
	var sums row
	for _, r := range rows {
		same(t, "offline 0", r.Model+" "+r.Computed.Amount) // the offline model has a price, and it is nothing
		sums.TokensInput += r.TokensInput
		sums.TokensOutput += r.TokensOutput
	}
	var summary struct {
		Total struct {
			Rows, Unpriced int64
			TokensInput    int64 `json:"tokens_input"`
			TokensOutput   int64 `json:"tokens_output"`
		}
	}
	j.api.Call("GET", "/v1/usage/summary?group_by=model&agent_id="+j.agent, nil, &summary)
	var session struct {
		Usage struct {
			InputTokens  int64 `json:"input_tokens"`
			OutputTokens int64 `json:"output_tokens"`
		}
	}
	j.api.Call("GET", "/v1/sessions/"+j.session, nil, &session)
	same(t, []int64{10, 0, sums.TokensInput, sums.TokensOutput},
		[]int64{summary.Total.Rows, summary.Total.Unpriced, summary.Total.TokensInput, summary.Total.TokensOutput})
	same(t, []int64{sums.TokensInput, sums.TokensOutput}, []int64{session.Usage.InputTokens, session.Usage.OutputTokens})
}

// checkLog proves that the log is gapless, that each tool use has exactly one result, and that a replay shows the log.
func checkLog(t *testing.T, j *job) {
	log := apptest.All[event](j.api, "/v1/sessions/"+j.session+"/events")
	results := map[string]int{}
	for i, e := range log {
		same(t, int64(i+1), e.Seq)
		if e.Type == "agent.tool_result" {
			results[e.ToolUseID]++
		}
	}
	for _, e := range log {
		if e.Type == "agent.tool_use" {
			same(t, 1, results[e.ID])
		}
	}
	same(t, 5, len(results))
	var whole []event
	j.api.Call("GET", "/v1/sessions/"+j.session+"/log", nil, &whole)
	same(t, log, whole)
	stream := j.api.Stream("GET", "/v1/sessions/"+j.session+"/events/stream?replay=1", nil)
	same(t, turn(log), logged(t, stream.Until(func(e apptest.Event) bool { return e.Seq == int64(len(log)) })))
}

func freeze(t *testing.T, j *job) {
	tn := j.say(t, "Please send 31 USDC to vendor.example for a plugin") // over the day's limit: denied without asking anybody
	same(t, "deny", tn.last(t, "agent.tool_use").Permission)
	j.api.Call("PATCH", "/v1/policies/"+j.policy, m{"limits": m{"daily_limit": usdc("1000")}}, nil)
	tn = j.say(t, "Please send 31 USDC to vendor.example for a plugin")
	same(t, "requires_action", tn.last(t, "session.status_idle").StopReason.Type)

	var report struct {
		Standing string
		Stopped  int
		InFlight int `json:"in_flight"`
	}
	j.api.Call("POST", j.path("/freeze"), nil, &report)
	same(t, "frozen", report.Standing)
	same(t, 0, report.InFlight)
	if report.Stopped == 0 {
		t.Fatalf("the waiting payment was not stopped: %+v", report)
	}
	same(t, 0, len(apptest.All[approval](j.api, "/v1/approvals?status=pending")))

	tn = j.say(t, "Pay 1 USDC to vendor.example for a stamp")
	if e := tn.last(t, "session.error"); !strings.Contains(e.Error.Message, "frozen") {
		t.Fatalf("the error does not say that the agent is frozen: %+v", e)
	}
	var refused payment
	j.api.Call("POST", j.path("/wallet/payments"), m{"amount": usdc("1"), "payee": "vendor.example"}, &refused)
	same(t, "denied frozen", refused.Status+" "+refused.Decision.Rule)
	j.wantWallet(t, "42.50")

	j.api.Call("POST", j.path("/unfreeze"), nil, nil)
	tn = j.say(t, "Pay 1 USDC to vendor.example for a stamp")
	same(t, "allow", tn.last(t, "agent.tool_use").Permission)
	j.wantWallet(t, "41.50") // what the freeze has stopped stays stopped
}

func checkAudit(t *testing.T, j *job) {
	var verdict struct {
		Valid bool
		Count int64
		Head  string
	}
	j.api.Call("GET", "/v1/audit/verify", nil, &verdict)
	if !verdict.Valid || verdict.Count == 0 {
		t.Fatalf("%+v", verdict)
	}
	export := j.api.Do("GET", "/v1/audit/export", nil)
	report, err := audit.VerifyExport(bytes.NewReader(export.Body))
	if err != nil || !report.Valid {
		t.Fatalf("the export is not valid: %+v %v", report, err)
	}
	same(t, verdict.Count, report.Count)
	same(t, verdict.Head, report.Head)

	forged := bytes.Replace(export.Body, []byte(`35.00`), []byte(`34.00`), 1)
	if report, err := audit.VerifyExport(bytes.NewReader(forged)); err == nil && report.Valid {
		t.Fatal("a forged amount passes the verification")
	}

	type entry struct{ Action string }
	count := map[string]int{}
	for _, e := range apptest.All[entry](j.api, "/v1/audit?agent_id="+j.agent) {
		count[e.Action]++
	}
	// Of the frozen agent's model calls: that of the message, and that of the stopped turn, if it still comes to one.
	if n := count["policy_violation"]; n < 1 || n > 2 {
		t.Errorf("%d model calls were denied, want 1 or 2", n)
	}
	delete(count, "policy_violation")
	same(t, map[string]int{
		"agent_created": 1, "budget_alert": 3, "agent_frozen": 1, "agent_unfrozen": 1, "policy_created": 1, "policy_updated": 1, "skill_installed": 1, "tool_called": 2, "tool_authorized": 2,
		"approval_requested": 2, "approval_approved": 1, "approval_voided": 1, // by the freeze
		"transaction_completed": 5, "transaction_blocked": 5, // the deposit is one, too
	}, count)
}
