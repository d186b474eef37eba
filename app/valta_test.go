package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// valta calls the valta face.
type valta struct {
	t   *testing.T
	api *apptest.Client
}

const valtaPrefix = "/compat/valta"

// nobodysAgent is an id that no agent has.
const nobodysAgent = "ag_00000000000000000000000001"

// call sends a request and compares the answer with a pattern: JSON in which texts like "<ag>" stand for what they name, and numbers are
// compared as they are written. It returns the answer.
func (v valta) call(status int, method, path string, body any, want string, headers ...string) map[string]any {
	v.t.Helper()
	a := v.api.Do(method, valtaPrefix+path, body, headers...)
	if a.Status != status {
		v.t.Fatalf("%s %s: %d, want %d: %s", method, path, a.Status, status, a.Body)
	}
	pattern, got := decoded(v.t, []byte(want)), decoded(v.t, a.Body)
	if where := unlike("", pattern, got); where != "" {
		v.t.Fatalf("%s %s: %s\nwant %s\ngot  %s", method, path, where, want, a.Body)
	}
	object, _ := got.(map[string]any)
	return object
}

// refuse sends a request that is refused with a code, and with words in the message.
func (v valta) refuse(status int, code, words, method, path string, body any, headers ...string) {
	v.t.Helper()
	got := v.call(status, method, path, body, `{"code":"`+code+`","message":"<text>","error":"<text>"}`, headers...)
	if message, _ := got["message"].(string); !strings.Contains(message, words) || got["error"] != message {
		v.t.Fatalf("%s %s: the message is %q and %q, want %q in it", method, path, message, got["error"], words)
	}
}

