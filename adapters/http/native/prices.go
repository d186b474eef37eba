package native

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

type priceWire struct {
	ID           *string          `json:"id" doc:"prc_..."`
	Type         string           `json:"type" enum:"price"`
	Own          bool             `json:"own" doc:"Set by the tenant for itself."`
	Provider     string           `json:"provider"`
	Model        string           `json:"model"`
	ValidFrom    *stamp           `json:"valid_from" doc:"null has always been."`
	ValidUntil   *stamp           `json:"valid_until"`
	Rates        ratesWire        `json:"rates"`
	Tiers        []priceTierWire  `json:"tiers" nullable:"false" doc:"A request with more input than a threshold is priced by its rates as a whole."`
	Multipliers  map[string]int64 `json:"multipliers" doc:"What a modifier, or a service tier that rates say nothing of, does to the whole cost, in thousandths."`
	DeprecatedAt *stamp           `json:"deprecated_at" doc:"When the provider gives the model up; null is not announced."`
	Source       priceSourceWire  `json:"source"`
	SetAt        *stamp           `json:"set_at"`
	SetBy        *string          `json:"set_by" doc:"The API key that set it; null is the server."`
	SupersededAt *stamp           `json:"superseded_at" doc:"Since when it counts no more; null while it counts."`
}

type priceSourceWire struct {
	Text *string `json:"text" doc:"Where the figures come from."`
	URL  *string `json:"url"`
}

// ratesWire are dollars per million tokens, as price lists are printed.
type ratesWire struct {
	Input        string                      `json:"input" doc:"Dollars per million tokens, here and below."`
	Output       string                      `json:"output"`
	CacheRead    *string                     `json:"cache_read" doc:"null is unknown: then the input's price counts. So it is with writes."`
	CacheWrite   *string                     `json:"cache_write"`
	CacheWrite1h *string                     `json:"cache_write_1h"`
	Reasoning    *string                     `json:"reasoning" doc:"null is the output's price."`
	Services     map[string]serviceRatesWire `json:"services" doc:"What service tiers ask instead, by name."`
}

// serviceRatesWire is what a service tier asks instead; what is null costs as usual.
type serviceRatesWire struct {
	Input        *string `json:"input"`
	Output       *string `json:"output"`
	CacheRead    *string `json:"cache_read"`
	CacheWrite   *string `json:"cache_write"`
	CacheWrite1h *string `json:"cache_write_1h"`
	Reasoning    *string `json:"reasoning"`
}

type priceTierWire struct {
	AboveInputTokens int64     `json:"above_input_tokens"`
	Rates            ratesWire `json:"rates"`
}

// perMillion turns picodollars per token into dollars per million tokens.
func perMillion(picosPerToken int64) string {
	return money.Of(picosPerToken, money.USD).Decimal() // a micro-unit of a dollar per million is a picodollar per token
}

func perMillionPtr(picosPerToken *int64) *string {
	if picosPerToken == nil {
		return nil
	}
	return textPtr(perMillion(*picosPerToken))
}

func showRates(r usage.Rates) ratesWire {
	out := ratesWire{
		Input: perMillion(r.Input), Output: perMillion(r.Output), CacheRead: perMillionPtr(r.CacheRead),
		CacheWrite: perMillionPtr(r.CacheWrite5m), CacheWrite1h: perMillionPtr(r.CacheWrite1h), Reasoning: perMillionPtr(r.Reasoning),
		Services: make(map[string]serviceRatesWire, len(r.Services)),
	}
	for name, s := range r.Services {
		out.Services[name] = serviceRatesWire{
			Input: perMillionPtr(s.Input), Output: perMillionPtr(s.Output), CacheRead: perMillionPtr(s.CacheRead),
			CacheWrite: perMillionPtr(s.CacheWrite5m), CacheWrite1h: perMillionPtr(s.CacheWrite1h), Reasoning: perMillionPtr(s.Reasoning),
		}
	}
	return out
}

func showPrice(p usage.Price) priceWire {
	out := priceWire{
		ID: textPtr(p.ID.String()), Type: "price", Own: p.Own, Source: priceSourceWire{textPtr(p.Source.Text), textPtr(p.Source.URL)},
		SetBy:    textPtr(p.SetBy.String()),
		Provider: p.Provider, Model: p.Model, Rates: showRates(p.Rates), Tiers: make([]priceTierWire, 0, len(p.Tiers)),
		Multipliers: p.Multipliers,
	}
	for _, when := range []struct {
		to   **stamp
		from time.Time
	}{
		{&out.ValidFrom, p.From}, {&out.ValidUntil, p.Until}, {&out.DeprecatedAt, p.Deprecated}, {&out.SetAt, p.SetAt},
		{&out.SupersededAt, p.Superseded},
	} {
		if !when.from.IsZero() {
			*when.to = stampPtr(&when.from)
		}
	}
	for _, t := range p.Tiers {
		out.Tiers = append(out.Tiers, priceTierWire{t.Above, showRates(t.Rates)})
	}
	if out.Multipliers == nil {
		out.Multipliers = map[string]int64{}
	}
	return out
}

