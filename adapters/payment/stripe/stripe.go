package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/payee"
	"github.com/bureau-agents/bureau/ports/payment"
)

// Config names the account that pays.
type Config struct {
	SecretKey     string // required: sk_... or rk_...
	WebhookSecret string // whsec_..., with which Stripe signs its events; "" believes none
	Customer      string // required: cus_..., whose payment method is charged
	PaymentMethod string // required: pm_..., saved for use off session
	// Accounts maps payees to the ids of connected accounts, "vendor.example" to "acct_...". Such an account is not paid by its id.
	Accounts map[string]string
	BaseURL  string // default Stripe's own
	// Unsure is how long after a try Stripe may not list a charge yet; default one minute.
	Unsure time.Duration
	// TryFor is how long after its first try a charge that Stripe has not seen is tried again; default one hour, at most 20 hours,
	// since Stripe forgets keys after 24.
	TryFor time.Duration
	Now    func() time.Time // default time.Now
}

// Rail is Stripe. It is safe for concurrent use.
type Rail struct {
	c     Config // Accounts by folded names
	sc    *stripe.Client
	named map[string]string // the names of accounts
}

var (
	_ payment.Rail   = (*Rail)(nil)
	_ payment.Reader = (*Rail)(nil)
)

// name is how payments name the rail.
const name = "stripe"

// labelKey is the metadata that holds a charge's key.
const labelKey = "bureau_key"

// errForeign is found where a reference names an intent of something else.
var errForeign = errors.New("stripe: the reference is another payment's")

// The bounds of the SDK's calls and of Stripe's fields.
const (
	maxTry         = 20 * time.Hour
	maxDescription = 1000
	maxMetadata    = 500
	slack          = 10 * time.Minute // between our clock and Stripe's
)

