package usagetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
)

// testReports stores several at once, or none.
func testReports(t *testing.T, b *bench) {
	a, other := b.agent(), b.agent()
	good := usage.Report{Agent: a, Model: "gpt-4o", Counts: usage.Counts{Input: 10, Output: 1}}
	rows, err := b.Reports(bg, b.sc, []usage.Report{good, {Agent: other, Model: "unheard-of"}, good})
	if err != nil || len(rows) != 3 || rows[1].Cost != nil || rows[0].Cost == nil {
		t.Fatalf("%+v, %v", rows, err)
	}
	listed := b.list(t, usage.Filter{})
	if diff := cmp.Diff([]usage.Row{rows[2], rows[1], rows[0]}, listed, same); diff != "" {
		t.Error(diff)
	}
	for path, bad := range map[string]usage.Report{
		"reports[1].model":        {Agent: a},
		"reports[1].tokens_input": {Agent: a, Model: "m", Counts: usage.Counts{Input: -1}},
		"reports[1].modifiers[0]": {Agent: a, Model: "m", Modifiers: []string{"no blanks"}},
		"reports[1].modifiers":    {Agent: a, Model: "m", Modifiers: strings.Split("a b c d e f g h i", " ")},
		"reports[1].service_tier": {Agent: a, Model: "m", Service: strings.Repeat("x", 33)},
		"reports[1].used_at":      {Agent: a, Model: "m", At: b.now.Add(usage.MaxAhead + time.Second)},
		"reports[1].errors":       {Agent: a, Model: "m", Calls: 1, Errors: 2},
		"reports[1]":              {Agent: a, Model: "gpt-5.4-pro", Counts: usage.Counts{Output: 1e12}},
	} {
		_, err := b.Reports(bg, b.sc, []usage.Report{good, bad})
		if f, ok := fault.As(err); !ok || len(f.Fields) != 1 || f.Fields[0].Path != path || f.Kind != fault.Invalid {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := b.Reports(bg, b.sc, []usage.Report{good, {Agent: b.unknown, Model: "m"}}); !errors.Is(err, id.NotFound[id.AgentKind]("")) {
		t.Errorf("an unknown agent: %v; want agent_not_found", err)
	}
	for _, n := range []int{0, usage.MaxReports + 1} {
		if _, err := b.Reports(bg, b.sc, make([]usage.Report, n)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d reports: %v; want fault.Invalid", n, err)
		}
	}
	if n := len(b.list(t, usage.Filter{})); n != 3 {
		t.Errorf("%d rows are stored; want 3", n)
	}
}

// testTerms keeps on what terms something was used, and prices it by the time of its use.
func testTerms(t *testing.T, b *bench) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	row, err := b.Report(bg, b.sc, usage.Report{
		Agent: b.agent(), Model: "gpt-5.6-luna", Provider: "openai", Counts: usage.Counts{Input: 10}, Service: "Flex",
		Modifiers: []string{"regional_eu", "Night", "regional_eu"}, At: at,
	})
	if err != nil {
		t.Fatal(err)
	}
	cost := money.Pico(10 * 1_000_000) // before the price fell
	want := usage.Row{
		ID: row.ID, Tenant: b.sc.Tenant, Agent: row.Agent, Model: "gpt-5.6-luna", Provider: "openai", Usage: llm.Usage{Input: 10}, CountedInput: 10,
		Calls: 1, Service: "flex", Modifiers: []string{"night", "regional_eu"}, Flags: usage.FlagService | usage.FlagModifier, Cost: &cost,
		Price: "openai/gpt-5.6-luna", CreatedAt: at,
	}
	if diff := cmp.Diff([]usage.Row{want}, b.list(t, usage.Filter{}), same); diff != "" {
		t.Error(diff)
	}
	names := []string{"service_tier_unpriced", "modifier_unpriced"}
	if diff := cmp.Diff(names, row.Flags.Names()); diff != "" {
		t.Error(diff)
	}
}
