-- One row per act that passed, or was stopped by, the gate. arguments, decision and output are TEXT because their bytes matter
-- or are never searched.
CREATE TABLE acts (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    act_key     TEXT NOT NULL,
    args_hash   TEXT NOT NULL,
    action      TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    session_id  TEXT,
    tool_use_id TEXT,
    amount      INTEGER,
    currency    TEXT,
    tokens      INTEGER NOT NULL,
    payee       TEXT NOT NULL,
    category    TEXT NOT NULL,
    description TEXT NOT NULL,
    tool        TEXT NOT NULL,
    arguments   TEXT,
    idempotent  BOOLEAN NOT NULL,
    state       TEXT NOT NULL,
    decision    TEXT NOT NULL,
    approval_id TEXT,
    reserved    TEXT,
    output      TEXT,
    error       TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    ended_at    TEXT,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX acts_key ON acts (tenant_id, act_key);
CREATE INDEX acts_open ON acts (tenant_id, agent_id, id) WHERE state IN ('parked', 'ready', 'started');
CREATE INDEX acts_waiting ON acts (tenant_id, session_id, id) WHERE state IN ('parked', 'ready');
CREATE INDEX acts_moved ON acts (tenant_id, ended_at, agent_id) WHERE state = 'done' AND action IN ('payment', 'transfer');