func decoded(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var out any
	if err := d.Decode(&out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}

var valtaTexts = map[string]*regexp.Regexp{
	"<ag>": regexp.MustCompile(`^ag_[0-9a-z]{26}$`), "<run>": regexp.MustCompile(`^run_[0-9a-z]{26}$`), "<tx>": regexp.MustCompile(`^tx_[0-9a-z]{26}$`),
	"<ae>": regexp.MustCompile(`^ae_[0-9a-z]{26}$`), "<wal>": regexp.MustCompile(`^wal_[0-9a-z]{26}$`), "<pol>": regexp.MustCompile(`^pol_[0-9a-z]{26}$`),
	"<apr>": regexp.MustCompile(`^apr_[0-9a-z]{26}$`), "<key>": regexp.MustCompile(`^key_[0-9a-z]{26}$`), "<hash>": regexp.MustCompile(`^[0-9a-f]{64}$`),
	"<time>": regexp.MustCompile(`^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`), "<text>": regexp.MustCompile(`(?s).`),
}

// unlike says where got differs from a pattern, and "" where it does not. "<any>" is anything, "<number>" any number.
func unlike(at string, want, got any) string {
	switch w := want.(type) {
	case string:
		text, isText := got.(string)
		_, isNumber := got.(json.Number)
		pattern := valtaTexts[w]
		if w == "<any>" || w == "<number>" && isNumber || isText && (pattern != nil && pattern.MatchString(text) || pattern == nil && text == w) {
			return ""
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		for name := range g {
			if _, known := w[name]; !known {
				return at + "/" + name + " is not expected"
			}
		}
		for name, sub := range w {
			value, there := g[name]
			if !there {
				return at + "/" + name + " is missing"
			}
			if where := unlike(at+"/"+name, sub, value); where != "" {
				return where
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		for i := range w {
			if where := unlike(fmt.Sprintf("%s/%d", at, i), w[i], g[i]); where != "" {
				return where
			}
		}
		return ""
	default:
		if want == got {
			return ""
		}
	}
	return fmt.Sprintf("%s is %v, want %v", at, got, want)
}

const (
	valtaAgent    = `{"id":"<ag>","name":"%s","description":null,"status":"%s","walletId":"<wal>","createdAt":"<time>","updatedAt":"<time>"}`
	valtaApproved = `{"approved":true,"transactionId":"<tx>","newBalance":%s}`
	valtaRefused  = `{"approved":false,"reason":"<text>","rule":"%s","requiresApproval":false,"requestId":null}`
	valtaParked   = `{"approved":false,"reason":"<text>","rule":"requireApprovalAbove","requiresApproval":true,"requestId":"<apr>"}`
)

// agent makes an agent and returns its id.
func (v valta) agent(name string) string {
	v.t.Helper()
	return v.call(201, "POST", "/agents", m{"name": name}, fmt.Sprintf(valtaAgent, name, "active"))["id"].(string)
}

// payer makes an agent with money and a policy.
func (v valta) payer(amount string, limits m) string {
	v.t.Helper()
	a := v.agent("payer")
	v.call(200, "POST", "/agents/"+a+"/wallet/deposit", `{"amount":`+amount+`}`, `{"transactionId":"<tx>","balance":`+amount+`}`)
	v.api.Call("POST", valtaPrefix+"/agents/"+a+"/policy", limits, nil)
	return a
}

func (v valta) balance(agent, want string) {
	v.t.Helper()
	v.call(200, "GET", "/agents/"+agent+"/wallet", nil, `{"walletId":"<wal>","agentId":"`+agent+`","balance":`+want+`,"held":0,"available":`+want+
		`,"currency":"USDC","status":"<text>"}`)
}

// TestValta plays every call of the valta face.
func TestValta(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		for _, part := range []struct {
			name string
			play func(valta)
		}{
			{"agents", playValtaAgents}, {"deleted agents", playValtaDeletion}, {"archived agents", playValtaArchive}, {"lists", playValtaLists},
			{"spellings", playValtaSpellings}, {"amounts", playValtaAmounts}, {"spending", playValtaSpending}, {"keys of payments", playValtaKeys},
			{"transfers", playValtaTransfers}, {"freezing", playValtaFreeze}, {"policies", playValtaPolicies}, {"approvals", playValtaApprovals},
			{"runs", playValtaRuns}, {"audit", playValtaAudit}, {"refusals", playValtaRefusals},
		} {
			t.Run(part.name, func(t *testing.T) { part.play(valta{t, s.Admin.In(t)}) })
		}
	})
}

func playValtaAgents(v valta) {
	made := v.call(201, "POST", "/agents", m{"name": "Procurement Agent", "description": "Handles subscriptions.", "unknown": 1},
		`{"id":"<ag>","name":"Procurement Agent","description":"Handles subscriptions.","status":"active","walletId":"<wal>","createdAt":"<time>","updatedAt":"<time>"}`)
	path := "/agents/" + made["id"].(string)
	v.call(200, "PATCH", path, `{"name":"v2"}`,
		`{"id":"<ag>","name":"v2","description":"Handles subscriptions.","status":"active","walletId":"`+made["walletId"].(string)+`","createdAt":"<time>","updatedAt":"<time>"}`)
	v.call(200, "PATCH", path, `{"description":null}`, fmt.Sprintf(valtaAgent, "v2", "active"))
	v.call(200, "PATCH", path, `{}`, fmt.Sprintf(valtaAgent, "v2", "active"))
	v.refuse(400, "INVALID_REQUEST", "name", "PATCH", path, `{"name":""}`)
	v.call(200, "GET", path, nil, fmt.Sprintf(valtaAgent, "v2", "active"))
	first := v.call(201, "POST", "/agents", m{"name": "once"}, fmt.Sprintf(valtaAgent, "once", "active"), "Idempotency-Key: agent-1")
	again := v.call(201, "POST", "/agents", m{"name": "once"}, fmt.Sprintf(valtaAgent, "once", "active"), "Idempotency-Key: agent-1")
	same(v.t, first, again)
	v.refuse(409, "CONFLICT", "", "POST", "/agents", m{"name": "twice"}, "Idempotency-Key: agent-1")
}

func playValtaDeletion(v valta) {
	a := v.payer("5", m{"requireApprovalAbove": 1})
	request := v.call(200, "POST", "/agents/"+a+"/wallet/spend", m{"amount": 2}, valtaParked)["requestId"].(string)
	v.call(200, "DELETE", "/agents/"+a, nil, `{"success":true}`)
	for method, paths := range map[string][]string{
		"GET":    {"", "/wallet", "/wallet/transactions", "/policy", "/runs"},
		"DELETE": {"", "/policy"},
		"POST":   {"/freeze", "/unfreeze"},
	} {
		for _, path := range paths {
			v.refuse(404, "NOT_FOUND", "", method, "/agents/"+a+path, nil)
		}
	}
	v.refuse(404, "NOT_FOUND", "", "PATCH", "/agents/"+a, m{"name": "x"})
	v.refuse(404, "NOT_FOUND", "", "POST", "/agents/"+a+"/runs", m{"task": "x"})
	v.refuse(404, "NOT_FOUND", "", "POST", "/agents/"+a+"/wallet/deposit", m{"amount": 1})
	v.refuse(404, "NOT_FOUND", "", "POST", "/agents/"+a+"/wallet/spend", m{"amount": 1})
	v.refuse(404, "NOT_FOUND", "", "POST", "/agents/"+a+"/policy", m{"dailyLimit": 1})
	v.refuse(404, "NOT_FOUND", "", "POST", "/wallet/transfer", m{"fromAgentId": a, "toAgentId": v.agent("x"), "amount": 1})
	v.refuse(404, "NOT_FOUND", "", "POST", "/wallet/transfer", m{"fromAgentId": v.payer("5", m{"dailyLimit": 5}), "toAgentId": a, "amount": 1})
	v.refuse(409, "CONFLICT", "", "POST", "/approvals/"+request+"/approve", nil)
	entries := v.call(200, "GET", "/audit?agentId="+a+"&limit=100", nil, `{"data":"<any>","total":"<number>","page":1,"limit":100}`)["data"].([]any)
	if got := entries[0].(map[string]any); got["action"] != "agent_deleted" || got["agentId"] != a {
		v.t.Errorf("the last entry of a deleted agent is %v", got)
	}
}

func playValtaArchive(v valta) {
	a := v.payer("5", m{"dailyLimit": 5})
	v.api.Call("DELETE", "/v1/agents/"+a, nil, nil)
	v.call(200, "GET", "/agents/"+a, nil, fmt.Sprintf(valtaAgent, "payer", "inactive"))
	v.call(200, "GET", "/agents/"+a+"/wallet", nil, `{"walletId":"<wal>","agentId":"`+a+`","balance":5,"held":0,"available":5,"currency":"USDC","status":"inactive"}`)
	v.call(200, "POST", "/agents/"+a+"/wallet/spend", m{"amount": 1}, fmt.Sprintf(valtaRefused, "archived"))
	v.refuse(409, "CONFLICT", "archived", "POST", "/agents/"+a+"/runs", m{"task": "x"})
	v.refuse(409, "CONFLICT", "archived", "POST", "/agents/"+a+"/freeze", nil)
	v.refuse(409, "CONFLICT", "archived", "PATCH", "/agents/"+a, m{"name": "x"})
	v.call(200, "GET", "/agents?status=inactive", nil, `{"data":[`+fmt.Sprintf(valtaAgent, "payer", "inactive")+`],"total":1,"page":1,"limit":20}`)
	v.call(200, "DELETE", "/agents/"+a, nil, `{"success":true}`)
	v.call(200, "GET", "/agents?status=inactive", nil, `{"data":[],"total":0,"page":1,"limit":20}`)
}

func playValtaLists(v valta) {
	a := v.agent("listed")
	for _, amount := range []string{"1", "2", "3"} {
		v.api.Call("POST", valtaPrefix+"/agents/"+a+"/wallet/deposit", `{"amount":`+amount+`}`, nil)
	}
	entry := func(amount, after string) string {
		return `{"id":"<tx>","agentId":"` + a + `","type":"deposit","amount":` + amount + `,"currency":"USDC","payee":null,"category":null,"description":null,"balanceAfter":` +
			after + `,"createdAt":"<time>"}`
	}
	path := "/agents/" + a + "/wallet/transactions"
	v.call(200, "GET", path, nil, `{"data":[`+entry("3", "6")+","+entry("2", "3")+","+entry("1", "1")+`],"total":3,"page":1,"limit":20}`)
	v.call(200, "GET", path+"?limit=2&page=2&unknown=%20", nil, `{"data":[`+entry("1", "1")+`],"total":3,"page":2,"limit":2}`)
	v.call(200, "GET", path+"?limit=2&page=3", nil, `{"data":[],"total":3,"page":3,"limit":2}`)
	for _, list := range []string{"/agents", path, "/agents/" + a + "/runs", "/approvals", "/audit"} {
		v.call(200, "GET", list+"?page=999999999&limit=100", nil, `{"data":[],"total":"<number>","page":999999999,"limit":100}`)
		for _, query := range []string{"limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit=1.5", "page=0", "page=-1", "page=x", "page=", "limit=1&limit=2"} {
			v.refuse(400, "INVALID_REQUEST", "query.", "GET", list+"?"+query, nil)
		}
	}
	v.refuse(400, "INVALID_REQUEST", "query.status", "GET", "/agents?status=asleep", nil)
	v.refuse(400, "INVALID_REQUEST", "query.status", "GET", "/agents/"+a+"/runs?status=done", nil)
	v.refuse(400, "INVALID_REQUEST", "query.status", "GET", "/approvals?status=open", nil)
	v.refuse(404, "NOT_FOUND", "", "GET", "/audit?agentId=nonsense", nil)
	v.call(200, "GET", "/audit?agentId="+nobodysAgent, nil, `{"data":[],"total":0,"page":1,"limit":20}`)
}

func playValtaSpellings(v valta) {
	a := v.agent("spelt")
	suffix := strings.TrimPrefix(a, "ag_")
	parsed, err := id.Parse[id.AgentKind](a)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, spelled := range []string{a, "agent_" + suffix, parsed.UUID().String(), strings.ToUpper(parsed.UUID().String())} {
		if got := v.call(200, "GET", "/agents/"+spelled, nil, `"<any>"`); got["id"] != a {
			v.t.Errorf("%s is %v", spelled, got["id"])
		}
		v.call(200, "POST", "/agents/"+spelled+"/freeze", nil, `{"success":true,"agentId":"`+a+`","status":"frozen"}`)
		v.call(200, "GET", "/audit?limit=1&agentId="+spelled, nil, `{"data":"<any>","total":"<number>","page":1,"limit":1}`)
	}
	for _, spelled := range []string{"run_" + suffix, "x" + suffix, suffix, "ag_", "ag_" + suffix + "0", "1"} {
		v.refuse(404, "NOT_FOUND", "", "GET", "/agents/"+spelled, nil)
	}
	// The other faces know the same agent.
	var native struct{ ID, Name string }
	v.api.Call("GET", "/v1/agents/"+a, nil, &native)
	same(v.t, "agent_"+suffix, native.ID)
}

func playValtaAmounts(v valta) {
	a := v.agent("saver")
	path := "/agents/" + a + "/wallet/deposit"
	for _, step := range []struct{ amount, balance string }{
		{"0.000001", "0.000001"}, {"1e-06", "0.000002"}, {"25.5", "25.500002"}, {"1.0000000000", "26.500002"}, {"1E2", "126.500002"},
		{"9007199254.740993", "9007199381.240995"}, {"0.1", "9007199381.340995"}, {"0.2", "9007199381.540995"},
	} {
		v.call(200, "POST", path, `{"amount":`+step.amount+`,"description":"x"}`, `{"transactionId":"<tx>","balance":`+step.balance+`}`)
	}
	for _, amount := range []string{
		"0", "-0", "-5", "-1e-6", `"10"`, "0.0000001", "1e-7", "null", "true", "[]", "{}", `""`, "1e13", "1e400", "9223372036854.775808", strings.Repeat("9", 300), "NaN", "01",
	} {
		v.refuse(400, "INVALID_REQUEST", "", "POST", path, `{"amount":`+amount+`,"description":"x"}`)
	}
	v.refuse(400, "INVALID_REQUEST", "amount", "POST", path, `{"description":"x"}`)
	v.refuse(400, "INVALID_REQUEST", "currency", "POST", path, `{"amount":1,"currency":"EUR"}`)
	v.refuse(400, "INVALID_REQUEST", "", "POST", path, `{"amount":1,"amount":2}`)
	v.balance(a, "9007199381.540995")
	v.refuse(400, "INVALID_REQUEST", "", "POST", path, `{"amount":9223372036854}`) // the sum would not fit
	v.balance(a, "9007199381.540995")
}

func playValtaSpending(v valta) {
	a := v.payer("100", m{
		"maxPerTransaction": 30, "dailyLimit": 60, "blockedCategories": []string{"gambling"}, "allowedDomains": []string{"good.example", "bad.example"},
		"blockedDomains": []string{"bad.example"},
	})
	path := "/agents/" + a + "/wallet/spend"
	for _, row := range []struct{ body, rule string }{
		{`{"amount":30.000001,"payee":"good.example"}`, "maxPerTransaction"},
		{`{"amount":1,"payee":"other.example"}`, "allowedDomains"},
		{`{"amount":1,"payee":"bad.example"}`, "blockedDomains"},
		{`{"amount":1,"payee":"good.example","category":"Gambling"}`, "blockedCategories"},
	} {
		v.call(200, "POST", path, row.body, fmt.Sprintf(valtaRefused, row.rule))
	}
	v.call(200, "POST", path, `{"amount":29.99,"payee":"good.example","category":"software","description":null}`, fmt.Sprintf(valtaApproved, "70.01"))
	v.call(200, "POST", path, `{"amount":30,"payee":"https://good.example/x"}`, fmt.Sprintf(valtaApproved, "40.01"))
	got := v.call(200, "POST", path, `{"amount":0.02,"payee":"good.example"}`, fmt.Sprintf(valtaRefused, "dailyLimit"))
	if reason := got["reason"].(string); strings.Contains(reason, "daily_limit") || !strings.Contains(reason, "dailyLimit") {
		v.t.Errorf("the reason names the rule otherwise than the answer does: %s", reason)
	}
	v.call(200, "POST", path, `{"amount":0.01,"payee":"good.example"}`, fmt.Sprintf(valtaApproved, "40"))
	v.balance(a, "40")
	for _, body := range []string{
		`{"payee":"good.example"}`, `{"amount":1,"payee":7}`, `{"amount":1,"payee":"` + strings.Repeat("x", 1025) + `"}`, `{"amount":1,"idempotency_key":"x"}`,
		`{"amount":1,"idempotencyKey":""}`, `{"amount":1,"idempotencyKey":"ключ"}`, `{"amount":1,"idempotencyKey":"` + strings.Repeat("x", 256) + `"}`, `[]`, `null`, ``,
	} {
		v.refuse(400, "INVALID_REQUEST", "", "POST", path, body)
	}
	poor := v.payer("10", m{"maxPerTransaction": 1000})
	v.call(200, "POST", "/agents/"+poor+"/wallet/spend", `{"amount":10.000001}`, fmt.Sprintf(valtaRefused, "insufficientFunds"))
	v.call(200, "POST", "/agents/"+poor+"/wallet/spend", `{"amount":10}`, fmt.Sprintf(valtaApproved, "0"))
	bare := v.agent("bare")
	v.api.Call("POST", valtaPrefix+"/agents/"+bare+"/wallet/deposit", m{"amount": 1}, nil)
	v.call(200, "POST", "/agents/"+bare+"/wallet/spend", `{"amount":1}`, fmt.Sprintf(valtaRefused, "noPolicy"))
}

func playValtaKeys(v valta) {
	a := v.payer("100", m{"maxPerTransaction": 50, "requireApprovalAbove": 40})
	path := "/agents/" + a + "/wallet/spend"
	first := v.call(200, "POST", path, `{"amount":5,"idempotencyKey":"order-1"}`, fmt.Sprintf(valtaApproved, "95"))
	parsed, err := id.Parse[id.AgentKind](a)
	if err != nil {
		v.t.Fatal(err)
	}
	native := "/agents/" + parsed.UUID().String() + "/wallet/spend" // another spelling of the address is the same payment
	for path, headers := range map[string][]string{path: {"Idempotency-Key: order-1"}, native: {"Idempotency-Key: order-1"}} {
		same(v.t, first, v.call(200, "POST", path, `{"amount":5}`, fmt.Sprintf(valtaApproved, "95"), headers...))
	}
	same(v.t, first, v.call(200, "POST", path, `{"amount":5.00,"idempotencyKey":"order-1"}`, fmt.Sprintf(valtaApproved, "95"), "Idempotency-Key: order-1"))
	v.refuse(409, "CONFLICT", "", "POST", path, `{"amount":6,"idempotencyKey":"order-1"}`)
	v.refuse(400, "INVALID_REQUEST", "idempotencyKey", "POST", path, `{"amount":5,"idempotencyKey":"order-1"}`, "Idempotency-Key: order-2")
	v.call(200, "POST", path, `{"amount":51,"idempotencyKey":"order-3"}`, fmt.Sprintf(valtaRefused, "maxPerTransaction"))
	v.call(200, "POST", path, `{"amount":51,"idempotencyKey":"order-3"}`, fmt.Sprintf(valtaRefused, "maxPerTransaction"))
	waits := v.call(200, "POST", path, `{"amount":40,"idempotencyKey":"order-4"}`, valtaParked)
	same(v.t, waits, v.call(200, "POST", path, `{"amount":40,"idempotencyKey":"order-4"}`, valtaParked))
	v.api.Call("POST", valtaPrefix+"/approvals/"+waits["requestId"].(string)+"/approve", nil, nil)
	v.call(200, "POST", path, `{"amount":40,"idempotencyKey":"order-4"}`, fmt.Sprintf(valtaApproved, "55"))
	v.balance(a, "55")

	var deposits [2]map[string]any
	for i := range deposits {
		deposits[i] = v.call(200, "POST", "/agents/"+a+"/wallet/deposit", `{"amount":1}`, `{"transactionId":"<tx>","balance":56}`, "Idempotency-Key: top-up")
	}
	same(v.t, deposits[0], deposits[1])

	// Many at once under one key are one payment.
	var paid sync.Map
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			a := v.api.In(v.t).Do("POST", valtaPrefix+path, `{"amount":1,"idempotencyKey":"at-once"}`)
			var got struct{ TransactionID string }
			_ = json.Unmarshal(a.Body, &got)
			paid.Store(got.TransactionID, a.Status)
		})
	}
	group.Wait()
	n := 0
	paid.Range(func(tx, status any) bool {
		n++
		return tx != "" && status == 200
	})
	same(v.t, 1, n)
	v.balance(a, "55")
}

