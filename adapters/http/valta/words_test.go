package valta

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/fault"
)

func TestCamel(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "structuring": "structuring", "daily_limit": "dailyLimit", "max_per_transaction": "maxPerTransaction", "a__b_": "aB",
	} {
		if got := camel(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestCamelWords(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"daily_limit: 20.00 USDC would pass daily_limit of 10.00 USDC":     "dailyLimit: 20.00 USDC would pass dailyLimit of 10.00 USDC",
		"the payee my_daily_limit_shop is not on allowed_payees":           "the payee my_daily_limit_shop is not on allowedPayees",
		"my_rule says no; another_rule too; insufficient_funds, no_policy": "myRule says no; another_rule too; insufficientFunds, noPolicy",
	} {
		if got := camelWords(in, "my_rule"); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestCamelMetadata(t *testing.T) {
	t.Parallel()
	const stored = `{"rule":"daily_limit","reason":"over daily_limit","amount":"20.50","balance_after":"0.00","payee":"daily_limit","description":"20.00",
		"limits":[{"limit":"daily_limit","amount":"20500000","max":"1"}],"act_id":"u","metadata":{"my_key":{"your_key":1}},"state":null,
		"rules":[{"plugin":"payee_list","config":"{\"a_b\":1}"}]}`
	const want = `{"rule":"dailyLimit","reason":"over dailyLimit","amount":20.5,"balanceAfter":0,"payee":"daily_limit","description":"20.00",
		"limits":[{"limit":"dailyLimit","amount":"20500000","max":"1"}],"actId":"u","metadata":{"my_key":{"your_key":1}},"state":null,
		"rules":[{"plugin":"payeeList","config":"{\"a_b\":1}"}]}`
	got, err := json.Marshal(camelMetadata(json.RawMessage(stored)))
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := camelMetadata(nil); got == nil || len(got) != 0 {
		t.Errorf("no metadata is %v", got)
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	for want, row := range map[string]struct {
		status int
		err    *fault.Error
	}{
		"AGENT_FROZEN":        {http.StatusForbidden, agent.ErrFrozen},
		"FORBIDDEN":           {http.StatusForbidden, account.ErrForbidden},
		"CREDITS_EXHAUSTED":   {http.StatusPaymentRequired, account.ErrCreditsExhausted},
		"INTERNAL_ERROR":      {http.StatusInternalServerError, fault.New(fault.Internal, "x", "y")},
		"SERVICE_UNAVAILABLE": {http.StatusServiceUnavailable, fault.New(fault.Unavailable, "x", "y")},
		"RATE_LIMIT_EXCEEDED": {http.StatusTooManyRequests, fault.New(fault.RateLimited, "x", "y")},
	} {
		got, ok := encodeError(row.status, row.err, "req").(errorWire)
		if !ok || got.Code != want || got.Message == "" || got.Error != got.Message {
			t.Errorf("%v becomes %+v, want %s", row.err, got, want)
		}
	}
	if got := encodeError(http.StatusForbidden, account.ErrFrozen, "").(errorWire).Code; got != "AGENT_FROZEN" {
		t.Errorf("a frozen tenant is %s", got)
	}
}
