package stripe_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bureau-agents/bureau/adapters/payment/stripe"
	"github.com/bureau-agents/bureau/adapters/payment/stripe/stripetest"
	"github.com/bureau-agents/bureau/ports/payment"
)

// mock starts stripe-mock, which knows Stripe's description of its API and refuses what does not fit it. It keeps no books.
func mock(t *testing.T) string {
	t.Helper()
	bin, err := exec.CommandContext(t.Context(), "../../../scripts/stripe.sh").Output()
	if err != nil {
		t.Fatalf("scripts/stripe.sh: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, strings.TrimSpace(string(bin)), "-http-addr", "127.0.0.1:")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	listening := regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if addr := listening.FindString(lines.Text()); addr != "" {
			return "http://" + addr
		}
	}
	t.Fatal("stripe-mock does not say where it listens")
	return ""
}

// labelled stands before stripe-mock, whose intents are all the same one, and gives those that are retrieved the key of the payee that is
// being tried.
func labelled(t *testing.T, to string) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	var key atomic.Value
	p := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Accept-Encoding")
			if k := r.In.Header.Get("Idempotency-Key"); k != "" {
				key.Store(k)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			var object map[string]any
			if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
				return err
			}
			if r.Request.Method == http.MethodGet && object["object"] == "payment_intent" {
				object["metadata"] = map[string]any{"bureau_key": key.Load()}
			}
			b, err := json.Marshal(object)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
			r.Header.Set("Content-Length", strconv.Itoa(len(b)))
			return err
		},
	}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return s.URL
}

// TestShapes holds every request that the rail makes to Stripe's description of its API.
func TestShapes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a program")
	}
	s := stripetest.New(t)
	r, err := stripe.New(stripe.Config{SecretKey: "sk_test_123", Customer: stripetest.Customer, PaymentMethod: stripetest.PaymentMethod, BaseURL: labelled(t, mock(t))})
	if err != nil {
		t.Fatal(err)
	}
	for _, payee := range []string{"vendor.example", "acct_1"} {
		c := charge(s, payee, payee)
		got, err := r.Charge(t.Context(), c)
		if err != nil || got.Reference == "" {
			t.Errorf("charge: %+v, %v", got, err)
		}
		if _, err := r.Lookup(t.Context(), c); err != nil {
			t.Errorf("list: %v", err)
		}
		c.Reference = got.Reference
		if _, err := r.Lookup(t.Context(), c); err != nil {
			t.Errorf("retrieve: %v", err)
		}
		if err := r.Refund(t.Context(), payment.Refund{Key: payee, Charge: c, Amount: c.Amount}); err != nil {
			t.Errorf("refund: %v", err)
		}
	}
}
