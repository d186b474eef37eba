-- A counter that rolls is one row, whose buckets are [[start, spent, reserved], ...] with seconds since 1970, and whose spent and reserved
-- are 0: one lock holds all its buckets. touched_at tells which counters nobody comes to any more.
ALTER TABLE policy_counters ADD COLUMN buckets TEXT;
ALTER TABLE policy_counters ADD COLUMN touched_at TEXT NOT NULL DEFAULT '';
UPDATE policy_counters SET touched_at = strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z';

-- What policies tell payees apart by. Rows from before have the payee in lower case, which is the same for plain names and hosts.
ALTER TABLE acts ADD COLUMN payee_key TEXT;
UPDATE acts SET payee_key = lower(payee) WHERE action IN ('payment', 'transfer');
CREATE INDEX acts_paid ON acts (tenant_id, payee_key, agent_id) WHERE state = 'done' AND action IN ('payment', 'transfer');

-- A run's acts and what its models consumed, for limits per run that are set while it is under way.
CREATE INDEX acts_moved_in_run ON acts (tenant_id, COALESCE(run_id, session_id))
    WHERE state = 'done' AND action IN ('payment', 'transfer') AND session_id IS NOT NULL;
CREATE INDEX usage_rows_session ON usage_rows (tenant_id, session_id) WHERE session_id IS NOT NULL;