func playValtaTransfers(v valta) {
	a, b := v.payer("40", m{"maxPerTransaction": 20, "dailyLimit": 30, "requireApprovalAbove": 15}), v.agent("receiver")
	transfer := func(from, to string, amount any) m {
		return m{"fromAgentId": from, "toAgentId": to, "amount": amount, "description": "Share"}
	}
	const done = `{"transactionId":"<tx>","fromBalance":%s,"toBalance":%s}`
	v.call(200, "POST", "/wallet/transfer", transfer(a, b, 14.5), fmt.Sprintf(done, "25.5", "14.5"))
	v.refuse(403, "FORBIDDEN", "maxPerTransaction", "POST", "/wallet/transfer", transfer(a, b, 21))
	v.refuse(403, "FORBIDDEN", "requireApprovalAbove", "POST", "/wallet/transfer", transfer(a, b, 15))
	v.refuse(403, "FORBIDDEN", "dailyLimit", "POST", "/wallet/transfer", transfer(a, b, 14.99+0.51+0.01)) // 14.5 and this are over 30
	v.refuse(403, "FORBIDDEN", "noPolicy", "POST", "/wallet/transfer", transfer(b, a, 1))
	v.refuse(403, "FORBIDDEN", "insufficientFunds", "POST", "/wallet/transfer", transfer(v.payer("1", m{"dailyLimit": 30}), b, 2))
	v.refuse(404, "NOT_FOUND", "", "POST", "/wallet/transfer", transfer(a, nobodysAgent, 1))
	v.refuse(404, "NOT_FOUND", "", "POST", "/wallet/transfer", transfer(nobodysAgent, b, 1))
	v.refuse(404, "NOT_FOUND", "", "POST", "/wallet/transfer", transfer(a, "nonsense", 1))
	v.refuse(400, "INVALID_REQUEST", "toAgentId", "POST", "/wallet/transfer", transfer(a, a, 1))
	v.refuse(400, "INVALID_REQUEST", "toAgentId", "POST", "/wallet/transfer", m{"fromAgentId": a, "amount": 1})
	v.refuse(400, "INVALID_REQUEST", "amount", "POST", "/wallet/transfer", m{"fromAgentId": a, "toAgentId": b})
	v.refuse(400, "INVALID_REQUEST", "amount", "POST", "/wallet/transfer", transfer(a, b, -1))
	keyed := transfer(a, b, 0.5)
	keyed["idempotencyKey"] = "share-1"
	first := v.call(200, "POST", "/wallet/transfer", keyed, fmt.Sprintf(done, "25", "15"))
	same(v.t, first, v.call(200, "POST", "/wallet/transfer", keyed, fmt.Sprintf(done, "25", "15")))
	v.balance(a, "25")
	v.balance(b, "15")
	v.call(200, "GET", "/agents/"+b+"/wallet/transactions?limit=1", nil, `{"data":[{"id":"`+first["transactionId"].(string)+`","agentId":"`+b+
		`","type":"transfer_in","amount":0.5,"currency":"USDC","payee":"`+a+`","category":null,"description":"Share","balanceAfter":15,"createdAt":"<time>"}],"total":2,"page":1,"limit":1}`)
}

