package crash

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/internal/process"
)

var (
	killsSQLite   = flag.Int("crash.sqlite", 4, "how often the server on SQLite is killed")
	killsPostgres = flag.Int("crash.postgres", 3, "how often one of two replicas over Postgres is killed")
	seed          = flag.Uint64("crash.seed", 1, "seed of the kill times")
)

const (
	payers     = 4 // callers that pay over the API
	talkers    = 4 // sessions in which an agent is asked to pay
	deposit    = 100_000
	settleTime = 90 * time.Second
)

func TestCrashSQLite(t *testing.T) {
	fleet := start(t, nil)
	storm(t, fleet, *killsSQLite)
}

func TestCrashPostgres(t *testing.T) {
	fleet := start(t, overPostgres(t))
	replica, err := fleet[0].StartReplica(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(replica.Kill)
	storm(t, append(fleet, replica), *killsPostgres)
}

// built is the folder with the binary; TestMain removes it.
var built string

// binary builds the binary at its first call.
var binary = sync.OnceValues(func() (string, error) { return process.Build(context.Background(), built) })

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "bureau-crash-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(built)
	os.Exit(code)
}

// start starts one server.
func start(t *testing.T, env []string) []*process.Server {
	t.Helper()
	dir := t.TempDir()
	bin, err := binary()
	must(t, err)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if raw, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("the server's last words:\n%s", raw[max(0, len(raw)-8000):])
		}
		_ = log.Close()
	})
	s, err := process.Start(t.Context(), process.Options{Bin: bin, Data: filepath.Join(dir, "data"), Env: env, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return []*process.Server{s}
}

// load is what the callers know: what they asked for, and what was acknowledged.
type load struct {
	fleet []*process.Server
	agent string
	next  atomic.Int64

	mu       sync.Mutex
	paid     map[string]string   // payee -> transaction that was acknowledged
	promised map[string]bool     // payee -> a message that asks to pay it was acknowledged
	sessions map[string][]string // session -> payees asked for in it, acknowledged or not
}

// any returns one of the servers, each in turn.
func (l *load) any() *process.Server { return l.fleet[int(l.next.Add(1))%len(l.fleet)] }

// storm runs the load, kills servers meanwhile, and checks what is left.
func storm(t *testing.T, fleet []*process.Server, kills int) {
	t.Helper()
	l := &load{fleet: fleet, paid: map[string]string{}, promised: map[string]bool{}, sessions: map[string][]string{}}
	l.agent = prepare(t, fleet[0])

	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for i := range payers {
		callers.Go(func() { l.pay(ctx, i) })
	}
	for i := range talkers {
		callers.Go(func() { l.talk(ctx, i) })
	}
	random := rand.New(rand.NewPCG(*seed, uint64(kills)))
	for i := range kills {
		pause(ctx, time.Duration(50+random.IntN(450))*time.Millisecond)
		victim := fleet[random.IntN(len(fleet))]
		victim.Kill()
		if err := victim.Restart(ctx); err != nil {
			t.Fatalf("restart %d: %v", i, err)
		}
	}
	pause(ctx, 300*time.Millisecond)
	stop()
	callers.Wait()
	if len(l.paid) == 0 || len(l.promised) == 0 {
		t.Fatalf("the load did nothing: %d payments, %d messages acknowledged", len(l.paid), len(l.promised))
	}
	t.Logf("%d kills: %d payments and %d messages acknowledged", kills, len(l.paid), len(l.promised))
	check(t, l)
}

// pause waits unless ctx ends: the time between kills is the subject of the test, not a synchronisation.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

type amount struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

func usdc(units int) amount { return amount{fmt.Sprintf("%d.00", units), "USDC"} }

func prepare(t *testing.T, s *process.Server) (agent string) {
	t.Helper()
	ctx := t.Context()
	var made struct {
		ID string `json:"id"`
	}
	must(t, s.Call(ctx, "POST", "/v1/agents", "", map[string]any{"name": "payer", "model": "offline"}, &made))
	must(t, s.Call(ctx, "POST", "/v1/agents/"+made.ID+"/wallet/deposits", "", map[string]any{"amount": usdc(deposit), "description": "budget"}, nil))
	must(t, s.Call(ctx, "POST", "/v1/policies", "", map[string]any{
		"scope": map[string]any{"agent_id": made.ID}, "limits": map[string]any{"max_per_transaction": usdc(5), "daily_limit": usdc(deposit)},
	}, nil))
	return made.ID
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pay makes one payment after the other, each under a key of its own, and repeats each until it is acknowledged.
func (l *load) pay(ctx context.Context, who int) {
	for n := 0; ctx.Err() == nil; n++ {
		payee := fmt.Sprintf("api-%d-%d.vendor.example", who, n)
		body := map[string]any{"amount": usdc(1), "payee": payee, "description": "load"}
		for ctx.Err() == nil {
			var answer struct {
				Transaction struct {
					ID string `json:"id"`
				} `json:"transaction"`
			}
			err := l.any().Call(ctx, "POST", "/v1/agents/"+l.agent+"/wallet/payments", payee, body, &answer)
			if err == nil {
				l.mu.Lock()
				l.paid[payee] = answer.Transaction.ID
				l.mu.Unlock()
				break
			}
			pause(ctx, 5*time.Millisecond)
		}
	}
}

// talk asks an agent to pay, in one session, without waiting for the answers.
func (l *load) talk(ctx context.Context, who int) {
	session := ""
	for n := 0; ctx.Err() == nil; n++ {
		if session == "" {
			var made struct {
				ID string `json:"id"`
			}
			if l.any().Call(ctx, "POST", "/v1/sessions", "", map[string]any{"agent": l.agent}, &made) != nil {
				pause(ctx, 5*time.Millisecond)
				continue
			}
			session = made.ID
		}
		payee := fmt.Sprintf("talk-%d-%d.vendor.example", who, n)
		l.mu.Lock()
		l.sessions[session] = append(l.sessions[session], payee)
		l.mu.Unlock()
		event := map[string]any{"type": "user.message", "content": []any{map[string]any{"type": "text", "text": "Pay 1 USDC to " + payee + " for the load test"}}}
		err := l.any().Call(ctx, "POST", "/v1/sessions/"+session+"/events", "", map[string]any{"events": []any{event}}, nil)
		if err == nil {
			l.mu.Lock()
			l.promised[payee] = true
			l.mu.Unlock()
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// check holds the server to everything that it acknowledged.
func check(t *testing.T, l *load) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	for session := range l.sessions {
		l.waitIdle(ctx, t, session)
	}

	payments := map[string][]string{} // payee -> transactions
	spent := 0
	for _, tx := range all[transaction](ctx, t, l, "/v1/agents/"+l.agent+"/wallet/transactions") {
		if tx.Kind == "payment" {
			payments[tx.Payee] = append(payments[tx.Payee], tx.ID)
			spent++
		}
	}
	for payee, ids := range payments {
		if len(ids) > 1 {
			t.Errorf("%s was paid %d times: %v", payee, len(ids), ids)
		}
	}
	for payee, id := range l.paid {
		if ids := payments[payee]; len(ids) != 1 || id != "" && ids[0] != id {
			t.Errorf("the payment %s to %s was acknowledged; the ledger has %v", id, payee, ids)
		}
	}
	for payee := range l.promised {
		if len(payments[payee]) != 1 {
			t.Errorf("a message that asks to pay %s was acknowledged; the ledger has %v", payee, payments[payee])
		}
	}
	var wallet struct {
		Balance amount `json:"balance"`
		Held    amount `json:"held"`
	}
	must(t, l.any().Call(ctx, "GET", "/v1/agents/"+l.agent+"/wallet", "", nil, &wallet))
	if want := usdc(deposit - spent); wallet.Balance != want || wallet.Held != usdc(0) {
		t.Errorf("balance %v, held %v; %d payments of 1 leave %v and nothing held", wallet.Balance, wallet.Held, spent, want)
	}
	var trail struct {
		Valid bool `json:"valid"`
		Count int  `json:"count"`
	}
	must(t, l.any().Call(ctx, "GET", "/v1/audit/verify", "", nil, &trail))
	if !trail.Valid || trail.Count < spent {
		t.Errorf("audit trail: %+v after %d payments", trail, spent)
	}
	for session := range l.sessions {
		l.checkLog(ctx, t, session)
	}
}

type transaction struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Payee string `json:"payee"`
}

// waitIdle waits until every message of the session has been answered.
func (l *load) waitIdle(ctx context.Context, t *testing.T, session string) {
	t.Helper()
	for {
		var s struct {
			Status string `json:"status"`
		}
		err := l.any().Call(ctx, "GET", "/v1/sessions/"+session, "", nil, &s)
		if err == nil && s.Status == "idle" && l.answered(ctx, t, session) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("session %s is stuck: status %q, %v", session, s.Status, errors.Join(err, ctx.Err()))
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// answered reports whether every acknowledged message of the session stands in its log and the last entry says idle.
func (l *load) answered(ctx context.Context, t *testing.T, session string) bool {
	t.Helper()
	events := all[logged](ctx, t, l, "/v1/sessions/"+session+"/events?order=asc")
	messages := map[string]bool{}
	for _, e := range events {
		if e.Type == "user.message" {
			messages[string(e.Content)] = true
		}
	}
	for _, payee := range l.sessions[session] {
		found := false
		for m := range messages {
			found = found || strings.Contains(m, payee+" ")
		}
		if l.promised[payee] && !found {
			return false
		}
	}
	return len(events) == 0 || events[len(events)-1].Type == "session.status_idle"
}

type logged struct {
	Seq       int64           `json:"seq"`
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Content   json.RawMessage `json:"content"`
	ToolUseID string          `json:"tool_use_id"`
}

// checkLog proves that the log is gapless and that every tool use has exactly one result.
func (l *load) checkLog(ctx context.Context, t *testing.T, session string) {
	t.Helper()
	results := map[string]int{}
	var uses []string
	for i, e := range all[logged](ctx, t, l, "/v1/sessions/"+session+"/events?order=asc") {
		if e.Seq != int64(i+1) {
			t.Fatalf("session %s: entry %d has the number %d", session, i+1, e.Seq)
		}
		switch e.Type {
		case "agent.tool_use":
			uses = append(uses, e.ID)
		case "agent.tool_result":
			results[e.ToolUseID]++
		}
	}
	for _, use := range uses {
		if results[use] != 1 {
			t.Errorf("session %s: tool use %s has %d results", session, use, results[use])
		}
	}
}

// all reads a list to its end.
func all[T any](ctx context.Context, t *testing.T, l *load, path string) []T {
	t.Helper()
	var items []T
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	for cursor := ""; ; {
		var page struct {
			Data     []T     `json:"data"`
			NextPage *string `json:"next_page"`
		}
		must(t, l.any().Call(ctx, "GET", path+sep+"limit=100&cursor="+url.QueryEscape(cursor), "", nil, &page))
		items = append(items, page.Data...)
		if page.NextPage == nil || *page.NextPage == "" {
			return items
		}
		cursor = *page.NextPage
	}
}
