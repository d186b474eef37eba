package x402

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payment"
	"github.com/bureau-agents/bureau/ports/payment/paymenttest"
)

const (
	testKey  = "0x0000000000000000000000000000000000000000000000000000000000000001"
	payer    = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"
	receiver = "0xfa3f54ae9c4287ca09a486dfaface7d1d4095d93"
	token    = "0x036cbd53842c5426634e7929541ec2318f3dcf7e"
	network  = "eip155:84532"
)

// shop is a server that wants to be paid, and the network on which it is: it verifies what it gets as a token's contract would.
type shop struct {
	*httptest.Server
	version int
	price   string
	token   string

	mu      sync.Mutex
	now     time.Time
	taken   map[string]*big.Int // by nonce
	served  int
	seen    []string // nonces, at every try
	fails   paymenttest.Fault
	answer  int  // with which a payment is answered; 0 is 200
	silent  bool // no settlement header
	greedy  bool // says that it did not settle, and takes the money all the same
	refuses bool // takes nothing and asks to be paid again
}

func newShop(t *testing.T, version int) *shop {
	s := &shop{version: version, price: "2000000", token: token, now: time.Unix(1_800_000_000, 0), taken: map[string]*big.Int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	switch r.URL.Path {
	case "/free":
		_, _ = fmt.Fprintf(w, "free %s %s", r.Method, body)
		return
	case "/moved":
		http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		return
	case "/rpc":
		s.rpc(w, body)
		return
	}
	header, response := headerSignature, headerResponse
	if s.version == 1 {
		header, response = headerSignature1, headerResponse1
	}
	text := r.Header.Get(header)
	if text == "" || s.refuses {
		s.ask(w)
		return
	}
	fails := s.fails
	s.fails = paymenttest.None
	if fails == paymenttest.Before {
		panic(http.ErrAbortHandler)
	}
	nonce, value, why := s.verify(text)
	if why != "" {
		http.Error(w, why, http.StatusBadRequest)
		return
	}
	if s.answer != http.StatusServiceUnavailable {
		s.taken[nonce] = value
	}
	if fails == paymenttest.After {
		panic(http.ErrAbortHandler)
	}
	if !s.silent {
		b, _ := json.Marshal(settlementWire{Success: !s.greedy, Transaction: "0x" + nonce[2:10], ErrorReason: "none of your business"})
		w.Header().Set(response, base64.StdEncoding.EncodeToString(b))
	}
	w.Header().Set("Content-Type", "text/plain")
	if s.answer != 0 {
		w.WriteHeader(s.answer)
	}
	s.served++
	_, _ = fmt.Fprintf(w, "goods for %s", body)
}

func (s *shop) offer() map[string]any {
	o := map[string]any{
		"scheme": "exact", "network": network, "amount": s.price, "asset": s.token, "payTo": receiver, "maxTimeoutSeconds": 60,
		"extra": map[string]string{"name": "USDC", "version": "2"},
	}
	if s.version == 1 {
		delete(o, "amount")
		o["network"], o["maxAmountRequired"], o["description"] = "base-sepolia", s.price, "the goods"
	}
	return o
}

func (s *shop) ask(w http.ResponseWriter) {
	other := s.offer()
	other["asset"] = "0x0000000000000000000000000000000000000bad"
	doc := map[string]any{"x402Version": s.version, "error": "pay", "accepts": []any{other, s.offer()}}
	if s.version == 2 {
		doc["resource"] = map[string]string{"url": s.URL, "description": "the goods"}
	}
	b, _ := json.Marshal(doc)
	if s.version == 2 {
		w.Header().Set(headerRequired, base64.StdEncoding.EncodeToString(b))
		b = []byte("{}")
	}
	w.WriteHeader(http.StatusPaymentRequired)
	_, _ = w.Write(b)
}

// verify checks a payment as the token's contract does.
func (s *shop) verify(text string) (nonce string, value *big.Int, why string) {
	var p struct {
		Version         int             `json:"x402Version"`
		Scheme, Network string          `json:",omitempty"`
		Accepted        json.RawMessage `json:"accepted"`
		Payload         payloadWire
	}
	if !decode64(text, &p) || p.Version != s.version {
		return "", nil, "not a payment"
	}
	if s.version == 1 && (p.Scheme != "exact" || p.Network != "base-sepolia") {
		return "", nil, "another network"
	}
	want, _ := json.Marshal(s.offer())
	if s.version == 2 && string(p.Accepted) != string(want) {
		return "", nil, "another offer"
	}
	a := p.Payload.Authorization
	s.seen = append(s.seen, a.Nonce)
	after, _ := strconv.ParseInt(a.ValidAfter, 10, 64)
	before, _ := strconv.ParseInt(a.ValidBefore, 10, 64)
	value, _ = new(big.Int).SetString(a.Value, 10)
	raw, _ := hex.DecodeString(strings.TrimPrefix(a.Nonce, "0x"))
	signature, _ := hex.DecodeString(strings.TrimPrefix(p.Payload.Signature, "0x"))
	if len(raw) != 32 || a.From != payer || a.To != receiver || a.Value != s.price {
		return "", nil, "another authorization"
	}
	if s.now.Unix() <= after || s.now.Unix() >= before {
		return "", nil, "out of its time"
	}
	digest := domain{"USDC", "2", big.NewInt(84532), must(parseAddress(s.token))}.digest(authorization{
		from: must(parseAddress(a.From)), to: must(parseAddress(a.To)), value: value, validAfter: after, expires: before, nonce: hash(raw),
	}.hash())
	if by, err := recoverSigner(digest, signature); err != nil || by.String() != payer {
		return "", nil, "signed by somebody else"
	}
	return a.Nonce, value, ""
}

// rpc is a node of the network.
func (s *shop) rpc(w http.ResponseWriter, body []byte) {
	var q struct {
		Method string
		Params []json.RawMessage
	}
	_ = json.Unmarshal(body, &q)
	answer := func(v any) { _ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": 1, "result": v}) }
	switch q.Method {
	case "eth_getBlockByNumber":
		answer(map[string]string{"number": "0x10", "timestamp": "0x" + strconv.FormatInt(s.now.Unix(), 16)})
	case "eth_call":
		var call struct{ To, Data string }
		_ = json.Unmarshal(q.Params[0], &call)
		state := "0"
		for nonce := range s.taken {
			if call.To == s.token && call.Data == "0xe94a0102"+strings.Repeat("0", 24)+payer[2:]+nonce[2:] {
				state = "1"
			}
		}
		answer("0x" + strings.Repeat("0", 63) + state)
	default:
		http.Error(w, "?", http.StatusBadRequest)
	}
}

func (s *shop) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *shop) time() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// rail returns a rail that reaches the shop; with rpc it can ask the network.
func (s *shop) rail(t *testing.T, rpc bool) *Rail {
	t.Helper()
	guarded, err := egress.New(egress.Config{Allow: []string{s.Listener.Addr().String()}, MaxRedirects: -1})
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		PrivateKey: testKey, Assets: []Asset{{Network: network, Address: token, Currency: money.USDC, Decimals: 6}},
		HTTP: guarded.HTTPClient(), Now: s.time,
	}
	if rpc {
		c.RPC = map[string]string{network: s.URL + "/rpc"}
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// charge returns the charge of what the shop wants for a request.
func (s *shop) charge(t *testing.T, r *Rail, key string) payment.Charge {
	t.Helper()
	a, err := r.Fetch(t.Context(), payment.Request{Method: http.MethodPost, URL: s.URL + "/paid", Body: "me"})
	if err != nil || a.Quote == nil {
		t.Fatalf("no quote: %+v, %v", a, err)
	}
	return payment.Charge{
		Key: key, Amount: a.Quote.Amount, Payee: a.Quote.Payee, Target: a.Quote.Target, First: s.time(), Last: s.time(),
	}
}

func TestRail(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			t.Parallel()
			paymenttest.Run(t, paymenttest.Config{New: func(t *testing.T) paymenttest.World {
				s := newShop(t, version)
				r := s.rail(t, true)
				nonce := func(key string) string {
					n := keccak([]byte("bureau x402 authorization\n" + key))
					return "0x" + hex.EncodeToString(n[:])
				}
				return paymenttest.World{
					Rail: r, Charge: s.charge(t, r, ""), Now: s.time,
					Impossible: func(c *payment.Charge) { c.Amount.Micros++ },
					Moved: func(key string) (int, int64) {
						s.mu.Lock()
						defer s.mu.Unlock()
						if v, ok := s.taken[nonce(key)]; ok {
							return 1, v.Int64()
						}
						return 0, 0
					},
					Fail: func(f paymenttest.Fault) { s.fails = f },
				}
			}})
		})
	}
}

