-- cost and reported_cost are picodollars; NULL is unknown. latency is in microseconds.
CREATE TABLE usage_rows (
    tenant_id      TEXT NOT NULL,
    id             TEXT NOT NULL,
    agent_id       TEXT,
    session_id     TEXT,
    turn_id        TEXT,
    provider       TEXT NOT NULL,
    model          TEXT NOT NULL,
    input          INTEGER NOT NULL,
    cache_read     INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    output         INTEGER NOT NULL,
    reasoning      INTEGER NOT NULL,
    counted_input  INTEGER NOT NULL,
    calls          INTEGER NOT NULL,
    cost           INTEGER,
    reported_cost  INTEGER,
    price_ref      TEXT NOT NULL,
    latency        INTEGER NOT NULL,
    created_at     TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX usage_rows_time ON usage_rows (tenant_id, created_at, id);
CREATE INDEX usage_rows_agent ON usage_rows (tenant_id, agent_id, created_at, id);
