package app_test

import (
	"testing"
	"time"
)

// prices makes a price of the tenant's own, and a re-rating that has ended.
func (w *world) prices(t *testing.T, create func(path string, body any) string) {
	t.Helper()
	var set struct{ Data []struct{ ID string } }
	w.api.Call("PUT", "/v1/prices", m{"prices": []m{w.priceBody()}}, &set)
	w.price = set.Data[0].ID
	w.rerate = create("/v1/usage/rerate", m{"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", "model": w.name, "apply": true})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for status := ""; status != "done"; <-tick.C {
		var r struct{ Status string }
		w.api.Call("GET", "/v1/usage/rerates/"+w.rerate, nil, &r)
		status = r.Status
	}
}

func (w *world) priceBody() m {
	rates := m{"input": "1.25", "output": "10", "cache_read": "0.125", "services": m{"batch": m{"input": "0.625"}}}
	return m{
		"provider": w.name, "model": w.name + "-priced", "valid_from": "2026-01-01T00:00:00Z", "rates": rates,
		"tiers": []m{{"above_input_tokens": 200_000, "rates": rates}}, "multipliers": m{"eu": 1100},
		"source": m{"text": "contract of " + w.name, "url": "https://example.com/" + w.name}, "deprecated_at": "2100-01-01T00:00:00Z",
	}
}
