-- Budgets for the costs of models. amount is micro-dollars; an empty model or provider is any. What is spent in the period that began at
-- period_start is counted, so that its alerts are told of once: told is the highest level that was. counted_at is when it was counted from
-- usage_days last; NULL: that is due.
CREATE TABLE usage_budgets (
    tenant_id    TEXT NOT NULL,
    id           TEXT NOT NULL,
    name         TEXT NOT NULL,
    agent_id     TEXT,
    model        TEXT NOT NULL,
    provider     TEXT NOT NULL,
    amount       INTEGER NOT NULL,
    period       TEXT NOT NULL,
    alerts       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    archived_at  TEXT,
    period_start TEXT,
    spent_micros INTEGER NOT NULL,
    spent_picos  INTEGER NOT NULL,
    told         INTEGER NOT NULL,
    counted_at   TEXT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX usage_budgets_live ON usage_budgets (tenant_id, agent_id) WHERE archived_at IS NULL;
