package x402

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payee"
	"github.com/bureau-agents/bureau/ports/payment"
)

// Asset is a token that may be paid with.
type Asset struct {
	Network  string // CAIP-2: "eip155:8453"
	Address  string // the token's contract
	Currency money.Currency
	Decimals int // of the token, 0 to 30
}

// Config says with what, and how, is paid.
type Config struct {
	PrivateKey string            // required: 32 bytes in hexadecimal, of the account that pays
	Assets     []Asset           // required
	RPC        map[string]string // JSON-RPC endpoints by network, "eip155:8453"; the operator's, so they may be private
	HTTP       *http.Client      // required: guarded, and following no redirect
	RPCClient  *http.Client      // default one with a time-out of 10 s
	Now        func() time.Time  // default time.Now
}

// Rail pays for requests. It is safe for concurrent use.
type Rail struct {
	c      Config
	wallet wallet
	assets map[assetKey]Asset
}

type assetKey struct {
	chain    int64
	contract address
}

var (
	_ payment.Rail    = (*Rail)(nil)
	_ payment.Fetcher = (*Rail)(nil)
)

var (
	// ErrNoOffer is returned for a 402 none of whose offers can be accepted.
	ErrNoOffer = fault.New(fault.Unsupported, "x402_no_offer", "the server asks for a payment that this server cannot make")
	// ErrRequest is returned for a request that could not be sent.
	ErrRequest = fault.New(fault.Unavailable, "x402_unreachable", "the request could not be sent")
)

// The bounds of requests, answers and authorizations.
const (
	maxResult   = 128 << 10
	earlier     = 10 * time.Minute // how long before its first try an authorization begins to hold: clocks differ
	minLifetime = 30 * time.Second
	maxLifetime = time.Hour
	closing     = 5 * time.Second // before its expiry an authorization is not sent any more
)

