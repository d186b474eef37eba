package session

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

// TestResultSpellsTransactions has a model read the id by which the API finds what it paid.
func TestResultSpellsTransactions(t *testing.T) {
	t.Parallel()
	tx := id.New[id.LedgerEntryKind](id.NewGenerator(time.Now))
	stored := `{"transaction_id":"` + tx.UUID().String() + `","amount":"5.00"}`
	for action, want := range map[rule.Action]string{
		rule.ActionPayment:  `{"transaction_id":"` + tx.String() + `","amount":"5.00"}`,
		rule.ActionTransfer: `{"transaction_id":"` + tx.String() + `","amount":"5.00"}`,
		rule.ActionToolCall: stored, // what a tool says is its own
	} {
		got := ResultOf(gate.Record{Act: gate.Act{Action: action}, State: gate.Done, Output: json.RawMessage(stored)})
		if text := got.Content[0].Text; text != want {
			t.Errorf("%s: %s; want %s", action, text, want)
		}
	}
	if got := ResultOf(gate.Record{Act: gate.Act{Action: rule.ActionPayment}, State: gate.Done}).Content[0].Text; got != "done" {
		t.Errorf("without an output: %q", got)
	}
}