// TestQuote reads what servers ask for, whatever it is.
func TestQuote(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		s := newShop(t, version)
		r := s.rail(t, false)
		host := must(url.Parse(s.URL)).Hostname()
		a, err := r.Fetch(t.Context(), payment.Request{Method: "GET", URL: s.URL + "/paid"})
		if err != nil || a.Quote == nil || a.Quote.Amount != money.Of(2_000_000, money.USDC) || a.Quote.Payee != host ||
			a.Quote.Description != "the goods" {
			t.Fatalf("v%d: %+v, %v", version, a.Quote, err)
		}
		var target map[string]any
		if err := json.Unmarshal(a.Quote.Target, &target); err != nil || target["pay_to"] != receiver || target["network"] != network || target["asset"] != token {
			t.Errorf("v%d: the target is %s", version, a.Quote.Target)
		}
		for _, bad := range []struct{ price, token string }{
			{"2000000", "0x0000000000000000000000000000000000000bad"}, {"0", token}, {"-1", token}, {"1.5", token}, {"", token},
			{"9223372036854775808", token}, {strings.Repeat("9", 200), token}, {"2000000", "0x12"},
		} {
			s.price, s.token = bad.price, bad.token
			if a, err := r.Fetch(t.Context(), payment.Request{Method: "GET", URL: s.URL + "/paid"}); !errors.Is(err, ErrNoOffer) {
				t.Errorf("v%d: %+v is quoted %+v, %v", version, bad, a.Quote, err)
			}
		}
	}
}