func playValtaFreeze(v valta) {
	a, b := v.payer("50", m{"maxPerTransaction": 50, "requireApprovalAbove": 20}), v.payer("5", m{"dailyLimit": 5})
	request := v.call(200, "POST", "/agents/"+a+"/wallet/spend", m{"amount": 20}, valtaParked)["requestId"].(string)
	for range 2 {
		v.call(200, "POST", "/agents/"+a+"/freeze", nil, `{"success":true,"agentId":"`+a+`","status":"frozen"}`)
	}
	v.call(200, "GET", "/agents/"+a, nil, fmt.Sprintf(valtaAgent, "payer", "frozen"))
	v.call(200, "GET", "/agents/"+a+"/wallet", nil, `{"walletId":"<wal>","agentId":"`+a+`","balance":50,"held":0,"available":50,"currency":"USDC","status":"frozen"}`)
	for path, body := range map[string]m{
		"/agents/" + a + "/wallet/spend": {"amount": 1}, "/agents/" + a + "/wallet/deposit": {"amount": 1},
		"/agents/" + a + "/runs": {"task": "Say hello."}, "/agents/" + a + "/run": {"task": "Say hello."},
	} {
		v.refuse(403, "AGENT_FROZEN", "frozen", "POST", path, body)
	}
	v.refuse(403, "AGENT_FROZEN", "frozen", "POST", "/wallet/transfer", m{"fromAgentId": a, "toAgentId": b, "amount": 1})
	v.refuse(403, "AGENT_FROZEN", "frozen", "POST", "/wallet/transfer", m{"fromAgentId": b, "toAgentId": a, "amount": 1})
	v.refuse(409, "CONFLICT", "", "POST", "/approvals/"+request+"/approve", nil)
	v.call(200, "GET", "/agents/"+a+"/runs", nil, `{"data":[],"total":0,"page":1,"limit":20}`)
	v.balance(b, "5")
	for range 2 {
		v.call(200, "POST", "/agents/"+a+"/unfreeze", nil, `{"success":true,"agentId":"`+a+`","status":"active"}`)
	}
	v.call(200, "POST", "/agents/"+a+"/wallet/spend", m{"amount": 1}, fmt.Sprintf(valtaApproved, "49"))
	for _, verb := range []string{"freeze", "unfreeze"} {
		v.refuse(404, "NOT_FOUND", "", "POST", "/agents/"+nobodysAgent+"/"+verb, nil)
		v.refuse(404, "NOT_FOUND", "", "POST", "/agents/nonsense/"+verb, nil)
	}
}

