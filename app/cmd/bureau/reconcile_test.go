package main

import (
	"bytes"
	"errors"
	"testing"
)

func TestReconcilePrints(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	good := reconciliationView{OK: true, Checked: map[string]int64{"wallets": 3, "entries": 9, "acts": 2, "usage": 1, "holds": 1}}
	if err := good.print(&out); err != nil || out.String() != "the books agree: 3 wallets, 9 ledger entries, 2 acts, 1 usage rows, 1 open holds\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	bad := reconciliationView{Truncated: true, Differences: []map[string]any{
		{"kind": "amount_differs", "transaction_id": "tx_1", "action_id": "act_1", "agent_id": nil, "expected": "5.00", "found": "6.00", "currency": "USDC"},
	}}
	err := bad.print(&out)
	var exit exitError
	if !errors.As(err, &exit) || exit.code != exitDiffer || err.Error() != "the books disagree: more than 1 differences" {
		t.Errorf("%v", err)
	}
	if want := "amount_differs transaction=tx_1 action=act_1 expected=5.00 found=6.00 currency=USDC\n"; out.String() != want {
		t.Errorf("%q; want %q", out.String(), want)
	}
}