func TestFetchWithoutPayment(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	r := s.rail(t, false)
	for path, want := range map[string]string{
		"/free":  `{"status":200,"headers":{"content-type":"text/plain; charset=utf-8"},"body":"free POST x"}`,
		"/moved": `{"status":302,"headers":{"location":"http://elsewhere.example/"},"body":""}`,
	} {
		a, err := r.Fetch(t.Context(), payment.Request{Method: "POST", URL: s.URL + path, Body: "x"})
		if err != nil || a.Quote != nil || string(a.Result) != want {
			t.Errorf("%s: %s, %v", path, a.Result, err)
		}
	}
	for _, bad := range []payment.Request{
		{Method: "PUT", URL: s.URL}, {Method: "GET", URL: "ftp://vendor.example/"}, {Method: "GET", URL: "vendor.example"},
		{Method: "GET", URL: s.URL, Body: "x"}, {Method: "GET", URL: s.URL, Header: map[string]string{"x-payment": "x"}},
		{Method: "GET", URL: "http://user:pass@vendor.example/"}, {Method: "GET", URL: s.URL, Header: map[string]string{"payment-signature": "x"}},
	} {
		if _, err := r.Fetch(t.Context(), bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v is sent: %v", bad, err)
		}
	}
	for _, private := range []string{"http://127.0.0.1:1/", "http://169.254.169.254/latest/meta-data", "http://[::1]/"} {
		if _, err := r.Fetch(t.Context(), payment.Request{Method: "GET", URL: private}); !errors.Is(err, egress.ErrBlocked) {
			t.Errorf("%s: %v", private, err)
		}
	}
}

