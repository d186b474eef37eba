package app_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// TestA2AApprovalIsOneWithItsMessage has the store fail where a peer's yes is to be noted: then nothing was approved, and the same message
// approves it later. Otherwise a server that dies in between would leave a yes that took effect and is not known when it comes again.
func TestA2AApprovalIsOneWithItsMessage(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		driver, source := "pgx", cfg.DatabaseURL
		fail := []string{
			`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$`,
			`CREATE TRIGGER fail BEFORE INSERT ON a2a_messages FOR EACH ROW WHEN (NEW.name = 'the answer') EXECUTE FUNCTION fail()`,
		}
		mend := "DROP TRIGGER fail ON a2a_messages"
		if source == "" {
			dir := apptest.DataDir(t)
			cfg.Change = func(c *app.Config) { c.DataDir = dir }
			driver, source = "sqlite", "file:"+filepath.Join(dir, "bureau.db")+"?_txlock=immediate&_pragma=busy_timeout(30000)"
			fail = []string{`CREATE TRIGGER fail BEFORE INSERT ON a2a_messages WHEN NEW.name = 'the answer' BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`}
			mend = "DROP TRIGGER fail"
		}
		s := apptest.Start(t, cfg)
		db, err := sql.Open(driver, source)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		exec := func(statements ...string) {
			t.Helper()
			for _, statement := range statements {
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
		}
		agent := agentWith(t, s.Admin, m{"name": "Payer"})
		api := s.Admin.In(t)
		api.Call("POST", "/v1/agents/"+agent+"/wallet/deposits", m{"amount": usdc("100")}, nil)
		api.Call("POST", "/v1/policies", m{"scope": m{"agent_id": agent}, "limits": m{"require_approval_above": usdc("5")}}, nil)
		has := func(amount string) {
			t.Helper()
			var w struct{ Available struct{ Amount string } }
			if api.Call("GET", "/v1/agents/"+agent+"/wallet", nil, &w); w.Available.Amount != amount {
				t.Errorf("the agent has %s, want %s", w.Available.Amount, amount)
			}
		}
		p := newA2APeer(t, s, "1.0 JSON-RPC", s.Admin, agent)
		task := p.send(saysText("Pay 20 USDC to vendor.example"))
		wantState(t, task, a2a.TaskStateInputRequired)
		yes := in(saysText("yes"), task)
		yes.ID = "the answer"
		exec(fail...)
		if _, err := p.try(yes); err == nil {
			t.Error("an answer that cannot be noted is taken")
		}
		wantState(t, p.get(task.ID), a2a.TaskStateInputRequired)
		has("100.00")
		exec(mend)
		for range 2 { // and when it comes again it finds its task
			again := p.send(yes)
			if wantState(t, again, a2a.TaskStateCompleted); again.ID != task.ID {
				t.Errorf("task %s, want %s", again.ID, task.ID)
			}
			has("80.00")
		}
		said := 0
		for _, m := range p.get(task.ID).History {
			if m.ID == yes.ID {
				said++
			}
		}
		if said != 1 {
			t.Errorf("the answer is %d times in the history", said)
		}
	})
}
