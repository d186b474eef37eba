package crash

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/payment/stripe/stripetest"
	"github.com/bureau-agents/bureau/app/internal/process"
)

var killsRail = flag.Int("crash.rail", 3, "how often a server is killed while a payment rail is at work")

// railPayment is how the API answers a payment over a rail.
type railPayment struct {
	Status    string `json:"status"`
	PaymentID string `json:"payment_id"`
}

// TestCrashRail kills the server at the moments of a payment over a rail that matter: when the rail has the order and has done nothing,
// and never will; when it has it and goes on to charge after the server's death; when it has charged and not answered; and at any
// moment. The rail's own books say how often it charged: once for each payment.
func TestCrashRail(t *testing.T) {
	rail := stripetest.New(t)
	s := start(t, []string{
		"BUREAU_STRIPE_SECRET_KEY=" + stripetest.Key, "BUREAU_STRIPE_CUSTOMER=" + stripetest.Customer,
		"BUREAU_STRIPE_PAYMENT_METHOD=" + stripetest.PaymentMethod, "BUREAU_STRIPE_BASE_URL=" + rail.URL, "BUREAU_STRIPE_UNSURE=10ms",
		"BUREAU_PAYMENT_TIMEOUT=1s",
	})[0]
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute+time.Duration(*killsRail)*20*time.Second)
	defer cancel()
	agent := prepareDollars(ctx, t, s)
	random := rand.New(rand.NewPCG(*seed, 5))
	for n := range *killsRail {
		payee := fmt.Sprintf("kill-%d.vendor.example", n)
		switch n % 4 {
		case 0:
			rail.Fail(stripetest.CutBefore)
			killAt(ctx, t, s, rail, "before", agent, payee)
		case 1:
			killAt(ctx, t, s, rail, "after", agent, payee)
		case 2:
			killAt(ctx, t, s, rail, "before", agent, payee)
		case 3:
			killAnyTime(ctx, t, s, agent, payee, time.Duration(random.IntN(30_000))*time.Microsecond)
		}
	}
	for n := range *killsRail {
		payee := fmt.Sprintf("kill-%d.vendor.example", n)
		p := payOverRail(ctx, t, s, agent, payee)
		for p.Status != "completed" {
			if ctx.Err() != nil {
				t.Fatalf("the payment to %s is still %s", payee, p.Status)
			}
			pause(ctx, 100*time.Millisecond)
			p = payOverRail(ctx, t, s, agent, payee)
		}
	}
	checkRail(ctx, t, s, rail, agent)
}

func dollars(n int) amount { return amount{fmt.Sprintf("%d.00", n), "USD"} }

func prepareDollars(ctx context.Context, t *testing.T, s *process.Server) string {
	t.Helper()
	var made struct {
		ID string `json:"id"`
	}
	must(t, s.Call(ctx, "POST", "/v1/agents", "", map[string]any{"name": "buyer", "model": "offline"}, &made))
	must(t, s.Call(ctx, "POST", "/v1/agents/"+made.ID+"/wallet/deposits", "", map[string]any{"amount": dollars(deposit)}, nil))
	must(t, s.Call(ctx, "POST", "/v1/policies", "", map[string]any{
		"scope": map[string]any{"agent_id": made.ID}, "limits": map[string]any{"max_per_transaction": dollars(5), "daily_limit": dollars(deposit)},
	}, nil))
	return made.ID
}

// payOverRail pays 2 dollars under a key that belongs to the payee; an answer that got lost is an empty one.
func payOverRail(ctx context.Context, t *testing.T, s *process.Server, agent, payee string) (p railPayment) {
	t.Helper()
	err := s.Call(ctx, "POST", "/v1/agents/"+agent+"/wallet/payments", payee, map[string]any{
		"amount": dollars(2), "payee": payee, "rail": "stripe",
	}, &p)
	if refused, ok := errors.AsType[*process.StatusError](err); ok && refused.Status < 500 && refused.Status != 409 {
		t.Errorf("the payment to %s: %v", payee, err)
	}
	return p
}

// killAt kills the server while the rail is at work on a payment, and starts it again.
func killAt(ctx context.Context, t *testing.T, s *process.Server, rail *stripetest.Server, when, agent, payee string) {
	t.Helper()
	reached, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	rail.OnCharge(func(at, _ string) {
		if at == when {
			once.Do(func() {
				close(reached)
				<-goOn
			})
		}
	})
	defer rail.OnCharge(nil)
	var caller sync.WaitGroup
	caller.Go(func() { payOverRail(ctx, t, s, agent, payee) })
	select {
	case <-reached:
	case <-ctx.Done():
		t.Fatal("the rail was never asked")
	}
	s.Kill()
	caller.Wait()
	close(goOn)
	must(t, s.Restart(ctx))
}

// killAnyTime kills the server some time after a payment was asked for.
func killAnyTime(ctx context.Context, t *testing.T, s *process.Server, agent, payee string, after time.Duration) {
	t.Helper()
	var caller sync.WaitGroup
	caller.Go(func() { payOverRail(ctx, t, s, agent, payee) })
	pause(ctx, after)
	s.Kill()
	caller.Wait()
	must(t, s.Restart(ctx))
}

// checkRail compares the rail's books with the server's.
func checkRail(ctx context.Context, t *testing.T, s *process.Server, rail *stripetest.Server, agent string) {
	t.Helper()
	charged := map[string]int{}
	for _, i := range rail.Intents() {
		charged[i.Metadata["payee"]]++
		if i.Amount != 200 || i.Status != "succeeded" {
			t.Errorf("the rail has %+v", i)
		}
	}
	for payee, n := range charged {
		if n != 1 {
			t.Errorf("%s was charged %d times", payee, n)
		}
	}
	if len(charged) != *killsRail {
		t.Errorf("the rail has charged for %d payees, want %d", len(charged), *killsRail)
	}
	var wallet struct {
		Balance amount `json:"balance"`
		Held    amount `json:"held"`
	}
	must(t, s.Call(ctx, "GET", "/v1/agents/"+agent+"/wallet?currency=USD", "", nil, &wallet))
	if want := dollars(deposit - 2**killsRail); wallet.Balance != want || wallet.Held != dollars(0) {
		t.Errorf("balance %v, held %v; want %v and nothing held", wallet.Balance, wallet.Held, want)
	}
	var list struct {
		Data []struct {
			Status    string
			Reference string
		} `json:"data"`
	}
	must(t, s.Call(ctx, "GET", "/v1/payments?limit=100", "", nil, &list))
	if len(list.Data) != min(*killsRail, 100) {
		t.Errorf("%d payments are listed", len(list.Data))
	}
	for _, p := range list.Data {
		if p.Status != "succeeded" || p.Reference == "" {
			t.Errorf("a payment is %+v", p)
		}
	}
	var trail struct {
		Valid bool `json:"valid"`
	}
	must(t, s.Call(ctx, "GET", "/v1/audit/verify", "", nil, &trail))
	if !trail.Valid {
		t.Error("the trail is broken")
	}
}