func playValtaPolicies(v valta) {
	a := v.agent("ruled")
	path := "/agents/" + a + "/policy"
	shown := func(limits string) string {
		return `{"id":"<pol>","agentId":"` + a + `",` + limits + `,"createdAt":"<time>","updatedAt":"<time>"}`
	}
	v.call(200, "GET", path, nil, `null`)
	v.refuse(404, "NOT_FOUND", "", "PATCH", path, m{"dailyLimit": 1})
	v.refuse(404, "NOT_FOUND", "", "DELETE", path, nil)
	for _, body := range []string{
		`{"maxPerTransaction":-1}`, `{"dailyLimit":"much"}`, `{"allowedDomains":"a.example"}`, `{"allowedDomains":[1]}`, `{"blockedDomains":["not a host"]}`,
		`{"requireApprovalAbove":26,"maxPerTransaction":25}`, `{"monthlyLimit":0.0000001}`, `{"dailyLimit":true}`, `{"maxPerTransacton":5}`, `{"currency":"EUR"}`,
		`{"blockedCategories":[""]}`, `{"dailyLimit":1e13}`, `[]`, `null`, `"x"`, ``,
	} {
		v.refuse(400, "INVALID_REQUEST", "", "POST", path, body)
	}
	v.refuse(400, "INVALID_REQUEST", "requireApprovalAbove", "POST", path, `{"requireApprovalAbove":26,"maxPerTransaction":25}`)
	v.refuse(400, "INVALID_REQUEST", "blockedDomains", "POST", path, `{"blockedDomains":["not a host"]}`)
	v.call(200, "GET", path, nil, `null`)

	const all = `"maxPerTransaction":50,"dailyLimit":100.5,"monthlyLimit":500,"requireApprovalAbove":25,"blockedCategories":["gambling"],"allowedDomains":["a.example"],"blockedDomains":["b.example"]`
	made := v.call(200, "POST", path, `{`+all+`}`, shown(all))
	v.call(200, "GET", path, nil, shown(all))
	v.call(200, "PATCH", path, `{"dailyLimit":75}`, shown(strings.Replace(all, "100.5", "75", 1)))
	v.call(200, "PATCH", path, `{"dailyLimit":null,"allowedDomains":null,"blockedDomains":[]}`,
		shown(`"maxPerTransaction":50,"dailyLimit":null,"monthlyLimit":500,"requireApprovalAbove":25,"blockedCategories":["gambling"],"allowedDomains":[],"blockedDomains":[]`))
	v.refuse(400, "INVALID_REQUEST", "requireApprovalAbove", "PATCH", path, `{"maxPerTransaction":24.999999}`)

	// What the native API alone knows survives; the rest is replaced.
	v.api.Call("PATCH", "/v1/policies/"+made["id"].(string), m{"limits": m{"hourly_limit": usdc("7")}}, nil)
	bare := shown(`"maxPerTransaction":null,"dailyLimit":0,"monthlyLimit":null,"requireApprovalAbove":null,"blockedCategories":[],"allowedDomains":[],"blockedDomains":[]`)
	same(v.t, made["id"], v.call(200, "POST", path, `{"dailyLimit":0}`, bare)["id"])
	var native struct {
		Limits struct {
			HourlyLimit *money `json:"hourly_limit"`
		}
	}
	v.api.Call("GET", "/v1/policies/"+made["id"].(string), nil, &native)
	same(v.t, &money{"7.00", "USDC"}, native.Limits.HourlyLimit)
	v.call(200, "DELETE", path, nil, `{"success":true}`)
	v.call(200, "GET", path, nil, `null`)

	// Policies of the native API that hold for the agent alone: the oldest that bites is the agent's; those for all are not.
	v.api.Call("POST", "/v1/policies", m{"scope": m{"agent_id": a}, "mode": "observe", "limits": m{"daily_limit": usdc("1")}}, nil)
	v.call(200, "GET", path, nil, `null`)
	v.call(200, "POST", path, `{"dailyLimit":2}`, `"<any>"`)
	v.api.Call("POST", "/v1/policies", m{"scope": m{"agent_id": a}, "limits": m{"daily_limit": usdc("3")}}, nil)
	same(v.t, json.Number("2"), v.call(200, "GET", path, nil, `"<any>"`)["dailyLimit"])
	v.call(200, "DELETE", path, nil, `{"success":true}`)
	same(v.t, json.Number("3"), v.call(200, "GET", path, nil, `"<any>"`)["dailyLimit"])

	// However many set a policy at once, there is one.
	b := v.agent("hurried")
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() { v.api.In(v.t).Do("POST", valtaPrefix+"/agents/"+b+"/policy", m{"dailyLimit": i}) })
	}
	group.Wait()
	same(v.t, 1, len(apptest.All[m](v.api, "/v1/policies?agent_id="+b)))
}

