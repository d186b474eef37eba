package crash

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestFreezeReachesAllProcesses freezes a swarm in one process while a member's turn hangs in a model call of the other one, and while
// callers pay through both: the turn ends there, and nothing is paid once the freeze has returned.
func TestFreezeReachesAllProcesses(t *testing.T) {
	model := newStuckModel(t)
	env := append(overPostgres(t), "BUREAU_LLM_PROVIDER=openai", "BUREAU_LLM_BASE_URL="+model.URL, "BUREAU_LLM_MODEL=stuck", "BUREAU_LLM_API_KEY=none")
	fleet := start(t, env)
	other, err := fleet[0].StartReplica(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(other.Kill)
	fleet = append(fleet, other)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	create := func(path string, body any) string {
		t.Helper()
		var made struct {
			ID string `json:"id"`
		}
		must(t, fleet[0].Call(ctx, "POST", path, "", body, &made))
		return made.ID
	}
	swarm := create("/v1/swarms", map[string]any{"name": "Payers"})
	create("/v1/policies", map[string]any{"scope": map[string]any{"swarm_id": swarm}, "limits": map[string]any{}})
	var agents []string
	for i := range 4 {
		agents = append(agents, create("/v1/agents", map[string]any{"name": fmt.Sprint("payer ", i), "model": "stuck", "swarm_id": swarm}))
		create("/v1/agents/"+agents[i]+"/wallet/deposits", map[string]any{"amount": usdc(10_000), "description": "budget"})
	}
	session := create("/v1/sessions", map[string]any{"agent": agents[0]})
	ended := follow(ctx, t, fleet[0], session)
	event := map[string]any{"type": "user.message", "content": "How are you?"}
	must(t, other.Call(ctx, "POST", "/v1/sessions/"+session+"/events", "", map[string]any{"events": []any{event}}, nil))
	select {
	case <-model.asked: // by the other process, which was given the message
	case <-ctx.Done():
		t.Fatal("the model was never asked")
	}

	stop := make(chan struct{})
	var paid atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	var stopOnce sync.Once
	end := func() { stopOnce.Do(func() { close(stop) }) }
	defer end()
	for i := range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var answer struct {
					Status string `json:"status"`
				}
				if err := fleet[i%2].Call(ctx, "POST", "/v1/agents/"+agents[i%4]+"/wallet/payments", "",
					map[string]any{"amount": usdc(1), "payee": "vendor.example", "description": "load"}, &answer); err != nil {
					t.Error(err)
					return
				}
				if answer.Status == "completed" {
					paid.Add(1)
				}
			}
		})
	}
	for paid.Load() < 20 {
		select {
		case <-ctx.Done():
			t.Fatal("the callers do not get to pay")
		case <-time.After(time.Millisecond): // only to look again
		}
	}
	balances := func() (sum int64) {
		t.Helper()
		for _, a := range agents {
			var wallet struct {
				Balance amount `json:"balance"`
			}
			must(t, fleet[0].Call(ctx, "GET", "/v1/agents/"+a+"/wallet", "", nil, &wallet))
			var whole int64
			_, err := fmt.Sscan(wallet.Balance.Amount, &whole)
			must(t, err)
			sum += whole
		}
		return sum
	}
	var report struct {
		Turns int `json:"turns"`
	}
	must(t, fleet[0].Call(ctx, "POST", "/v1/swarms/"+swarm+"/freeze", "", nil, &report))
	before := balances()
	if report.Turns != 1 {
		t.Errorf("the freeze ended %d turns, want the one that hung", report.Turns)
	}
	frozen := time.Now()
	ended() // or the context ends, and fails the test
	if took := time.Since(frozen); took > 5*time.Second {
		t.Errorf("the turn in the other process ended %s after the freeze", took)
	}
	end()
	wg.Wait()
	if after := balances(); after != before {
		t.Errorf("%d were paid after the freeze had returned", before-after)
	}
	if sum := balances() + paid.Load(); sum != 40_000 {
		t.Errorf("balances and payments make %d of 40000", sum)
	}
}