// New returns the rail, or an error that names what is wrong with c. It asks nobody.
func New(c Config) (*Rail, error) {
	if c.HTTP == nil {
		return nil, errors.New("x402: Config.HTTP is required")
	}
	w, err := parseKey(c.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("x402: Config.PrivateKey: %w", err)
	}
	if len(c.Assets) == 0 {
		return nil, errors.New("x402: Config.Assets is required: nothing is paid with a token that the operator has not named")
	}
	r := &Rail{c: c, wallet: w, assets: map[assetKey]Asset{}}
	for _, a := range c.Assets {
		contract, err := parseAddress(a.Address)
		chain := chainOf(a.Network)
		if err == nil && (chain == 0 || a.Decimals < 0 || a.Decimals > 30) {
			err = fmt.Errorf("network %q or %d decimals", a.Network, a.Decimals)
		}
		if err == nil {
			_, err = money.ParseCurrency(string(a.Currency))
		}
		if err != nil {
			return nil, fmt.Errorf("x402: Config.Assets: %w", err)
		}
		r.assets[assetKey{chain, contract}] = a
	}
	if c.RPCClient == nil {
		r.c.RPCClient = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Now == nil {
		r.c.Now = time.Now
	}
	return r, nil
}

// Name implements payment.Rail.
func (*Rail) Name() string { return "x402" }

// Address returns the account that pays.
func (r *Rail) Address() string { return r.wallet.address.String() }

// targetWire is what a charge needs: the request, and the offer that is accepted. The fields beside are for policies to read.
type targetWire struct {
	Request  payment.Request `json:"request"`
	Version  int             `json:"x402_version"`
	Offer    json.RawMessage `json:"offer"`
	Resource json.RawMessage `json:"resource,omitempty"`
	Network  string          `json:"network"`
	Asset    string          `json:"asset"`
	PayTo    string          `json:"pay_to"`
}

// order is a target that was understood.
type order struct {
	targetWire

	offer  offerWire
	url    *url.URL
	host   string // of url, as policies compare hosts
	key    assetKey
	asset  Asset
	to     address
	value  *big.Int
	amount money.Amount
}

// read understands a target, or says in words for the agent what is wrong with it.
func (r *Rail) read(raw json.RawMessage) (order, error) {
	var o order
	if err := json.Unmarshal(raw, &o.targetWire); err != nil {
		return o, fault.Invalidf("destination", "an x402 payment is made by a paid request")
	}
	var err error
	if o.url, o.host, err = checkRequest(o.Request); err != nil {
		return o, err
	}
	return o, r.accept(&o)
}

// accept reads the offer of an order.
func (r *Rail) accept(o *order) error {
	bad := func(format string, args ...any) error { return fault.Invalidf("destination", format, args...) }
	if err := json.Unmarshal(o.Offer, &o.offer); err != nil {
		return bad("the offer is none")
	}
	if o.offer.Scheme != "exact" || o.Version != 1 && o.Version != 2 {
		return bad("the scheme %q of version %d is not known", o.offer.Scheme, o.Version)
	}
	contract, err := parseAddress(o.offer.Asset)
	if err != nil {
		return bad("%v", err)
	}
	o.key = assetKey{chainOf(o.offer.Network), contract}
	asset, ok := r.assets[o.key]
	if !ok {
		return bad("the token %s on %s is not configured", o.offer.Asset, o.offer.Network)
	}
	o.asset = asset
	if o.to, err = parseAddress(o.offer.PayTo); err != nil {
		return bad("%v", err)
	}
	if o.value = o.offer.value(o.Version); o.value == nil {
		return bad("the price is no number above zero")
	}
	if o.offer.Extra.Name == "" || o.offer.Extra.Version == "" {
		return bad("the offer does not say what the token calls itself")
	}
	o.amount, err = amountOf(o.value, asset)
	return err
}

// amountOf returns atomic units of a token in its currency, exactly.
func amountOf(value *big.Int, a Asset) (money.Amount, error) {
	const places = 6 // of a micro-unit
	n := new(big.Int).Set(value)
	ten := big.NewInt(10)
	if a.Decimals <= places {
		n.Mul(n, new(big.Int).Exp(ten, big.NewInt(int64(places-a.Decimals)), nil))
	} else {
		rest := new(big.Int)
		if n.QuoRem(n, new(big.Int).Exp(ten, big.NewInt(int64(a.Decimals-places)), nil), rest); rest.Sign() != 0 {
			return money.Amount{}, fault.Invalidf("amount", "the price is finer than a millionth of a %s", a.Currency)
		}
	}
	if !n.IsInt64() || n.Sign() <= 0 {
		return money.Amount{}, fault.Invalidf("amount", "the price is too high")
	}
	return money.Of(n.Int64(), a.Currency), nil
}

// checkRequest refuses what is not sent. It returns the host in the one form that it has for policies too, however the URL spells it.
func checkRequest(q payment.Request) (u *url.URL, host string, err error) {
	u, err = url.Parse(q.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil:
		return nil, "", fault.Invalidf("url", "must be an address that begins with https:// or http://, without a password")
	case q.Method != http.MethodGet && q.Method != http.MethodPost:
		return nil, "", fault.Invalidf("method", "must be GET or POST")
	case q.Method == http.MethodGet && q.Body != "":
		return nil, "", fault.Invalidf("body", "is for POST")
	}
	if host, err = payee.ASCII(u.Hostname()); err != nil {
		return nil, "", fault.Invalidf("url", "has no host that can be read")
	}
	for name := range q.Header {
		switch http.CanonicalHeaderKey(name) {
		case headerRequired, headerSignature, headerResponse, headerSignature1, headerResponse1, "Host", "Connection", "Content-Length",
			"Transfer-Encoding", "Upgrade", "Proxy-Authorization", "Te", "Trailer":
			return nil, "", fault.Invalidf("headers."+name, "is not the caller's to send")
		}
	}
	return u, host, nil
}

// Check implements payment.Rail.
func (r *Rail) Check(c payment.Charge) error {
	o, err := r.read(c.Target)
	switch {
	case err != nil:
		return err
	case o.amount != c.Amount:
		return fault.Invalidf("amount", "the server wants %s", o.amount)
	case c.Payee != o.host:
		return fault.Invalidf("payee", "must be the host of the request, %s", o.host)
	}
	return nil
}

// Fetch implements payment.Fetcher.
func (r *Rail) Fetch(ctx context.Context, q payment.Request) (payment.Answer, error) {
	u, host, err := checkRequest(q)
	if err != nil {
		return payment.Answer{}, err
	}
	res, body, err := r.send(ctx, q, "", "")
	if err != nil {
		if fe, ok := fault.As(err); ok {
			return payment.Answer{}, fe
		}
		return payment.Answer{}, ErrRequest.Wrap(err)
	}
	required, ok := readRequired(res.Header, body)
	if res.StatusCode != http.StatusPaymentRequired || !ok {
		return payment.Answer{Result: result(res, body)}, nil
	}
	var why error
	for _, raw := range required.Accepts {
		o := order{targetWire: targetWire{Request: q, Version: required.Version, Offer: raw, Resource: required.Resource}}
		if err := r.accept(&o); err != nil {
			why = err
			continue
		}
		o.Network, o.Asset, o.PayTo = o.asset.Network, o.key.contract.String(), o.to.String()
		target, err := json.Marshal(o.targetWire)
		if err != nil {
			return payment.Answer{}, fmt.Errorf("x402: %w", err)
		}
		return payment.Answer{Quote: &payment.Quote{
			Amount: o.amount, Payee: host, Description: description(o, u), Target: target,
		}}, nil
	}
	msg := "the server asks for a payment that this server cannot make"
	if fe, ok := fault.As(why); ok && len(fe.Fields) > 0 {
		msg += ": " + fe.Fields[0].Message
	}
	return payment.Answer{}, ErrNoOffer.Withf("%s", msg)
}

// description says for people what is bought.
func description(o order, u *url.URL) string {
	var resource struct {
		Description string `json:"description"`
	}
	_ = json.Unmarshal(o.Resource, &resource) // it need not be there
	text := resource.Description
	if text == "" {
		text = o.offer.Description
	}
	if text == "" || len(text) > 500 {
		text = o.Request.Method + " " + u.Redacted()
	}
	return strings.ToValidUTF8(text, "")
}

// reply is what a server answered beside the body.
type reply struct {
	StatusCode int
	Header     http.Header
}

// send sends a request, with a header more unless that is "".
func (r *Rail) send(ctx context.Context, q payment.Request, header, value string) (reply, []byte, error) {
	var body io.Reader
	if q.Method == http.MethodPost {
		body = strings.NewReader(q.Body)
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, q.URL, body)
	if err != nil {
		return reply{}, nil, fault.Invalidf("url", "cannot be requested")
	}
	for k, v := range q.Header {
		req.Header.Set(k, v)
	}
	if header != "" {
		req.Header.Set(header, value)
	}
	res, err := r.c.HTTP.Do(req)
	if err != nil {
		return reply{}, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxResult+1))
	if err != nil && len(raw) == 0 {
		return reply{}, nil, err
	}
	return reply{res.StatusCode, res.Header}, raw, nil
}

