package native

import (
	"encoding/json"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
)

// moneyWire is an amount as this API writes it.
type moneyWire struct {
	Amount   string `json:"amount" doc:"A decimal with two to six places, such as 20.00."`
	Currency string `json:"currency" doc:"USDC, USD, ..."`
}

func showMoney(a money.Amount) moneyWire {
	return moneyWire{Amount: a.Decimal(), Currency: string(a.Currency)}
}

// showMoneyPtr is showMoney for an amount that may not be there.
func showMoneyPtr(a *money.Amount) *moneyWire {
	if a == nil {
		return nil
	}
	w := showMoney(*a)
	return &w
}

// moneyInput is an amount in a request: {"amount":"20.00","currency":"USDC"}, or the decimal alone, which is in a currency that
// the operation knows. It tells a null from a field that is not there.
type moneyInput struct {
	set      bool
	null     bool
	amount   string
	currency string

	nullCurrency bool
}

// What the document says of amounts; money.Parse and the services refuse the rest, in better words than a pattern has. Twelve digits
// before the point fit into any wallet.
const (
	amountPattern   = `^0*[0-9]{1,12}(\.[0-9]{1,6})?$`
	positivePattern = `^0*([1-9][0-9]{0,11}(\.[0-9]{1,6})?` +
		`|0\.([1-9][0-9]{0,5}|0[1-9][0-9]{0,4}|00[1-9][0-9]{0,3}|000[1-9][0-9]{0,2}|0000[1-9][0-9]?|00000[1-9]))$`
	currencyPattern = `^([A-Z0-9]{3,8})?$`
	dollarsPattern  = `^(USD)?$`
)

// Schema implements huma.SchemaProvider.
func (moneyInput) Schema(huma.Registry) *huma.Schema {
	return moneySchema(amountPattern, currencyPattern, "USDC")
}

// moneySchema is the schema of amounts of a pattern in currencies of another, of which one is the example.
func moneySchema(pattern, currencies, currency string) *huma.Schema {
	decimal := func() *huma.Schema {
		s := &huma.Schema{
			Type: huma.TypeString, MaxLength: ptr(40), Examples: []any{"20.00"}, Extensions: map[string]any{"pattern": pattern},
		}
		s.PrecomputeMessages()
		return s
	}
	object := &huma.Schema{
		Type: huma.TypeObject, Nullable: true, Required: []string{"amount"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{
			"amount": decimal(),
			"currency": {
				Type: huma.TypeString, MaxLength: ptr(8), Examples: []any{currency},
				Extensions: map[string]any{"pattern": currencies, httpx.NotNull: true},
			},
		},
	}
	if pattern == positivePattern {
		object.Extensions = map[string]any{"type": huma.TypeObject} // the handlers say better than a schema that null is no amount
	}
	object.PrecomputeMessages()
	return &huma.Schema{
		OneOf:       []*huma.Schema{object, decimal()},
		Description: fmt.Sprintf(`An amount of money: {"amount":"20.00","currency":%q}, or the decimal alone.`, currency),
	}
}

// positiveInput is an amount above zero.
type positiveInput moneyInput

// Schema implements huma.SchemaProvider.
func (positiveInput) Schema(huma.Registry) *huma.Schema {
	return moneySchema(positivePattern, currencyPattern, "USDC")
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *positiveInput) UnmarshalJSON(b []byte) error { return (*moneyInput)(p).UnmarshalJSON(b) }

func (p positiveInput) read(path string) (money.Amount, error) { return moneyInput(p).read(path) }

// dollarsInput is an amount above zero in USD.
type dollarsInput moneyInput

// Schema implements huma.SchemaProvider.
func (dollarsInput) Schema(huma.Registry) *huma.Schema {
	return moneySchema(positivePattern, dollarsPattern, string(money.USD))
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *dollarsInput) UnmarshalJSON(b []byte) error { return (*moneyInput)(d).UnmarshalJSON(b) }

// UnmarshalJSON implements json.Unmarshaler for what the schema lets through.
func (m *moneyInput) UnmarshalJSON(b []byte) error {
	*m = moneyInput{set: true}
	switch {
	case string(b) == "null":
		m.null = true
		return nil
	case len(b) > 0 && b[0] == '"':
		return json.Unmarshal(b, &m.amount)
	}
	var w struct {
		Amount   string  `json:"amount"`
		Currency *string `json:"currency"`
	}
	w.Currency = new(string) // left out is another matter than null
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	if w.Currency == nil {
		m.nullCurrency = true
		return nil
	}
	m.amount, m.currency = w.Amount, *w.Currency
	return nil
}

// read returns the amount; one that names no currency is in that of wallets. path is where it stands in the body.
func (m moneyInput) read(path string) (money.Amount, error) {
	return m.readIn(path, wallet.DefaultCurrency)
}

// readIn is read with another currency for an amount that names none.
func (m moneyInput) readIn(path string, def money.Currency) (money.Amount, error) {
	if !m.set || m.null {
		return money.Amount{}, fault.Invalidf(path, "is required")
	}
	if m.nullCurrency {
		return money.Amount{}, fault.Invalidf(path+".currency", "must not be null; leave it out for %s", def)
	}
	c := def
	if m.currency != "" {
		var err error
		if c, err = money.ParseCurrency(m.currency); err != nil {
			return money.Amount{}, at(err, path+".currency")
		}
	}
	a, err := money.Parse(m.amount, c)
	return a, at(err, path)
}

// at says where in the request the value stood that a port could not read.
func at(err error, path string) error {
	fe, ok := fault.As(err)
	if !ok || fe.Kind != fault.Invalid {
		return err
	}
	msg := fe.Message
	if len(fe.Fields) > 0 {
		msg = fe.Fields[0].Message
	}
	return fault.Invalidf(path, "%s", msg)
}

// CurrencyQuery is embedded in the input of what concerns the wallet of one currency.
type CurrencyQuery struct {
	Currency string `query:"currency" pattern:"^[A-Z0-9]{3,8}$" patternDescription:"3 to 8 upper-case letters or digits, such as USDC" doc:"Which of the agent's wallets; USDC when left out."`
}

// read returns the currency; "" is the default one.
func (q CurrencyQuery) read() (money.Currency, error) {
	if q.Currency == "" {
		return "", nil
	}
	c, err := money.ParseCurrency(q.Currency)
	return c, at(err, "query.currency")
}

// textPtr is null for an empty text.
func textPtr(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func ptr[T any](v T) *T { return &v }
