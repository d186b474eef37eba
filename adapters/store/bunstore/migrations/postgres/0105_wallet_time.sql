-- Of a wallet and of the lines that are its transactions: when the wallet was moved, by a time that never runs backwards in the
-- order of seq. Statements find their bounds by it.
ALTER TABLE wallets ADD COLUMN updated_at timestamptz;
ALTER TABLE ledger_lines ADD COLUMN posted_at timestamptz;
UPDATE ledger_lines AS l SET posted_at = m.posted_at
FROM (
    SELECT l.tenant_id, l.entry_id, l.line, MAX(e.created_at) OVER (PARTITION BY l.wallet_id ORDER BY l.seq) AS posted_at
    FROM ledger_lines AS l
    JOIN ledger_entries AS e ON e.tenant_id = l.tenant_id AND e.id = l.entry_id
    WHERE l.kind IS NOT NULL
) AS m
WHERE l.tenant_id = m.tenant_id AND l.entry_id = m.entry_id AND l.line = m.line;
UPDATE wallets SET updated_at = COALESCE((SELECT MAX(l.posted_at) FROM ledger_lines AS l WHERE l.wallet_id = wallets.id), created_at);
ALTER TABLE wallets ALTER COLUMN updated_at SET NOT NULL;
CREATE INDEX ledger_lines_time ON ledger_lines (wallet_id, posted_at, seq) WHERE kind IS NOT NULL;
-- Rows come in the order of their times, so that a block range index finds a period and costs a payment nothing.
CREATE INDEX ledger_entries_time ON ledger_entries USING brin (created_at);
CREATE INDEX audit_entries_time ON audit_entries USING brin (created_at);
CREATE INDEX wallet_holds_agent ON wallet_holds (tenant_id, agent_id, id);
