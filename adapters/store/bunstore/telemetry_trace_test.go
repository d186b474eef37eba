package bunstore

import (
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/telemetry/telemetrytest"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestTraces(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		events := s.Events()
		telemetrytest.RunTraces(t, telemetrytest.TracesConfig{New: func(*testing.T) (telemetrytest.TraceStores, tx.Runner) {
			return telemetrytest.TraceStores{Events: events, Traces: events, Messages: s.AgentMessages(), Feedback: s.Feedback()}, s
		}})
	})
}

func TestRetention(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		telemetrytest.RunRetention(t, telemetrytest.RetentionConfig{New: func(*testing.T) (telemetrytest.RetentionStores, tx.Runner) {
			return telemetrytest.RetentionStores{
				Retention: s.Retention(), Events: s.Events(), Messages: s.AgentMessages(), Feedback: s.Feedback(),
			}, s
		}})
	})
}

// TestSearchBounds reads no more than a page of a search may, and goes on from there.
func TestSearchBounds(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		r, sc := s.Events(), account.System(id.New[id.TenantKind](ids))
		now := time.UnixMilli(1_790_000_000_000)
		var events []telemetry.Event
		for i := range 10 {
			e := telemetry.Event{
				ID: id.New[id.ReportKind](ids), Tenant: sc.Tenant, Agent: id.New[id.AgentKind](ids), Type: "hay", Level: telemetry.LevelInfo,
				At: now.Add(time.Duration(i) * time.Millisecond), Payload: []byte(`{"n":"0123456789"}`),
			}
			if i == 2 {
				e.Type = "needle"
			}
			u := e.ID.UUID()
			u[6] = 0x80 | u[6]&0x0f // the time is not that of the id
			e.ID = id.Of[id.ReportKind](u)
			events = append(events, e)
		}
		if _, err := r.InsertEvents(t.Context(), sc, events); err != nil {
			t.Fatal(err)
		}
		f := telemetry.Filter{Search: "needle"}
		for name, c := range map[string]struct{ events, bytes, pages int }{
			"events": {4, 1 << 20, 3}, "bytes": {1000, 40, 4}, "one payload": {1000, 1, 11}, "neither": {1000, 1 << 20, 1}, "exactly": {10, 1 << 20, 2},
		} {
			found, pages, req := 0, 0, page.Request{Limit: 5}
			for {
				p, err := r.search(t.Context(), sc, f, req, f.Match(), c.events, c.bytes)
				if err != nil {
					t.Fatal(err)
				}
				found += len(p.Items)
				pages++
				if req.Cursor = p.Next; req.Cursor == "" {
					break
				}
			}
			if found != 1 || pages != c.pages {
				t.Errorf("%s: found %d on %d pages; want 1 on %d", name, found, pages, c.pages)
			}
		}
	})
}
