package stripetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"
)

// What the server believes in.
const (
	Key           = "sk_test_bureau"
	WebhookSecret = "whsec_bureau"
	Customer      = "cus_bureau"
	PaymentMethod = "pm_bureau"
)

// Fault is what goes wrong with a request that changes something.
type Fault string

// The faults.
const (
	CutBefore Fault = "cut_before" // the connection ends before anything is done
	CutAfter  Fault = "cut_after"  // it ends after the work is done
	Error500  Fault = "500_before" // nothing is done
	Lost500   Fault = "500_after"  // the work is done, and the answer is an error
	Busy      Fault = "409"        // another request of the same key is at work
	Unhandled Fault = "429"
)

// Intent is one payment in the server's books.
type Intent struct {
	ID          string
	Key         string // idempotency key
	Amount      int64
	Currency    string
	Status      string
	Destination string
	Description string
	Metadata    map[string]string
	Refunded    int64
	Created     int64
	charge      string
}

// Server is the Stripe.
type Server struct {
	URL string
	// Now is the server's clock; it is changed before the first request only.
	Now func() time.Time

	mu      sync.Mutex
	hook    func(when, key string)
	intents []*Intent
	refunds map[string]int64 // by key
	faults  []Fault
	calls   map[string]int
	declare string // status of the next intent
}

// New starts a server that stops with the test.
func New(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{refunds: map[string]int64{}, calls: map[string]int{}, Now: time.Now}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/payment_intents", s.create)
	mux.HandleFunc("GET /v1/payment_intents", s.list)
	mux.HandleFunc("GET /v1/payment_intents/{id}", s.get)
	mux.HandleFunc("POST /v1/payment_intents/{id}/cancel", s.cancel)
	mux.HandleFunc("POST /v1/refunds", s.refund)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+Key {
			fail(w, http.StatusUnauthorized, "invalid_request_error", "", "Invalid API Key")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	tb.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	s.URL = h.URL
	return s
}

// OnCharge has hook called before a charge is made and after, with "before" or "after" and the key; it may wait. nil ends that.
func (s *Server) OnCharge(hook func(when, key string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// Fail makes the next requests that change something fail, in this order.
func (s *Server) Fail(f ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f...)
}

// Declare gives the next intents a status in place of succeeded; "" ends that.
func (s *Server) Declare(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.declare = status
}

// Finish gives an intent a status.
func (s *Server) Finish(key, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.intents {
		if i.Key == key {
			i.Status = status
		}
	}
}

// Return gives money of an intent back, as a person may in the dashboard.
func (s *Server) Return(key string, amount int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.intents {
		if i.Key == key {
			i.Refunded += amount
		}
	}
}

// Intents returns the books.
func (s *Server) Intents() []Intent {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Intent, len(s.intents))
	for i, p := range s.intents {
		out[i] = *p
	}
	return out
}

// Calls returns how often an operation was called: "create", "list", "get", "cancel", "refund".
func (s *Server) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Event returns a signed event about an intent, and the value of its Stripe-Signature header.
func (s *Server) Event(kind string, of Intent, at time.Time) (body []byte, signature string) {
	object := map[string]any{"id": of.ID, "object": "payment_intent", "metadata": of.Metadata, "status": of.Status}
	if strings.HasPrefix(kind, "charge.") {
		object = map[string]any{"id": of.charge, "object": "charge", "metadata": of.Metadata, "payment_intent": of.ID, "amount_refunded": of.Refunded}
	}
	body, err := json.Marshal(map[string]any{
		"id": "evt_" + of.ID, "object": "event", "type": kind, "api_version": "2020-08-27", "data": map[string]any{"object": object},
	})
	if err != nil {
		panic(err)
	}
	return body, webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: WebhookSecret, Timestamp: at}).Header
}

// fault takes the next fault, and ends the request when it strikes at once.
func (s *Server) fault(w http.ResponseWriter) (f Fault, ended bool) {
	s.mu.Lock()
	if len(s.faults) > 0 {
		f, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	switch f {
	case CutBefore:
		cut(w)
	case Error500:
		fail(w, http.StatusInternalServerError, "api_error", "", "something broke")
		return f, true
	case Busy:
		fail(w, http.StatusConflict, "idempotency_error", "idempotency_key_in_use", "another request is at work")
		return f, true
	case Unhandled:
		fail(w, http.StatusTooManyRequests, "invalid_request_error", "rate_limit", "too many requests")
		return f, true
	}
	return f, false
}

// cut ends the connection in the middle of an answer: before it, Go's client would try again by itself, as it does with every request
// that has an idempotency key.
func cut(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "1000")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush() // the client may have gone away
	panic(http.ErrAbortHandler)
}

// lost loses the answer after the work was done.
func (f Fault) lost(w http.ResponseWriter) bool {
	switch f {
	case CutAfter:
		cut(w)
	case Lost500:
		fail(w, http.StatusInternalServerError, "api_error", "", "something broke")
		return true
	}
	return false
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	s.count("create")
	if err := r.ParseForm(); err != nil {
		fail(w, http.StatusBadRequest, "invalid_request_error", "", err.Error())
		return
	}
	key := r.Header.Get("Idempotency-Key")
	s.hold("before", key)
	f, ended := s.fault(w)
	if ended {
		return
	}
	i, why := s.book(r, key)
	if why != "" {
		fail(w, http.StatusBadRequest, "invalid_request_error", "", why)
		return
	}
	s.hold("after", key)
	if f.lost(w) {
		return
	}
	if i.Status == "requires_payment_method" {
		fail(w, http.StatusPaymentRequired, "card_error", "card_declined", "Your card was declined.")
		return
	}
	write(w, http.StatusOK, i.wire())
}