func playValtaApprovals(v valta) {
	a := v.payer("300", m{"maxPerTransaction": 80, "requireApprovalAbove": 50, "dailyLimit": 110})
	spend := func(amount any) string {
		return v.call(200, "POST", "/agents/"+a+"/wallet/spend", m{"amount": amount, "payee": "vendor.example", "description": "Seats"}, valtaParked)["requestId"].(string)
	}
	shown := func(request, status, by, at, note string) string {
		return `{"id":"` + request + `","agentId":"` + a + `","action":"payment","amount":50.5,"payee":"vendor.example","description":"Seats","rule":"requireApprovalAbove","reason":"<text>",` +
			`"status":"` + status + `","decidedBy":` + by + `,"decidedAt":` + at + `,"note":` + note + `,"expiresAt":"<time>","createdAt":"<time>"}`
	}
	first := spend(50.5)
	v.call(200, "GET", "/approvals/"+first, nil, shown(first, "pending", "null", "null", "null"))
	v.call(200, "GET", "/approvals?status=pending&agentId="+a, nil, `{"data":[`+shown(first, "pending", "null", "null", "null")+`],"total":1,"page":1,"limit":20}`)
	v.call(200, "POST", "/approvals/"+first+"/approve", nil, shown(first, "approved", `"<key>"`, `"<time>"`, "null"))
	v.balance(a, "249.5")
	v.refuse(409, "CONFLICT", "", "POST", "/approvals/"+first+"/approve", nil)
	v.refuse(409, "CONFLICT", "", "POST", "/approvals/"+first+"/deny", nil)
	second := spend(50.5)
	v.refuse(400, "INVALID_REQUEST", "", "POST", "/approvals/"+second+"/deny", `{"reason":7}`)
	v.call(200, "POST", "/approvals/"+second+"/deny", `{"reason":"not now"}`, shown(second, "denied", `"<key>"`, `"<time>"`, `"not now"`))
	v.balance(a, "249.5")
	v.call(200, "GET", "/approvals?status=pending&agentId="+a, nil, `{"data":[],"total":0,"page":1,"limit":20}`)
	v.call(200, "GET", "/approvals?agentId="+a+"&limit=1&page=2", nil, `{"data":["<any>"],"total":2,"page":2,"limit":1}`)

	// What is over another limit by the time of the approval is denied, and the approval with it.
	third := spend(50.5)
	v.call(200, "PATCH", "/agents/"+a+"/policy", m{"dailyLimit": 60}, `"<any>"`)
	got := v.call(200, "POST", "/approvals/"+third+"/approve", nil, `"<any>"`)
	if got["status"] != "denied" || !strings.Contains(fmt.Sprint(got["note"]), "dailyLimit") {
		v.t.Errorf("an approval that came too late is %v", got)
	}
	v.balance(a, "249.5")
	for _, verb := range []string{"/approve", "/deny", ""} {
		method := "POST"
		if verb == "" {
			method = "GET"
		}
		v.refuse(404, "NOT_FOUND", "", method, "/approvals/01890000-0000-7000-8000-00000000dead"+verb, nil)
		v.refuse(404, "NOT_FOUND", "", method, "/approvals/nonsense"+verb, nil)
	}
}