// TestOpen follows charges whose outcome the server leaves open: what the network says decides, and nothing is paid twice.
func TestOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		shop  func(s *shop)
		rpc   bool
		later payment.Status // while the authorization holds
		end   payment.Status // when it has expired
	}{
		{"taken and 500", func(s *shop) { s.answer, s.silent = 500, true }, true, payment.Succeeded, payment.Succeeded},
		{"taken and 500, nobody to ask", func(s *shop) { s.answer, s.silent = 500, true }, false, payment.Absent, payment.Pending},
		{"503 and not taken", func(s *shop) { s.answer, s.silent = 503, true }, true, payment.Absent, payment.Declined},
		{"refused", func(s *shop) { s.refuses = true }, true, payment.Absent, payment.Declined},
		{"refused, nobody to ask", func(s *shop) { s.refuses = true }, false, payment.Absent, payment.Pending},
		{"said not to be taken, and taken", func(s *shop) { s.greedy = true }, true, payment.Succeeded, payment.Succeeded},
		{"cut off", func(s *shop) { s.fails = paymenttest.After }, true, payment.Succeeded, payment.Succeeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, 2)
			r := s.rail(t, c.rpc)
			charge := s.charge(t, r, "key")
			c.shop(s)
			if got, err := r.Charge(t.Context(), charge); err == nil || errors.Is(err, payment.ErrDeclined) {
				t.Fatalf("charged: %+v, %v", got, err)
			}
			if got, err := r.Lookup(t.Context(), charge); err != nil || got.Status != c.later {
				t.Errorf("meanwhile: %+v, %v; want %s", got, err, c.later)
			}
			s.pass(20 * time.Second)
			if c.later == payment.Absent {
				again := charge
				again.Last = s.time()
				_, _ = r.Charge(t.Context(), again) // the outcome is the same
			}
			s.pass(2 * time.Minute)
			if got, err := r.Lookup(t.Context(), charge); err != nil || got.Status != c.end {
				t.Errorf("in the end: %+v, %v; want %s", got, err, c.end)
			}
			for _, nonce := range s.seen {
				if nonce != s.seen[0] {
					t.Errorf("two authorizations were sent: %v", s.seen)
				}
			}
		})
	}
}

// TestSilent takes goods for a settlement, and what was answered with an error but settled for paid.
func TestSilent(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	r := s.rail(t, false)
	s.silent = true
	got, err := r.Charge(t.Context(), s.charge(t, r, "a"))
	if err != nil || got.Status != payment.Succeeded || got.Reference != "" || !strings.Contains(string(got.Result), "goods for me") {
		t.Errorf("goods without a word: %+v, %v", got, err)
	}
	s.silent, s.answer = false, 404
	got, err = r.Charge(t.Context(), s.charge(t, r, "b"))
	if err != nil || got.Status != payment.Succeeded || got.Reference == "" || !strings.Contains(string(got.Result), `"status":404`) {
		t.Errorf("settled, and an error: %+v, %v", got, err)
	}
	blocked := s.charge(t, r, "c")
	r.c.HTTP = must(egress.New(egress.Config{})).HTTPClient()
	if got, err := r.Charge(t.Context(), blocked); !errors.Is(err, payment.ErrDeclined) {
		t.Errorf("what never left: %+v, %v", got, err)
	}
	blocked.Last = blocked.First.Add(time.Second)
	if got, err := r.Charge(t.Context(), blocked); err == nil || errors.Is(err, payment.ErrDeclined) {
		t.Errorf("what an earlier try may have brought there: %+v, %v", got, err)
	}
}

