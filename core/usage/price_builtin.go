package usage

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the price list
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

//go:embed prices.json
var builtin []byte

// builtinSource is where the figures of prices.json come from; the package's documentation names what differs.
var builtinSource = Source{
	Text: "LiteLLM price map, 2026-08-01",
	URL:  "https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json",
}

// priceRow is an element of prices.json. Prices are picodollars per token.
type priceRow struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	From     string `json:"from"`
	Until    string `json:"until"`
	rateRow
	Tiers []struct {
		Above int64 `json:"above"`
		rateRow
	} `json:"tiers"`
	Multipliers map[string]int64 `json:"multipliers"`
	Deprecated  string           `json:"deprecated"`
	Source      string           `json:"source"` // "" is builtinSource
}

type rateRow struct {
	In           int64                 `json:"in"`
	Out          int64                 `json:"out"`
	CacheRead    *int64                `json:"cache_read"`
	CacheWrite   *int64                `json:"cache_write"`
	CacheWrite1h *int64                `json:"cache_write_1h"`
	OutReasoning *int64                `json:"out_reasoning"`
	Services     map[string]serviceRow `json:"services"`
}

type serviceRow struct {
	In           *int64 `json:"in"`
	Out          *int64 `json:"out"`
	CacheRead    *int64 `json:"cache_read"`
	CacheWrite   *int64 `json:"cache_write"`
	CacheWrite1h *int64 `json:"cache_write_1h"`
	OutReasoning *int64 `json:"out_reasoning"`
}

func (r rateRow) rates() Rates {
	out := Rates{
		Input: r.In, Output: r.Out, CacheRead: r.CacheRead, CacheWrite5m: r.CacheWrite, CacheWrite1h: r.CacheWrite1h,
		Reasoning: r.OutReasoning,
	}
	for name, s := range r.Services {
		if out.Services == nil {
			out.Services = make(map[string]ServiceRates, len(r.Services))
		}
		out.Services[name] = ServiceRates{
			Input: s.In, Output: s.Out, CacheRead: s.CacheRead, CacheWrite5m: s.CacheWrite, CacheWrite1h: s.CacheWrite1h,
			Reasoning: s.OutReasoning,
		}
	}
	return out
}

// Builtin returns the prices that this package ships.
func Builtin() ([]Price, error) {
	var rows []priceRow
	dec := json.NewDecoder(bytes.NewReader(builtin))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rows); err != nil {
		return nil, fmt.Errorf("usage: prices.json: %w", err)
	}
	out := make([]Price, len(rows))
	for i, r := range rows {
		p := Price{Provider: r.Provider, Model: r.Model, Rates: r.rates(), Multipliers: r.Multipliers, Source: builtinSource}
		if r.Source != "" {
			p.Source = Source{Text: r.Source}
		}
		for _, t := range r.Tiers {
			p.Tiers = append(p.Tiers, Tier{t.Above, t.rates()})
		}
		for _, d := range []struct {
			text string
			to   *time.Time
		}{{r.From, &p.From}, {r.Until, &p.Until}, {r.Deprecated, &p.Deprecated}} {
			var err error
			if *d.to, err = day(d.text); err != nil {
				return nil, fmt.Errorf("usage: prices.json: %s: %w", r.Model, err)
			}
		}
		out[i] = p
	}
	return out, nil
}

// builtinContent names the built-in prices, and how they are read.
func builtinContent() string {
	sum := sha256.Sum256(append([]byte(builtinSource.Text+"\n"), builtin...))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func day(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, s)
}
