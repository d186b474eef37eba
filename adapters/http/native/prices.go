package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

type priceWire struct {
	Provider    string           `json:"provider"`
	Model       string           `json:"model"`
	ValidFrom   *stamp           `json:"valid_from" doc:"null has always been."`
	ValidUntil  *stamp           `json:"valid_until"`
	Rates       ratesWire        `json:"rates"`
	Tiers       []priceTierWire  `json:"tiers" nullable:"false" doc:"A request with more input than a threshold is priced by its rates as a whole."`
	Multipliers map[string]int64 `json:"multipliers" doc:"What a modifier does to the whole cost, in thousandths."`
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
		Provider: p.Provider, Model: p.Model, Rates: showRates(p.Rates), Tiers: make([]priceTierWire, 0, len(p.Tiers)),
		Multipliers: p.Multipliers,
	}
	if !p.From.IsZero() {
		out.ValidFrom = stampPtr(&p.From)
	}
	if !p.Until.IsZero() {
		out.ValidUntil = stampPtr(&p.Until)
	}
	for _, t := range p.Tiers {
		out.Tiers = append(out.Tiers, priceTierWire{t.Above, showRates(t.Rates)})
	}
	if out.Multipliers == nil {
		out.Multipliers = map[string]int64{}
	}
	return out
}

func (f *face) registerPrices() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listPrices", Method: http.MethodGet, Path: "/v1/prices", Tag: "usage",
		Summary: "List the prices of models that are in force", AnyKey: true,
		Description: "The whole list on one page.",
	}, func(ctx context.Context, _ *struct{}) (*output[httpx.List[priceWire]], error) {
		prices, err := f.deps.Usage.Prices(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(page.Page[usage.Price]{Items: prices}, showPrice)), nil
	})
}
