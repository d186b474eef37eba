-- Budgets for the costs of models. amount is micro-dollars; an empty model or provider is any. What is spent in the period that began at
-- period_start is counted, so that its alerts are told of once: told is the highest level that was. counted_at is when it was counted from
-- usage_days last; NULL: that is due.
CREATE TABLE usage_budgets (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    name         text NOT NULL,
    agent_id     uuid,
    model        text NOT NULL,
    provider     text NOT NULL,
    amount       bigint NOT NULL,
    period       text NOT NULL,
    alerts       text NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    archived_at  timestamptz,
    period_start timestamptz,
    spent_micros bigint NOT NULL,
    spent_picos  bigint NOT NULL,
    told         bigint NOT NULL,
    counted_at   timestamptz,
    PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 50);
CREATE INDEX usage_budgets_live ON usage_budgets (tenant_id, agent_id) WHERE archived_at IS NULL;
