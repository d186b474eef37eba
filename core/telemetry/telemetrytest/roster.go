package telemetrytest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

// testEventRoster has the roster asked for an agent once in a second, and at once when the agent was forgotten meanwhile.
func testEventRoster(t *testing.T, d *desk) {
	ctx := context.Background()
	report := func() error {
		_, err := d.Report(ctx, d.sc, []telemetry.NewEvent{{Agent: d.agent, Type: "x"}})
		return err
	}
	gone := func(is bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.unknown[d.agent] = is
	}
	pass := func(by time.Duration) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.now = d.now.Add(by)
	}
	asked := 0
	expect := func(when string, questions int, there bool) {
		t.Helper()
		if err := report(); there && err != nil || !there && !errors.Is(err, id.NotFound[id.AgentKind]("")) {
			t.Errorf("%s: %v", when, err)
		}
		if asked += questions; d.asked != asked {
			t.Errorf("%s: the roster was asked %d times, want %d", when, d.asked, asked)
			asked = d.asked
		}
	}
	expect("at first", 1, true)
	gone(true)
	expect("right afterwards", 0, true)
	pass(time.Second)
	expect("a second later", 1, false)
	expect("again", 1, false)
	gone(false)
	expect("there again", 1, true)
	pass(-time.Hour)
	expect("the clock was put back", 1, true)

	gone(true)
	undone := errors.New("undone")
	forget := func(result error) {
		t.Helper()
		if err := d.tx.Do(ctx, func(ctx context.Context) error { return errors.Join(d.Forget(ctx, d.sc, d.agent), result) }); !errors.Is(err, result) {
			t.Fatal(err)
		}
	}
	forget(undone)
	expect("not destroyed after all", 0, true)
	forget(nil)
	expect("destroyed", 1, false)

	// Who was found by a question that was under way when it was destroyed is not remembered.
	gone(false)
	d.questioned = func() { forget(nil) }
	expect("destroyed meanwhile", 1, true)
	d.questioned = nil
	gone(true)
	expect("destroyed meanwhile, again", 1, false)

	// Nor is one whom a transaction made that was undone.
	gone(false)
	if err := d.tx.Do(ctx, func(ctx context.Context) error {
		_, err := d.Report(ctx, d.sc, []telemetry.NewEvent{{Agent: d.agent, Type: "x"}})
		return errors.Join(err, undone)
	}); !errors.Is(err, undone) {
		t.Fatal(err)
	}
	asked = d.asked
	gone(true)
	expect("never made", 1, false)
}
