-- scope_key is "tenant", "swarm:" or "agent:" with the UUID: one index answers what applies to an agent.
CREATE TABLE policies (
    tenant_id  uuid NOT NULL,
    id         uuid NOT NULL,
    scope_key  text NOT NULL,
    limits     text NOT NULL,
    rules      text NOT NULL,
    version    bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX policies_scope ON policies (tenant_id, scope_key);

-- Every counted act changes some of these rows and no index of theirs, hence the room for updates in place.
CREATE TABLE policy_counters (
    tenant_id    uuid NOT NULL,
    policy_id    uuid NOT NULL,
    name         text NOT NULL,
    span         text NOT NULL,
    span_start   timestamptz NOT NULL,
    unit         text NOT NULL,
    spent        bigint NOT NULL CHECK (spent >= 0),
    reserved     bigint NOT NULL CHECK (reserved >= 0),
    PRIMARY KEY (tenant_id, policy_id, name, span, span_start, unit)
) WITH (fillfactor = 50);

CREATE TABLE approvals (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    act_id      uuid NOT NULL,
    agent_id    uuid NOT NULL,
    session_id  uuid,
    tool_use_id uuid,
    action      text NOT NULL,
    amount      bigint,
    currency    text,
    payee       text NOT NULL,
    detail      text NOT NULL,
    rule        text NOT NULL,
    reason      text NOT NULL,
    status      text NOT NULL,
    expires_at  timestamptz NOT NULL,
    decided_by  text NOT NULL,
    decided_at  timestamptz,
    note        text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX approvals_due ON approvals (expires_at) WHERE status = 'pending';
CREATE INDEX approvals_agent ON approvals (tenant_id, agent_id, id);
