package app_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// BenchmarkValidateBatch validates 100 cards with one request over HTTP: with a report of each, and without.
func BenchmarkValidateBatch(b *testing.B) {
	s := apptest.Start(b, apptest.Config{})
	for _, mode := range []string{"standard", "cli"} {
		b.Run(mode, func(b *testing.B) {
			const cards = 100
			batch := m{"validation_mode": mode}
			var items []m
			for i := range cards {
				items = append(items, m{"id": strconv.Itoa(i), "agent_card": goodCard("agent" + strconv.Itoa(i))})
			}
			batch["cards"] = items
			body, err := json.Marshal(batch)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL+"/v1/validate/batch", bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("X-Api-Key", s.Admin.Key())
				answer, err := http.DefaultClient.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				text, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err != nil || answer.StatusCode != http.StatusOK {
					b.Fatalf("%d %s %v", answer.StatusCode, text, err)
				}
			}
			b.ReportMetric(float64(cards*b.N)/b.Elapsed().Seconds(), "cards/s")
		})
	}
}
