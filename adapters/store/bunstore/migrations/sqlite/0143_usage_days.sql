ALTER TABLE usage_rows ADD COLUMN errors INTEGER NOT NULL DEFAULT 0;
-- Usage rows added up by day (UTC), agent, model and provider; a row without an agent has the nil UUID. Each insert adds to it in its own
-- transaction. slot keeps those apart that insert at the same time. Sums of costs are micro-dollars and picodollars, sums of latencies
-- seconds and microseconds: each pair is one number. claimed is what was reported for rows that have no cost.
CREATE TABLE usage_days (
    tenant_id       TEXT NOT NULL,
    day             TEXT NOT NULL,
    agent_id        TEXT NOT NULL,
    model           TEXT NOT NULL,
    provider        TEXT NOT NULL,
    slot            INTEGER NOT NULL,
    row_count       INTEGER NOT NULL,
    unpriced        INTEGER NOT NULL,
    calls           INTEGER NOT NULL,
    errors          INTEGER NOT NULL,
    input           INTEGER NOT NULL,
    cache_read      INTEGER NOT NULL,
    cache_write_5m  INTEGER NOT NULL,
    cache_write_1h  INTEGER NOT NULL,
    output          INTEGER NOT NULL,
    reasoning       INTEGER NOT NULL,
    counted_input   INTEGER NOT NULL,
    cost_micros     INTEGER NOT NULL,
    cost_picos      INTEGER NOT NULL,
    reported_micros INTEGER NOT NULL,
    reported_picos  INTEGER NOT NULL,
    claimed_micros  INTEGER NOT NULL,
    claimed_picos   INTEGER NOT NULL,
    timed           INTEGER NOT NULL,
    time_seconds    INTEGER NOT NULL,
    time_micros     INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, day, agent_id, model, provider, slot)
) WITHOUT ROWID;
CREATE INDEX usage_days_agent ON usage_days (tenant_id, agent_id, day);
INSERT INTO usage_days (tenant_id, day, agent_id, model, provider, slot,
    row_count, unpriced, calls, errors, input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, counted_input,
    cost_micros, cost_picos, reported_micros, reported_picos, claimed_micros, claimed_picos, timed, time_seconds, time_micros)
SELECT tenant_id, SUBSTR(created_at, 1, 10), COALESCE(agent_id, '00000000-0000-0000-0000-000000000000'), model, provider, 0,
    COUNT(*),
    SUM(CASE WHEN cost IS NULL THEN 1 ELSE 0 END),
    SUM(calls),
    SUM(errors),
    SUM(input),
    SUM(cache_read),
    SUM(cache_write_5m),
    SUM(cache_write_1h),
    SUM(output),
    SUM(reasoning),
    SUM(counted_input),
    SUM(COALESCE(cost, 0) / 1000000),
    SUM(COALESCE(cost, 0) % 1000000),
    SUM(COALESCE(reported_cost, 0) / 1000000),
    SUM(COALESCE(reported_cost, 0) % 1000000),
    SUM(CASE WHEN cost IS NULL THEN COALESCE(reported_cost, 0) / 1000000 ELSE 0 END),
    SUM(CASE WHEN cost IS NULL THEN COALESCE(reported_cost, 0) % 1000000 ELSE 0 END),
    SUM(CASE WHEN latency > 0 THEN calls ELSE 0 END),
    SUM(latency * calls / 1000000),
    SUM(latency * calls % 1000000)
FROM usage_rows GROUP BY 1, 2, 3, 4, 5;