// TestTakenAndGone pays a server that answers on a kept connection, takes the authorization on it, and is not there any more: net/http
// tries again by itself, and fails to connect. The server has the authorization, so the outcome is open.
func TestTakenAndGone(t *testing.T) {
	t.Parallel()
	s := newShop(t, 2)
	w := httptest.NewRecorder()
	s.ask(w)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		defer close(got)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		in := bufio.NewReader(conn)
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 402 Payment Required\r\n%s: %s\r\nContent-Length: 2\r\n\r\n{}", headerRequired, w.Header().Get(headerRequired))
		paid, err := http.ReadRequest(in)
		if err == nil {
			got <- paid.Header.Get(headerSignature)
		}
		_ = l.Close()
		_ = conn.Close()
	}()
	guarded := must(egress.New(egress.Config{Allow: []string{l.Addr().String()}, MaxRedirects: -1}))
	r := s.rail(t, false)
	r.c.HTTP = guarded.HTTPClient()
	a, err := r.Fetch(t.Context(), payment.Request{Method: http.MethodGet, URL: "http://" + l.Addr().String() + "/"})
	if err != nil || a.Quote == nil {
		t.Fatalf("no quote: %+v, %v", a, err)
	}
	_, err = r.Charge(t.Context(), payment.Charge{
		Key: "a", Amount: a.Quote.Amount, Payee: a.Quote.Payee, Target: a.Quote.Target, First: s.time(), Last: s.time(),
	})
	if nonce := <-got; nonce == "" {
		t.Fatal("the server has no authorization")
	}
	if err == nil || errors.Is(err, payment.ErrDeclined) {
		t.Errorf("a server that has the authorization: %v; want an open outcome", err)
	}
}

// TestHost shows policies one name of a host, however its URL is spelled.
func TestHost(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://Vendor.Example./x": "vendor.example", "https://ｖｅｎｄｏｒ.example/": "vendor.example", "http://[::ffff:192.0.2.1]:80/": "192.0.2.1",
		"https://b\u00fccher.example/": "xn--bcher-kva.example", "https://a..example/": "", "https://a b/": "",
	} {
		_, host, err := checkRequest(payment.Request{Method: http.MethodGet, URL: text})
		if host != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, host, err, want)
		}
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value    string
		decimals int
		want     int64 // 0: refused
	}{
		{"1", 6, 1}, {"1", 0, 1_000_000}, {"1", 2, 10_000}, {"1000000000000", 18, 1}, {"1000000000001", 18, 0}, {"999999999999", 18, 0},
		{"9223372036854775807", 6, 9223372036854775807}, {"9223372036854775808", 6, 0}, {"9223372036855", 0, 0},
	} {
		n, _ := new(big.Int).SetString(c.value, 10)
		got, err := amountOf(n, Asset{Currency: money.USDC, Decimals: c.decimals})
		if (err != nil) != (c.want == 0) || got.Micros != c.want {
			t.Errorf("%s with %d decimals: %d, %v; want %d", c.value, c.decimals, got.Micros, err, c.want)
		}
	}
}

// FuzzRequired reads what servers may answer.
func FuzzRequired(f *testing.F) {
	f.Add(`{"x402Version":1,"accepts":[{"scheme":"exact","network":"base","maxAmountRequired":"1","asset":"`+token+`","payTo":"`+receiver+`"}]}`, "")
	f.Add("", base64.StdEncoding.EncodeToString([]byte(`{"x402Version":2,"accepts":[{"scheme":"exact","network":"eip155:84532","amount":"1"}]}`)))
	f.Fuzz(func(t *testing.T, body, header string) {
		h := http.Header{headerRequired: {header}, headerResponse: {header}}
		_, _ = readSettlement(h)
		w, ok := readRequired(h, []byte(body))
		if !ok {
			return
		}
		r := &Rail{assets: map[assetKey]Asset{{84532, must(parseAddress(token))}: {Currency: money.USDC, Decimals: 6}}}
		for _, raw := range w.Accepts {
			o := order{targetWire: targetWire{Version: w.Version, Offer: raw}}
			if err := r.accept(&o); err == nil && o.amount.Micros <= 0 {
				t.Errorf("%s is accepted for %s", raw, o.amount)
			}
		}
	})
}