// resultWire is an answer as agents get it.
type resultWire struct {
	Status    int               `json:"status"`
	Headers   map[string]string `json:"headers"`
	Body      *string           `json:"body,omitempty"`
	Base64    []byte            `json:"body_base64,omitempty"`
	Truncated bool              `json:"truncated,omitempty"`
}

func result(res reply, body []byte) json.RawMessage {
	w := resultWire{Status: res.StatusCode, Headers: map[string]string{}}
	for _, name := range []string{"Content-Type", "Location", "Retry-After"} {
		if v := res.Header.Get(name); v != "" {
			w.Headers[strings.ToLower(name)] = strings.ToValidUTF8(v, "")
		}
	}
	if len(body) > maxResult {
		body, w.Truncated = body[:maxResult], true
		for len(body) > 0 && !utf8.RuneStart(body[len(body)-1]) {
			body = body[:len(body)-1]
		}
	}
	if utf8.Valid(body) && !bytes.ContainsRune(body, 0) {
		text := string(body)
		w.Body = &text
	} else {
		w.Base64 = body
	}
	raw, err := json.Marshal(w)
	if err != nil { // it has texts and numbers only
		return nil
	}
	return raw
}

// authorize returns the one authorization of a charge.
func (r *Rail) authorize(o order, c payment.Charge) authorization {
	life := min(max(time.Duration(min(o.offer.MaxTimeout, int64(maxLifetime/time.Second)))*time.Second, minLifetime), maxLifetime)
	return authorization{
		from: r.wallet.address, to: o.to, value: o.value, validAfter: c.First.Add(-earlier).Unix(), expires: c.First.Add(life).Unix(),
		nonce: keccak([]byte("bureau x402 authorization\n" + c.Key)),
	}
}

