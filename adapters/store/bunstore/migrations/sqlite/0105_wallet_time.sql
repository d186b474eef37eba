-- Of a wallet and of the lines that are its transactions: when the wallet was moved, by a time that never runs backwards in the
-- order of seq. Statements find their bounds by it.
ALTER TABLE wallets ADD COLUMN updated_at TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger_lines ADD COLUMN posted_at TEXT;
UPDATE ledger_lines SET posted_at = m.posted_at
FROM (
    SELECT l.tenant_id, l.entry_id, l.line, MAX(e.created_at) OVER (PARTITION BY l.wallet_id ORDER BY l.seq) AS posted_at
    FROM ledger_lines AS l
    JOIN ledger_entries AS e ON e.tenant_id = l.tenant_id AND e.id = l.entry_id
    WHERE l.kind IS NOT NULL
) AS m
WHERE ledger_lines.tenant_id = m.tenant_id AND ledger_lines.entry_id = m.entry_id AND ledger_lines.line = m.line;
UPDATE wallets SET updated_at = COALESCE((SELECT MAX(l.posted_at) FROM ledger_lines AS l WHERE l.wallet_id = wallets.id), created_at);
CREATE INDEX ledger_lines_time ON ledger_lines (wallet_id, posted_at, seq) WHERE kind IS NOT NULL;
CREATE INDEX ledger_entries_time ON ledger_entries (tenant_id, created_at);
CREATE INDEX audit_entries_time ON audit_entries (tenant_id, created_at);
CREATE INDEX wallet_holds_agent ON wallet_holds (tenant_id, agent_id, id);