// rate is a price in a body, in dollars per million tokens.
type rate string

// Schema implements huma.SchemaProvider.
func (rate) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Extensions: map[string]any{"pattern": `^0*[0-9]{1,7}(\.[0-9]{1,6})?$`}}
}

type ratesBody struct {
	Input        rate  `json:"input" maxLength:"32" doc:"Dollars per million tokens, with up to six decimal places, here and below."`
	Output       rate  `json:"output" maxLength:"32"`
	CacheRead    *rate `json:"cache_read,omitempty" maxLength:"32" doc:"Left out, the input's price counts. So it is with writes."`
	CacheWrite   *rate `json:"cache_write,omitempty" maxLength:"32"`
	CacheWrite1h *rate `json:"cache_write_1h,omitempty" maxLength:"32"`
	Reasoning    *rate `json:"reasoning,omitempty" maxLength:"32" doc:"Left out, the output's price counts."`

	Services map[string]serviceRatesBody `json:"services,omitempty" doc:"What service tiers ask instead, by name, such as batch."`
}

type serviceRatesBody struct {
	Input        *rate `json:"input,omitempty" maxLength:"32" doc:"Dollars per million tokens, with up to six decimal places, here and below."`
	Output       *rate `json:"output,omitempty" maxLength:"32"`
	CacheRead    *rate `json:"cache_read,omitempty" maxLength:"32"`
	CacheWrite   *rate `json:"cache_write,omitempty" maxLength:"32"`
	CacheWrite1h *rate `json:"cache_write_1h,omitempty" maxLength:"32"`
	Reasoning    *rate `json:"reasoning,omitempty" maxLength:"32"`
}

type priceBody struct {
	Provider    string           `json:"provider" minLength:"1" maxLength:"100"`
	Model       string           `json:"model" minLength:"1" maxLength:"200" doc:"Its snapshots have the same price, unless another price names them."`
	ValidFrom   *time.Time       `json:"valid_from,omitempty" doc:"Left out, it has always been."`
	ValidUntil  *time.Time       `json:"valid_until,omitempty" doc:"Left out, until the next price of the model begins."`
	Rates       ratesBody        `json:"rates"`
	Tiers       []priceTierBody  `json:"tiers,omitempty" maxItems:"20" doc:"By ascending threshold."`
	Multipliers map[string]int64 `json:"multipliers,omitempty" doc:"By name, in thousandths: 1100 adds a tenth."`
	Source      *struct {
		Text string `json:"text,omitempty" maxLength:"500"`
		URL  string `json:"url,omitempty" maxLength:"2000"`
	} `json:"source,omitempty" doc:"Where the figures come from."`
	DeprecatedAt *time.Time `json:"deprecated_at,omitempty"`
}

type priceTierBody struct {
	AboveInputTokens int64     `json:"above_input_tokens" minimum:"1"`
	Rates            ratesBody `json:"rates"`
}

// rateReader reads rates and remembers the first fault.
type rateReader struct{ err error }

func (r *rateReader) read(path string, text *rate) *int64 {
	if text == nil {
		return nil
	}
	a, err := money.Parse(string(*text), money.USD)
	if err != nil && r.err == nil {
		r.err = at(err, path)
	}
	return &a.Micros
}

func (r *rateReader) service(path string, b serviceRatesBody) usage.ServiceRates {
	return usage.ServiceRates{
		Input: r.read(path+"input", b.Input), Output: r.read(path+"output", b.Output), CacheRead: r.read(path+"cache_read", b.CacheRead),
		CacheWrite5m: r.read(path+"cache_write", b.CacheWrite), CacheWrite1h: r.read(path+"cache_write_1h", b.CacheWrite1h),
		Reasoning: r.read(path+"reasoning", b.Reasoning),
	}
}

func (r *rateReader) rates(path string, b ratesBody) usage.Rates {
	out := usage.Rates{
		Input: *r.read(path+"input", &b.Input), Output: *r.read(path+"output", &b.Output), CacheRead: r.read(path+"cache_read", b.CacheRead),
		CacheWrite5m: r.read(path+"cache_write", b.CacheWrite), CacheWrite1h: r.read(path+"cache_write_1h", b.CacheWrite1h),
		Reasoning: r.read(path+"reasoning", b.Reasoning),
	}
	for name, s := range b.Services {
		if out.Services == nil {
			out.Services = make(map[string]usage.ServiceRates, len(b.Services))
		}
		out.Services[name] = r.service(path+"services."+name+".", s)
	}
	return out
}

