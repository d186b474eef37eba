-- One row per act that passed, or was stopped by, the gate. arguments, decision and output are TEXT because their bytes matter
-- or are never searched.
CREATE TABLE acts (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    act_key     text NOT NULL,
    args_hash   text NOT NULL,
    action      text NOT NULL,
    agent_id    uuid NOT NULL,
    session_id  uuid,
    tool_use_id uuid,
    amount      bigint,
    currency    text,
    tokens      bigint NOT NULL,
    payee       text NOT NULL,
    category    text NOT NULL,
    description text NOT NULL,
    tool        text NOT NULL,
    arguments   text,
    idempotent  boolean NOT NULL,
    state       text NOT NULL,
    decision    text NOT NULL,
    approval_id uuid,
    reserved    text,
    output      text,
    error       text NOT NULL,
    created_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX acts_key ON acts (tenant_id, act_key);
CREATE INDEX acts_open ON acts (tenant_id, agent_id, id) WHERE state IN ('parked', 'ready', 'started');
CREATE INDEX acts_waiting ON acts (tenant_id, session_id, id) WHERE state IN ('parked', 'ready');
CREATE INDEX acts_moved ON acts (tenant_id, ended_at, agent_id) WHERE state = 'done' AND action IN ('payment', 'transfer');