func playValtaRuns(v valta) {
	a := v.payer("100", m{"maxPerTransaction": 80, "requireApprovalAbove": 50})
	runs := "/agents/" + a + "/runs"
	shown := func(status, summary, failure, ended, ms string) string {
		return `{"id":"<run>","agentId":"` + a + `","status":"` + status + `","summary":` + summary + `,"error":` + failure + `,"startedAt":"<time>","completedAt":` + ended +
			`,"durationMs":` + ms + `}`
	}
	completed := shown("completed", `"<text>"`, "null", `"<time>"`, `"<number>"`)
	first := v.call(201, "POST", runs, m{"task": "Say hello.", "context": "Briefly.", "unknown": 1}, completed)
	second := v.call(201, "POST", "/agents/"+a+"/run", m{"task": "Say hello.", "context": nil}, completed)
	same(v.t, second, v.call(200, "GET", runs+"/"+second["id"].(string), nil, completed))
	v.call(200, "GET", runs+"?status=completed&limit=1&page=2", nil, `{"data":[`+completed+`],"total":2,"page":2,"limit":1}`)
	v.call(200, "GET", runs+"?status=failed", nil, `{"data":[],"total":0,"page":1,"limit":20}`)

	started := v.call(201, "POST", runs+"?wait=0", m{"task": "Say hello."}, shown("<text>", `"<any>"`, "null", `"<any>"`, `"<any>"`))
	for deadline := time.Now().Add(time.Minute); ; {
		got := v.call(200, "GET", runs+"/"+started["id"].(string), nil, `"<any>"`)
		if got["status"] == "completed" {
			break
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("the run is %v", got)
		}
		time.Sleep(5 * time.Millisecond) // polls, as callers with wait=0 do
	}

	failed := v.call(201, "POST", runs, m{"task": "Pay 81 USDC to vendor.example for the yearly plan"}, shown("failed", `"<text>"`, `"<text>"`, `"<time>"`, `"<number>"`))
	if text := failed["error"].(string); !strings.Contains(text, "maxPerTransaction") || strings.Contains(text, "max_per_transaction") {
		v.t.Errorf("a run that a rule stopped says %q", text)
	}
	waiting := v.call(201, "POST", runs, m{"task": "Pay 60 USDC to vendor.example for the yearly plan"}, shown("waiting_approval", `"<any>"`, "null", "null", "null"))
	list := v.call(200, "GET", "/approvals?status=pending&agentId="+a, nil, `{"data":["<any>"],"total":1,"page":1,"limit":20}`)
	request := list["data"].([]any)[0].(map[string]any)["id"].(string)
	v.call(200, "POST", "/approvals/"+request+"/deny", nil, `"<any>"`)
	for deadline := time.Now().Add(time.Minute); ; {
		got := v.call(200, "GET", runs+"/"+waiting["id"].(string), nil, `"<any>"`)
		if got["status"] == "failed" {
			if !strings.Contains(fmt.Sprint(got["error"]), "requireApprovalAbove") {
				v.t.Errorf("a run whose approval was denied says %v", got["error"])
			}
			break
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("the run is %v", got)
		}
		time.Sleep(5 * time.Millisecond)
	}
	v.balance(a, "100")

	for _, body := range []string{`{}`, `{"task":""}`, `{"task":" "}`, `{"task":7}`, `{"task":null}`, `{"context":"x"}`, `{"task":"x","context":1}`, `[]`, ``} {
		v.refuse(400, "INVALID_REQUEST", "", "POST", runs, body)
	}
	for _, wait := range []string{"-1", "601", "x", "1.5", ""} {
		v.refuse(400, "INVALID_REQUEST", "query.wait", "POST", runs+"?wait="+wait, m{"task": "x"})
	}
	v.refuse(404, "NOT_FOUND", "", "POST", "/agents/"+nobodysAgent+"/runs", m{"task": "x"})
	v.refuse(404, "NOT_FOUND", "", "GET", "/agents/"+nobodysAgent+"/runs", nil)
	v.refuse(404, "NOT_FOUND", "", "GET", runs+"/run_00000000000000000000000001", nil)
	v.refuse(404, "NOT_FOUND", "", "GET", runs+"/nonsense", nil)
	v.refuse(404, "NOT_FOUND", "", "GET", "/agents/"+v.agent("other")+"/runs/"+first["id"].(string), nil)
}

func playValtaAudit(v valta) {
	a := v.payer("10", m{"maxPerTransaction": 5})
	v.call(200, "POST", "/agents/"+a+"/wallet/spend", m{"amount": 1.5, "payee": "vendor.example"}, fmt.Sprintf(valtaApproved, "8.5"))
	v.call(200, "POST", "/agents/"+a+"/wallet/spend", m{"amount": 6}, fmt.Sprintf(valtaRefused, "maxPerTransaction"))
	v.call(200, "POST", "/agents/"+a+"/freeze", nil, `"<any>"`)
	const entry = `{"id":"<ae>","action":"%s","agentId":"%s","userId":"<key>","metadata":"<any>","hash":"<hash>","previousHash":"<hash>","createdAt":"<time>"}`
	var want []string
	for _, action := range []string{
		"agent_frozen", "transaction_blocked", "transaction_completed", "policy_created", "transaction_completed", "agent_created",
	} {
		want = append(want, fmt.Sprintf(entry, action, a))
	}
	list := v.call(200, "GET", "/audit?agentId="+a, nil, `{"data":[`+strings.Join(want, ",")+`],"total":6,"page":1,"limit":20}`)["data"].([]any)
	blocked, paid := list[1].(map[string]any)["metadata"].(map[string]any), list[2].(map[string]any)["metadata"].(map[string]any)
	same(v.t, []any{"maxPerTransaction", json.Number("6")}, []any{blocked["rule"], blocked["amount"]})
	same(v.t, []any{json.Number("1.5"), "vendor.example"}, []any{paid["amount"], paid["payee"]})
	for name := range paid {
		if strings.Contains(name, "_") {
			v.t.Errorf("metadata has %q", name)
		}
	}
	frozen := list[0].(map[string]any)
	same(v.t, frozen, v.call(200, "GET", "/audit/"+frozen["id"].(string), nil, fmt.Sprintf(entry, "agent_frozen", a)))
	v.refuse(404, "NOT_FOUND", "", "GET", "/audit/01890000-0000-7000-8000-00000000dead", nil)
	v.refuse(404, "NOT_FOUND", "", "GET", "/audit/nonsense", nil)

	before := v.call(200, "GET", "/audit/verify", nil, `{"valid":true,"count":"<number>","head":"<hash>","firstBroken":null}`)
	newest := v.call(200, "GET", "/audit?limit=1", nil, `"<any>"`)
	same(v.t, before["head"], newest["data"].([]any)[0].(map[string]any)["hash"])
	same(v.t, before["count"], newest["total"])
	last := v.call(200, "GET", "/audit?limit=1&page="+before["count"].(json.Number).String(), nil, `"<any>"`)
	same(v.t, nil, last["data"].([]any)[0].(map[string]any)["previousHash"])
}

