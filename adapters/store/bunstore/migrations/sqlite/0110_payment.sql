ALTER TABLE acts ADD COLUMN rail TEXT NOT NULL DEFAULT '';
CREATE INDEX acts_approved_rail ON acts (id) WHERE state = 'ready' AND rail <> '' AND session_id IS NULL;

-- A payment over a rail, from the moment it may leave. due_at is when somebody must ask the rail, and until then the lease of whoever
-- does; NULL when nothing is open.
CREATE TABLE payments (
    tenant_id    TEXT NOT NULL,
    id           TEXT NOT NULL,
    act_id       TEXT NOT NULL,
    agent_id     TEXT NOT NULL,
    session_id   TEXT,
    rail         TEXT NOT NULL,
    currency     TEXT NOT NULL,
    amount       INTEGER NOT NULL CHECK (amount > 0),
    paid         INTEGER NOT NULL CHECK (paid >= 0 AND paid <= amount),
    refunded     INTEGER NOT NULL CHECK (refunded >= 0 AND refunded <= paid),
    refunding    INTEGER NOT NULL CHECK (refunding >= 0),
    refund_key   TEXT NOT NULL,
    payee        TEXT NOT NULL,
    description  TEXT NOT NULL,
    target       TEXT,
    status       TEXT NOT NULL,
    hold_id      TEXT NOT NULL,
    entry_id     TEXT,
    reference    TEXT NOT NULL,
    result       TEXT,
    error        TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    asked        INTEGER NOT NULL,
    due_at       TEXT,
    last_at      TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    ended_at     TEXT,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX payments_act ON payments (tenant_id, act_id);
CREATE UNIQUE INDEX payments_entry ON payments (tenant_id, entry_id) WHERE entry_id IS NOT NULL;
CREATE INDEX payments_due ON payments (due_at) WHERE due_at IS NOT NULL;