func (b *priceBody) price(path string) (usage.Price, error) {
	var r rateReader
	p := usage.Price{Provider: b.Provider, Model: b.Model, Rates: r.rates(path+"rates.", b.Rates), Multipliers: b.Multipliers}
	for i, t := range b.Tiers {
		p.Tiers = append(p.Tiers, usage.Tier{Above: t.AboveInputTokens, Rates: r.rates(fmt.Sprintf("%stiers[%d].rates.", path, i), t.Rates)})
	}
	for _, when := range []struct{ from, to *time.Time }{{b.ValidFrom, &p.From}, {b.ValidUntil, &p.Until}, {b.DeprecatedAt, &p.Deprecated}} {
		if when.from != nil {
			*when.to = *when.from
		}
	}
	if b.Source != nil {
		p.Source = usage.Source{Text: b.Source.Text, URL: b.Source.URL}
	}
	return p, r.err
}

type setPricesInput struct {
	Body struct {
		Prices []priceBody `json:"prices" minItems:"1" maxItems:"200"`
	}
}

type pricesWire struct {
	Data []priceWire `json:"data" nullable:"false" doc:"In the order of the request."`
}

type listPricesInput struct {
	Provider string    `query:"provider" maxLength:"100" doc:"Only this provider, by any of its names."`
	Model    string    `query:"model" maxLength:"200" doc:"Only what this model may cost, the price that counts first."`
	At       time.Time `query:"at" doc:"What is in force then; left out, now."`
	Own      string    `query:"own" enum:"true,false" doc:"Only the tenant's own, or only the server's."`
	Limit    int       `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"Items on a page."`
	Cursor   string    `query:"cursor" doc:"next_page of the page before."`
	Page     string    `query:"page" doc:"Another name of cursor."`
}

// PriceInput names a price. Its type is exported, as that of all that inputs may embed.
type PriceInput struct {
	PriceID string `path:"price_id" doc:"prc_..."`
}

func (f *face) registerPrices() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listPrices", Method: http.MethodGet, Path: "/v1/prices", Tag: "usage",
		Summary: "List the prices of models that are in force", AnyKey: true,
		Description: "The tenant's own first, which count instead of the server's.",
	}, func(ctx context.Context, in *listPricesInput) (*output[httpx.List[priceWire]], error) {
		filter := usage.PriceFilter{Provider: in.Provider, Model: in.Model, At: in.At}
		if in.Own != "" {
			own := in.Own == "true"
			filter.Own = &own
		}
		p, err := f.deps.Prices.Prices(ctx, httpx.Scope(ctx), filter, page.Request{Limit: in.Limit, Cursor: cmp.Or(in.Cursor, in.Page)})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showPrice)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "setPrices", Method: http.MethodPut, Path: "/v1/prices", Tag: "usage", Strict: true, Statuses: []int{http.StatusConflict},
		Example: `{"prices":[{"provider":"openai","model":"gpt-4o","valid_from":"2026-09-01T00:00:00Z","rates":{"input":"2.10","output":"8.40",` +
			`"cache_read":"1.05","services":{"batch":{"input":"1.05","output":"4.20"}}},"source":{"text":"our contract of August"}}]}`,
		Summary: "Set prices of your own", Permission: account.PoliciesWrite,
		Description: "They count instead of the server's for the models that they name. All are set, or none. A price with the same `valid_from` " +
			"takes the place of the one that was there; one that begins later ends the one before. What was used before keeps its cost, " +
			"see `/v1/usage/rerate`. It takes the permission to write policies, because limits of money count with prices.",
	}, func(ctx context.Context, in *setPricesInput) (*output[pricesWire], error) {
		prices := make([]usage.Price, len(in.Body.Prices))
		for i := range in.Body.Prices {
			var err error
			if prices[i], err = in.Body.Prices[i].price(fmt.Sprintf("prices[%d].", i)); err != nil {
				return nil, err
			}
		}
		set, err := f.deps.Prices.Set(ctx, httpx.Scope(ctx), prices)
		if err != nil {
			return nil, err
		}
		out := pricesWire{make([]priceWire, len(set))}
		for i, p := range set {
			out.Data[i] = showPrice(p)
		}
		return ok(out), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getPrice", Method: http.MethodGet, Path: "/v1/prices/{price_id}", Tag: "usage", Summary: "Read a price", AnyKey: true,
		Description: "Also one that counts no more, which older usage names.",
	}, func(ctx context.Context, in *PriceInput) (*output[priceWire], error) {
		price, err := id.Parse[id.PriceKind](in.PriceID)
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Prices.Get(ctx, httpx.Scope(ctx), price)
		if err != nil {
			return nil, err
		}
		return ok(showPrice(p)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deletePrice", Method: http.MethodDelete, Path: "/v1/prices/{price_id}", Tag: "usage",
		Summary: "Take a price of your own out of force", Permission: account.PoliciesWrite,
		Description: "The server's price of the model counts again, at all times. Usage that names it can still read it.",
	}, func(ctx context.Context, in *PriceInput) (*output[httpx.Deleted], error) {
		price, err := id.Parse[id.PriceKind](in.PriceID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Prices.Delete(ctx, httpx.Scope(ctx), price); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: price.String(), Type: "price_deleted"}), nil
	})
}