func playValtaRefusals(v valta) {
	v.refuse(404, "NOT_FOUND", "", "GET", "", nil)
	v.refuse(404, "NOT_FOUND", "", "GET", "/", nil)
	v.refuse(404, "NOT_FOUND", "", "GET", "/nothing", nil)
	v.refuse(404, "NOT_FOUND", "", "GET", "/v1/agents", nil)
	v.refuse(405, "METHOD_NOT_ALLOWED", "", "PUT", "/agents", m{})
	v.refuse(405, "METHOD_NOT_ALLOWED", "", "DELETE", "/account", nil)
	v.refuse(405, "METHOD_NOT_ALLOWED", "", "POST", "/audit/verify", nil)
	if a := v.api.Do("PUT", valtaPrefix+"/agents", nil); a.Header.Get("Allow") != "GET, POST, HEAD" {
		v.t.Errorf("Allow is %q", a.Header.Get("Allow"))
	}
	for _, body := range []string{`{"name": `, `{"name":"x"}{}`, "{\"name\":\"\xff\"}", `{"name":"a\u0000b"}`, `[]`, `null`, ``, `{"name":null}`, `{"name":7}`, `{"name":""}`, `{}`} {
		v.refuse(400, "INVALID_REQUEST", "", "POST", "/agents", body)
	}
	v.refuse(400, "INVALID_REQUEST", "name", "POST", "/agents", m{"name": strings.Repeat("x", 257)})
	v.refuse(413, "PAYLOAD_TOO_LARGE", "", "POST", "/agents", seventeenMB)
	a := v.api.Do("GET", valtaPrefix+"/account", nil)
	same(v.t, "-1", a.Header.Get("X-RateLimit-Limit"))
	v.call(200, "GET", "/account", nil, `{"plan":"unlimited","creditsRemaining":-1,"creditsTotal":-1,"resetsAt":"<time>"}`)
}

// TestValtaPlan plays what a plan limits: agents, credits, and requests over both faces together.
func TestValtaPlan(t *testing.T) {
	t.Parallel()
	scale := 1.0
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { c.Plan, c.RateLimitScale = account.PlanFree, &scale }})
	v := valta{t, s.Admin}
	month := time.Now().UTC()
	v.call(200, "GET", "/account", nil, `{"plan":"free","creditsRemaining":50,"creditsTotal":50,"resetsAt":"`+
		time.Date(month.Year(), month.Month()+1, 1, 0, 0, 0, 0, time.UTC).Format("2006-01-02T15:04:05.000Z")+`"}`)
	a := v.agent("one")
	v.agent("two")
	v.agent("three")
	v.refuse(403, "FORBIDDEN", "plan", "POST", "/agents", m{"name": "four"})
	runs := 0
	for ; runs < 20; runs++ {
		if got := v.api.Do("POST", valtaPrefix+"/agents/"+a+"/runs", m{"task": "Say hello."}); got.Status != 201 {
			break
		}
	}
	v.refuse(402, "CREDITS_EXHAUSTED", "credits", "POST", "/agents/"+a+"/runs", m{"task": "Say hello."})
	same(t, 16, runs) // of 3 credits each
	v.call(200, "GET", "/account", nil, `{"plan":"free","creditsRemaining":2,"creditsTotal":50,"resetsAt":"<time>"}`)

	limited := false
	for i := range 120 {
		path := [2]string{"/v1/account", valtaPrefix + "/account"}[i%2]
		if got := v.api.Do("GET", path, nil); got.Status == http.StatusTooManyRequests {
			limited = true
			break
		}
	}
	if !limited {
		t.Fatal("the two faces together have let more than a hundred requests through")
	}
	v.refuse(429, "RATE_LIMIT_EXCEEDED", "", "GET", "/account", nil)
	got := v.api.Do("GET", valtaPrefix+"/account", nil)
	if got.Header.Get("Retry-After") == "" || got.Header.Get("X-RateLimit-Limit") != "100" {
		t.Errorf("the headers of a refusal are %v", got.Header)
	}
}

// TestValtaScopes gives keys one scope each: what they may, they may here too.
func TestValtaScopes(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	owner := valta{t, s.Admin}
	a := owner.payer("10", m{"dailyLimit": 5})
	for _, row := range []struct {
		scope        string
		may, mustNot [][3]string // method, path, body
	}{
		{"agents:read", [][3]string{{"GET", "/agents", ""}, {"GET", "/agents/" + a + "/runs", ""}, {"GET", "/account", ""}},
			[][3]string{{"POST", "/agents", `{"name":"x"}`}, {"POST", "/agents/" + a + "/freeze", ""}, {"POST", "/agents/" + a + "/runs", `{"task":"x"}`}, {"GET", "/agents/" + a + "/wallet", ""}}},
		{"agents:write", [][3]string{{"POST", "/agents", `{"name":"x"}`}, {"POST", "/agents/" + a + "/run", `{"task":"Say hello."}`}},
			[][3]string{{"GET", "/agents", ""}, {"POST", "/agents/" + a + "/wallet/deposit", `{"amount":1}`}}},
		{"wallets:write", [][3]string{{"POST", "/agents/" + a + "/wallet/spend", `{"amount":1}`}},
			[][3]string{{"GET", "/agents/" + a + "/wallet", ""}, {"POST", "/agents/" + a + "/policy", `{}`}}},
		{"policies:read", [][3]string{{"GET", "/agents/" + a + "/policy", ""}}, [][3]string{{"DELETE", "/agents/" + a + "/policy", ""}}},
		{"audit:read", [][3]string{{"GET", "/audit", ""}, {"GET", "/audit/verify", ""}}, [][3]string{{"GET", "/approvals", ""}}},
		{"approvals", [][3]string{{"GET", "/approvals", ""}}, [][3]string{{"GET", "/audit", ""}}},
	} {
		var made struct{ Key string }
		s.Admin.Call("POST", "/v1/api_keys", m{"scopes": []string{row.scope}}, &made)
		clerk := valta{t, s.As(made.Key)}
		body := func(text string) any {
			if text == "" {
				return nil
			}
			return text
		}
		for _, c := range row.may {
			clerk.api.Call(c[0], valtaPrefix+c[1], body(c[2]), nil)
		}
		for _, c := range row.mustNot {
			clerk.refuse(403, "FORBIDDEN", "scope", c[0], c[1], body(c[2]))
		}
	}
	for _, key := range []string{"", "nonsense"} {
		(valta{t, s.As(key)}).refuse(401, "UNAUTHORISED", "", "GET", "/agents", nil)
	}
}