// New returns the rail, or an error that names what c lacks. It asks nobody.
func New(c Config) (*Rail, error) {
	for _, f := range []struct{ name, value, prefix string }{
		{"SecretKey", c.SecretKey, ""}, {"Customer", c.Customer, "cus_"}, {"PaymentMethod", c.PaymentMethod, ""},
	} {
		if f.value == "" || !strings.HasPrefix(f.value, f.prefix) {
			return nil, fmt.Errorf("stripe: Config.%s is required, and begins with %q", f.name, f.prefix)
		}
	}
	accounts, named := map[string]string{}, map[string]string{}
	for name, to := range c.Accounts {
		folded := payee.Fold(name)
		if !strings.HasPrefix(to, "acct_") || folded == "" {
			return nil, fmt.Errorf("stripe: Config.Accounts: %q is no connected account", to)
		}
		if accounts[folded] != "" {
			return nil, fmt.Errorf("stripe: Config.Accounts: %q is there twice", name)
		}
		accounts[folded], named[to] = to, name
	}
	if c.TryFor < 0 || c.TryFor > maxTry || c.Unsure < 0 {
		return nil, fmt.Errorf("stripe: Config.TryFor must be at most %s, and neither it nor Unsure below zero", maxTry)
	}
	if c.Unsure == 0 {
		c.Unsure = time.Minute
	}
	if c.TryFor == 0 {
		c.TryFor = time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Accounts = accounts
	backend := &stripe.BackendConfig{
		HTTPClient:        &http.Client{Timeout: time.Minute},
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
		MaxNetworkRetries: stripe.Int64(0), // whoever asks decides when to ask again
		EnableTelemetry:   stripe.Bool(false),
	}
	if c.BaseURL != "" {
		backend.URL = stripe.String(strings.TrimRight(c.BaseURL, "/"))
	}
	return &Rail{c, stripe.NewClient(c.SecretKey, stripe.WithBackends(stripe.NewBackendsWithConfig(backend))), named}, nil
}

// Name implements payment.Rail.
func (*Rail) Name() string { return name }

// Check implements payment.Rail.
func (r *Rail) Check(c payment.Charge) error {
	if c.Payee == "" {
		return fault.Invalidf("payee", "is required")
	}
	if len(c.Target) > 0 {
		return fault.Invalidf("destination", "stripe takes none: a connected account is the payee")
	}
	if name := r.named[c.Payee]; name != "" {
		return fault.Invalidf("payee", "is paid by its name, %s: policies must not miss it under another", name)
	}
	_, err := minor(c.Amount)
	return err
}

// account returns the connected account of a payee, "" for none. Names are the same as they are to policies.
func (r *Rail) account(to string) string {
	if id, ok := r.c.Accounts[payee.Fold(to)]; ok {
		return id
	}
	if strings.HasPrefix(to, "acct_") {
		return to
	}
	return ""
}

// Charge implements payment.Rail.
func (r *Rail) Charge(ctx context.Context, c payment.Charge) (payment.Receipt, error) {
	if err := r.Check(c); err != nil {
		return payment.Receipt{}, payment.ErrDeclined.Withf("%s", message(err))
	}
	amount, err := minor(c.Amount)
	if err != nil {
		return payment.Receipt{}, payment.ErrDeclined.Withf("%s", message(err))
	}
	p := &stripe.PaymentIntentCreateParams{
		Amount: &amount, Currency: stripe.String(strings.ToLower(string(c.Amount.Currency))),
		Customer: &r.c.Customer, PaymentMethod: &r.c.PaymentMethod, Confirm: stripe.Bool(true), OffSession: stripe.Bool(true),
		ErrorOnRequiresAction: stripe.Bool(true), Metadata: metadata(c),
	}
	if c.Description != "" {
		p.Description = stripe.String(cut(c.Description, maxDescription))
	}
	if to := r.account(c.Payee); to != "" {
		p.TransferData = &stripe.PaymentIntentCreateTransferDataParams{Destination: &to}
	}
	p.AddExpand("latest_charge")
	p.SetIdempotencyKey(c.Key)
	pi, err := r.sc.V1PaymentIntents.Create(ctx, p)
	if err != nil {
		return payment.Receipt{}, outcome(err)
	}
	return r.receipt(pi, c), nil
}

// metadata is what an intent keeps of the charge.
func metadata(c payment.Charge) map[string]string {
	m := map[string]string{labelKey: c.Key, "payee": cut(c.Payee, maxMetadata)}
	for k, v := range c.Labels {
		m[k] = cut(v, maxMetadata)
	}
	return m
}

// cut bounds a text, at the border of a character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

func message(err error) string {
	if fe, ok := fault.As(err); ok {
		return fe.Message
	}
	return err.Error()
}

// outcome says what an error of Stripe means for the money: declined for what Stripe refused, open for everything else. Of refusals
// those are left open that another request under the same key may have run into while the first one is at work.
func outcome(err error) error {
	e, ok := errors.AsType[*stripe.Error](err)
	if !ok {
		return err
	}
	refused := e.HTTPStatusCode >= 400 && e.HTTPStatusCode < 500
	switch {
	case e.HTTPStatusCode == http.StatusConflict || e.HTTPStatusCode == http.StatusTooManyRequests ||
		e.HTTPStatusCode == http.StatusRequestTimeout || e.Type == stripe.ErrorTypeIdempotency || e.Code == stripe.ErrorCodeLockTimeout:
		return err
	case e.HTTPStatusCode == http.StatusUnauthorized || e.HTTPStatusCode == http.StatusForbidden:
		return payment.ErrDeclined.Withf("stripe refuses the server's key").Wrap(err)
	case e.Type == stripe.ErrorTypeCard:
		why := e.Msg
		if e.DeclineCode != "" {
			why += " (" + string(e.DeclineCode) + ")"
		}
		return payment.ErrDeclined.Withf("stripe: %s", why).Wrap(err)
	case refused:
		return payment.ErrDeclined.Withf("stripe: %s", e.Msg).Wrap(err)
	}
	return err
}

// receipt reads an intent.
func (r *Rail) receipt(pi *stripe.PaymentIntent, c payment.Charge) payment.Receipt {
	out := payment.Receipt{Status: payment.Pending, Reference: pi.ID}
	switch pi.Status {
	case stripe.PaymentIntentStatusSucceeded:
		out.Status = payment.Succeeded
		out.Amount = major(pi.AmountReceived, c.Amount.Currency)
		if ch := pi.LatestCharge; ch != nil {
			out.Refunded = major(ch.AmountRefunded, c.Amount.Currency)
		}
	case stripe.PaymentIntentStatusCanceled, stripe.PaymentIntentStatusRequiresPaymentMethod:
		out.Status, out.Reason = payment.Declined, "stripe: the payment was "+strings.ReplaceAll(string(pi.Status), "_", " ")
		if e := pi.LastPaymentError; e != nil && e.Msg != "" {
			out.Reason = "stripe: " + e.Msg
		}
	}
	return out
}

// Lookup implements payment.Rail.
func (r *Rail) Lookup(ctx context.Context, c payment.Charge) (payment.Receipt, error) {
	pi, err := r.find(ctx, c)
	if err != nil {
		return payment.Receipt{}, err
	}
	sure := !r.c.Now().Before(c.Last.Add(r.c.Unsure))
	if pi == nil {
		switch {
		case !sure:
			return payment.Receipt{Status: payment.Pending}, nil
		case r.c.Now().Before(c.First.Add(r.c.TryFor)):
			return payment.Receipt{Status: payment.Absent}, nil
		}
		return payment.Receipt{Status: payment.Declined, Reason: "stripe has not seen the payment"}, nil
	}
	out := r.receipt(pi, c)
	if out.Status == payment.Declined && !sure {
		out.Status = payment.Pending // the request that confirms it may still be at work
	}
	if out.Status != payment.Pending || !sure {
		return out, nil
	}
	switch pi.Status {
	case stripe.PaymentIntentStatusRequiresAction, stripe.PaymentIntentStatusRequiresConfirmation, stripe.PaymentIntentStatusRequiresCapture:
		// Nobody is there to act upon it. A cancelled intent is never paid.
		pi, err := r.sc.V1PaymentIntents.Cancel(ctx, pi.ID, &stripe.PaymentIntentCancelParams{})
		if err != nil {
			return payment.Receipt{}, err
		}
		return r.receipt(pi, c), nil
	}
	return out, nil
}

// find returns the intent of a charge, nil when Stripe lists none.
func (r *Rail) find(ctx context.Context, c payment.Charge) (*stripe.PaymentIntent, error) {
	if c.Reference != "" {
		p := &stripe.PaymentIntentRetrieveParams{}
		p.AddExpand("latest_charge")
		pi, err := r.sc.V1PaymentIntents.Retrieve(ctx, c.Reference, p)
		if err == nil && pi.Metadata[labelKey] != c.Key {
			return nil, errForeign // a person has named it, and the account may be others', too
		}
		return pi, err
	}
	p := &stripe.PaymentIntentListParams{Customer: &r.c.Customer}
	p.CreatedRange = &stripe.RangeQueryParams{
		GreaterThanOrEqual: c.First.Add(-slack).Unix(), LesserThanOrEqual: c.Last.Add(slack).Unix(),
	}
	p.Limit = stripe.Int64(100)
	p.AddExpand("data.latest_charge")
	for pi, err := range r.sc.V1PaymentIntents.List(ctx, p).All(ctx) {
		if err != nil {
			return nil, err
		}
		if pi.Metadata[labelKey] == c.Key {
			return pi, nil
		}
	}
	return nil, nil
}

// Refund implements payment.Rail.
func (r *Rail) Refund(ctx context.Context, f payment.Refund) error {
	amount, err := minor(f.Amount)
	if err != nil {
		return payment.ErrDeclined.Withf("%s", message(err))
	}
	pi, err := r.find(ctx, f.Charge)
	switch {
	case errors.Is(err, errForeign):
		return payment.ErrDeclined.Withf("%s", errForeign)
	case err != nil:
		return err
	case pi == nil:
		return payment.ErrDeclined.Withf("stripe has not seen the payment")
	}
	p := &stripe.RefundCreateParams{PaymentIntent: &pi.ID, Amount: &amount}
	if r.account(f.Charge.Payee) != "" {
		p.ReverseTransfer = stripe.Bool(true)
	}
	p.SetIdempotencyKey(f.Key)
	got, err := r.sc.V1Refunds.Create(ctx, p)
	if err != nil {
		return outcome(err)
	}
	if got.Status == stripe.RefundStatusFailed || got.Status == stripe.RefundStatusCanceled {
		return payment.ErrDeclined.Withf("stripe: the refund %s", got.Status)
	}
	return nil
}

// Read implements payment.Reader. Events of the kinds payment_intent.* and charge.* are about charges.
func (r *Rail) Read(header func(string) string, body []byte) (payment.Message, error) {
	if r.c.WebhookSecret == "" {
		return payment.Message{}, payment.ErrSignature.Withf("this server has no webhook secret of stripe's")
	}
	event, err := webhook.ConstructEventWithOptions(body, header("Stripe-Signature"), r.c.WebhookSecret, webhook.ConstructEventOptions{
		Tolerance: webhook.DefaultTolerance, IgnoreAPIVersionMismatch: true, // only metadata is read
	})
	if err != nil {
		return payment.Message{}, payment.ErrSignature.Wrap(err)
	}
	m := payment.Message{ID: event.ID}
	kind := string(event.Type)
	if event.Data == nil || !strings.HasPrefix(kind, "payment_intent.") && !strings.HasPrefix(kind, "charge.") {
		return m, nil
	}
	var object struct {
		Metadata map[string]string `json:"metadata"`
	}
	if err := json.Unmarshal(event.Data.Raw, &object); err != nil {
		return payment.Message{}, fault.Invalidf("data.object", "must be an object with metadata")
	}
	m.Labels = object.Metadata
	return m, nil
}