// header returns the header that pays.
func (r *Rail) header(o order, a authorization) (name, value string, err error) {
	digest := domain{o.offer.Extra.Name, o.offer.Extra.Version, big.NewInt(o.key.chain), o.key.contract}.digest(a.hash())
	w := paymentWire{Version: o.Version, Payload: payloadWire{
		Signature: "0x" + hex.EncodeToString(r.wallet.sign(digest)),
		Authorization: authorizationWire{
			From: a.from.String(), To: a.to.String(), Value: a.value.String(), ValidAfter: strconv.FormatInt(a.validAfter, 10),
			ValidBefore: strconv.FormatInt(a.expires, 10), Nonce: "0x" + hex.EncodeToString(a.nonce[:]),
		},
	}}
	name = headerSignature
	if o.Version == 1 {
		name, w.Scheme, w.Network = headerSignature1, o.offer.Scheme, o.offer.Network
	} else {
		w.Resource, w.Accepted = o.Resource, o.Offer
	}
	raw, err := json.Marshal(w)
	return name, base64.StdEncoding.EncodeToString(raw), err
}

// Charge implements payment.Rail.
func (r *Rail) Charge(ctx context.Context, c payment.Charge) (payment.Receipt, error) {
	if err := r.Check(c); err != nil {
		return payment.Receipt{}, payment.ErrDeclined.Withf("%s", message(err))
	}
	o, err := r.read(c.Target)
	if err != nil {
		return payment.Receipt{}, err
	}
	a := r.authorize(o, c)
	name, value, err := r.header(o, a)
	if err != nil {
		return payment.Receipt{}, err
	}
	// net/http repeats a request whose reused connection breaks: the error is then that of the last connection, not of the first.
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	res, body, err := r.send(traced, o.Request, name, value)
	if err != nil {
		// What cannot be connected to has not got the authorization, unless an earlier try has brought it there.
		if c.Last.Equal(c.First) && !connected.Load() && (errors.Is(err, egress.ErrBlocked) || errors.Is(err, egress.ErrUnreachable)) {
			return payment.Receipt{}, payment.ErrDeclined.Withf("%s", message(err))
		}
		return payment.Receipt{}, err
	}
	settled, said := readSettlement(res.Header)
	switch {
	case said && settled.Success, !said && res.StatusCode >= 200 && res.StatusCode < 300:
		return payment.Receipt{Status: payment.Succeeded, Reference: reference(settled), Amount: o.amount, Result: result(res, body)}, nil
	case said:
		return payment.Receipt{}, fmt.Errorf("x402: the server answers %d and has not settled: %.200q", res.StatusCode, settled.ErrorReason)
	}
	return payment.Receipt{}, fmt.Errorf("x402: the server answers %d to the payment", res.StatusCode)
}

// reference keeps what a server calls the transaction within what a reference may be.
func reference(s settlementWire) string {
	return strings.ToValidUTF8(s.Transaction[:min(len(s.Transaction), 255)], "")
}

func message(err error) string {
	if fe, ok := fault.As(err); ok {
		return fe.Message
	}
	return err.Error()
}

// Lookup implements payment.Rail. See the package for what is known when.
func (r *Rail) Lookup(ctx context.Context, c payment.Charge) (payment.Receipt, error) {
	o, err := r.read(c.Target)
	if err != nil {
		return payment.Receipt{}, err
	}
	a := r.authorize(o, c)
	if rpc := r.c.RPC[o.asset.Network]; rpc != "" {
		used, at, err := r.used(ctx, rpc, o.key.contract, a)
		switch {
		case err != nil:
			return payment.Receipt{}, err
		case used:
			return payment.Receipt{Status: payment.Succeeded, Amount: o.amount}, nil
		case at > a.expires:
			return payment.Receipt{Status: payment.Declined, Reason: "the server has not taken the payment, and cannot any more"}, nil
		}
	}
	if r.c.Now().Add(closing).Unix() < a.expires {
		return payment.Receipt{Status: payment.Absent}, nil // the same authorization may be sent again
	}
	return payment.Receipt{Status: payment.Pending, Reason: "the server has the authorization, and the network has not said whether it was used"}, nil
}

// Refund implements payment.Rail: whoever was paid would have to send the money back.
func (*Rail) Refund(context.Context, payment.Refund) error { return payment.ErrNoRefunds }
