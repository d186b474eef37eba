package bunstore

import (
	"context"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

func reportedNow(ids id.Generator, kind, source string) telemetry.Event {
	own := id.New[id.ReportKind](ids)
	ms, _ := madeAt(own.UUID())
	return telemetry.Event{
		ID: own, Agent: id.New[id.AgentKind](ids), Type: kind, Source: source, Level: telemetry.LevelInfo, At: time.UnixMilli(ms).UTC(),
	}
}

// TestEventNames counts events by names that mean something to databases: on Postgres they stand in the text of the statement.
func TestEventNames(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		ids := id.NewGenerator(time.Now)
		sc := account.System(id.New[id.TenantKind](ids))
		names := []string{`it's`, `\`, `\'); SELECT 1; --`, `"é😀"`, `$1 ? {a}`, "a\tb", `E'\x41'`, ""}
		for range 2 {
			var events []telemetry.Event
			for i, name := range names {
				events = append(events, reportedNow(ids, "k"+name, names[len(names)-1-i]))
			}
			if _, err := s.Events().InsertEvents(t.Context(), sc, events); err != nil {
				t.Fatal(err)
			}
		}
		for i, name := range names {
			f := telemetry.Filter{Type: "k" + name, Source: names[len(names)-1-i]}
			p, err := s.Events().Events(t.Context(), sc, f, page.Request{Limit: 1, Count: true})
			if err != nil || p.Total != 2 || len(p.Items) != 1 || p.Items[0].Type != f.Type || p.Items[0].Source != f.Source {
				t.Errorf("%q: %d, %v, %v", name, p.Total, p.Items, err)
			}
		}
	})
}

// TestEventsLost ends the connection while the database answers what it has committed: callers hear that the database is lost, not that their
// events were refused.
func TestEventsLost(t *testing.T) {
	t.Parallel()
	w, address := newWire(t)
	s := openStore(t, Config{URL: address})
	ids := id.NewGenerator(time.Now)
	sc := account.System(id.New[id.TenantKind](ids))
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	release := w.delay()
	const callers = 20
	answers := make(chan error, callers)
	for range callers {
		go func() {
			_, err := s.Events().InsertEvents(context.WithoutCancel(t.Context()), sc, []telemetry.Event{reportedNow(ids, "x", "")})
			answers <- err
		}()
	}
	<-w.held // an answer is under way
	w.cut()
	release()
	for range callers {
		if err := <-answers; fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%v, of the kind %s", err, fault.KindOf(err))
		}
	}
}
