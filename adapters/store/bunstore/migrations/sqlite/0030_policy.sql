-- scope_key is "tenant", "swarm:" or "agent:" with the UUID: one index answers what applies to an agent.
CREATE TABLE policies (
    tenant_id  TEXT NOT NULL,
    id         TEXT NOT NULL,
    scope_key  TEXT NOT NULL,
    limits     TEXT NOT NULL,
    rules      TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX policies_scope ON policies (tenant_id, scope_key);

CREATE TABLE policy_counters (
    tenant_id    TEXT NOT NULL,
    policy_id    TEXT NOT NULL,
    name         TEXT NOT NULL,
    span         TEXT NOT NULL,
    span_start   TEXT NOT NULL,
    unit         TEXT NOT NULL,
    spent        INTEGER NOT NULL CHECK (spent >= 0),
    reserved     INTEGER NOT NULL CHECK (reserved >= 0),
    PRIMARY KEY (tenant_id, policy_id, name, span, span_start, unit)
);

CREATE TABLE approvals (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    act_id      TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    session_id  TEXT,
    tool_use_id TEXT,
    action      TEXT NOT NULL,
    amount      INTEGER,
    currency    TEXT,
    payee       TEXT NOT NULL,
    detail      TEXT NOT NULL,
    rule        TEXT NOT NULL,
    reason      TEXT NOT NULL,
    status      TEXT NOT NULL,
    expires_at  TEXT NOT NULL,
    decided_by  TEXT NOT NULL,
    decided_at  TEXT,
    note        TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX approvals_due ON approvals (expires_at) WHERE status = 'pending';
CREATE INDEX approvals_agent ON approvals (tenant_id, agent_id, id);
