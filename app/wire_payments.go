package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/payment/stripe"
	"github.com/bureau-agents/bureau/adapters/payment/x402"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/money"
	port "github.com/bureau-agents/bureau/ports/payment"
)

func paymentModule() fx.Option { return fx.Module("payments", fx.Provide(providePayments)) }

// paymentParts are what payments over rails stand on.
type paymentParts struct {
	fx.In

	Config    Config
	Options   options
	Store     *bunstore.Store
	Gate      *gate.Gate
	Wallets   *wallet.Service
	Owners    owners
	Trail     *audit.Service
	Telemetry *otel.Telemetry
}

func providePayments(b base, p paymentParts) (*payment.Service, error) {
	rails, err := newRails(p.Config, p.Options)
	if err != nil {
		return nil, err
	}
	for i, r := range rails {
		rails[i] = otel.WrapRail(r, p.Telemetry)
	}
	return payment.NewService(payment.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: p.Store.Payments(), Approved: p.Store.Acts(), Gate: p.Gate,
		Wallets: p.Wallets, Agents: p.Owners, Trail: p.Trail, Rails: rails,
	}, payment.Config{Timeout: p.Config.Payments.Timeout})
}

// newRails makes the rails that the operator has configured. One that the embedder brought beats one of the same name.
func newRails(cfg Config, o options) ([]port.Rail, error) {
	rails := slices.Clone(o.rails)
	add := func(r port.Rail) {
		if !slices.ContainsFunc(rails, func(have port.Rail) bool { return have.Name() == r.Name() }) {
			rails = append(rails, r)
		}
	}
	if s := cfg.Payments.Stripe; s.SecretKey != "" {
		r, err := stripe.New(stripe.Config{
			SecretKey: s.SecretKey, WebhookSecret: s.WebhookSecret, Customer: s.Customer, PaymentMethod: s.PaymentMethod, Accounts: s.Accounts,
			BaseURL: s.BaseURL, Unsure: s.Unsure,
		})
		if err != nil {
			return nil, fmt.Errorf("app: Config.Payments.Stripe: %w", err)
		}
		add(r)
	}
	if x := cfg.Payments.X402; x.PrivateKey != "" {
		r, err := newX402(x, cfg)
		if err != nil {
			return nil, fmt.Errorf("app: Config.Payments.X402: %w", err)
		}
		add(r)
	}
	return rails, nil
}

// newX402 makes the rail that pays for requests. It reaches what agents may reach, and follows no redirect: the payee is the host
// that was asked for.
func newX402(x X402Config, cfg Config) (*x402.Rail, error) {
	guarded, err := egress.New(egress.Config{Allow: cfg.EgressAllow, MaxRedirects: -1})
	if err != nil {
		return nil, err
	}
	c := x402.Config{PrivateKey: x.PrivateKey, RPC: x.RPC, HTTP: guarded.HTTPClient()}
	for _, text := range x.Assets {
		a, err := parseAsset(text)
		if err != nil {
			return nil, err
		}
		c.Assets = append(c.Assets, a)
	}
	return x402.New(c)
}

// parseAsset reads "network/address=CURRENCY:decimals".
func parseAsset(text string) (x402.Asset, error) {
	token, of, ok := strings.Cut(text, "=")
	network, contract, ok2 := strings.Cut(token, "/")
	currency, places, ok3 := strings.Cut(of, ":")
	decimals, err := strconv.Atoi(places)
	if !ok || !ok2 || !ok3 || err != nil {
		return x402.Asset{}, fmt.Errorf("%q is not of the form network/address=CURRENCY:decimals", text)
	}
	return x402.Asset{Network: network, Address: contract, Currency: money.Currency(currency), Decimals: decimals}, nil
}