// book enters an intent, or finds the one of its key.
func (s *Server) book(r *http.Request, key string) (Intent, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	amount, err := strconv.ParseInt(r.PostForm.Get("amount"), 10, 64)
	switch {
	case key == "":
		return Intent{}, "no idempotency key"
	case err != nil || amount < 50:
		return Intent{}, "Amount must be at least $0.50 usd"
	case r.PostForm.Get("customer") != Customer || r.PostForm.Get("payment_method") != PaymentMethod:
		return Intent{}, "No such customer or payment method"
	case r.PostForm.Get("confirm") != "true" || r.PostForm.Get("off_session") != "true":
		return Intent{}, "the intent is not confirmed off session"
	}
	for _, i := range s.intents {
		if i.Key == key {
			if i.Amount != amount || i.Currency != r.PostForm.Get("currency") {
				return Intent{}, "Keys for idempotent requests can only be used with the same parameters"
			}
			return *i, ""
		}
	}
	n := len(s.intents) + 1
	i := &Intent{
		ID: fmt.Sprintf("pi_%d", n), charge: fmt.Sprintf("ch_%d", n), Key: key, Amount: amount, Currency: r.PostForm.Get("currency"), Status: "succeeded",
		Destination: r.PostForm.Get("transfer_data[destination]"), Description: r.PostForm.Get("description"), Metadata: map[string]string{},
		Created: s.Now().Unix(),
	}
	for k, v := range r.PostForm {
		if name, ok := strings.CutPrefix(k, "metadata["); ok {
			i.Metadata[strings.TrimSuffix(name, "]")] = v[0]
		}
	}
	if s.declare != "" {
		i.Status = s.declare
	}
	if strings.HasPrefix(i.Metadata["payee"], "declined.") {
		i.Status = "requires_payment_method"
	}
	s.intents = append(s.intents, i)
	return *i, ""
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	s.count("list")
	q := r.URL.Query()
	from, _ := strconv.ParseInt(q.Get("created[gte]"), 10, 64)
	to, _ := strconv.ParseInt(q.Get("created[lte]"), 10, 64)
	var found []any
	more := false
	s.mu.Lock()
	after := q.Get("starting_after") == ""
	for n := len(s.intents) - 1; n >= 0; n-- { // newest first, in pages of two
		i := s.intents[n]
		switch {
		case !after:
			after = i.ID == q.Get("starting_after")
		case q.Get("customer") != Customer || i.Created < from || to != 0 && i.Created > to:
		case len(found) == 2:
			more = true
		default:
			found = append(found, i.wire())
		}
	}
	s.mu.Unlock()
	write(w, http.StatusOK, map[string]any{"object": "list", "data": found, "has_more": more, "url": "/v1/payment_intents"})
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	s.count("get")
	s.change(w, r.PathValue("id"), func(*Intent) {})
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request) {
	s.count("cancel")
	s.change(w, r.PathValue("id"), func(i *Intent) { i.Status = "canceled" })
}

func (s *Server) change(w http.ResponseWriter, id string, do func(*Intent)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.intents {
		if i.ID == id {
			do(i)
			write(w, http.StatusOK, i.wire())
			return
		}
	}
	fail(w, http.StatusNotFound, "invalid_request_error", "resource_missing", "No such payment_intent")
}

func (s *Server) refund(w http.ResponseWriter, r *http.Request) {
	s.count("refund")
	_ = r.ParseForm()
	f, ended := s.fault(w)
	if ended {
		return
	}
	key := r.Header.Get("Idempotency-Key")
	amount, _ := strconv.ParseInt(r.PostForm.Get("amount"), 10, 64)
	why := "No such payment_intent"
	s.mu.Lock()
	for _, i := range s.intents {
		if i.ID != r.PostForm.Get("payment_intent") {
			continue
		}
		_, done := s.refunds[key]
		switch {
		case done:
			why = ""
		case i.Refunded+amount > i.Amount:
			why = "Refund amount is greater than unrefunded amount on charge"
		case (i.Destination != "") != (r.PostForm.Get("reverse_transfer") == "true"):
			why = "the transfer is not reversed"
		default:
			why = ""
			s.refunds[key] = amount
			i.Refunded += amount
		}
	}
	s.mu.Unlock()
	if f.lost(w) {
		return
	}
	if why != "" {
		fail(w, http.StatusBadRequest, "invalid_request_error", "", why)
		return
	}
	write(w, http.StatusOK, map[string]any{"id": "re_1", "object": "refund", "amount": amount, "status": "succeeded"})
}

func (s *Server) count(op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[op]++
}

func (s *Server) hold(when, key string) {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook != nil {
		hook(when, key)
	}
}

func (i Intent) wire() map[string]any {
	received := int64(0)
	if i.Status == "succeeded" {
		received = i.Amount
	}
	return map[string]any{
		"id": i.ID, "object": "payment_intent", "amount": i.Amount, "amount_received": received, "currency": i.Currency, "status": i.Status,
		"metadata": i.Metadata, "created": i.Created, "customer": Customer,
		"latest_charge": map[string]any{"id": i.charge, "object": "charge", "amount_refunded": i.Refunded},
	}
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone away
}

func fail(w http.ResponseWriter, status int, kind, code, message string) {
	write(w, status, map[string]any{"error": map[string]any{"type": kind, "code": code, "message": message}})
}
