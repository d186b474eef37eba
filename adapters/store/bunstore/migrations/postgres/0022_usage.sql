-- cost and reported_cost are picodollars; NULL is unknown. latency is in microseconds.
CREATE TABLE usage_rows (
    tenant_id      uuid NOT NULL,
    id             uuid NOT NULL,
    agent_id       uuid,
    session_id     uuid,
    turn_id        uuid,
    provider       text NOT NULL,
    model          text NOT NULL,
    input          bigint NOT NULL,
    cache_read     bigint NOT NULL,
    cache_write_5m bigint NOT NULL,
    cache_write_1h bigint NOT NULL,
    output         bigint NOT NULL,
    reasoning      bigint NOT NULL,
    counted_input  bigint NOT NULL,
    calls          bigint NOT NULL,
    cost           bigint,
    reported_cost  bigint,
    price_ref      text NOT NULL,
    latency        bigint NOT NULL,
    created_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX usage_rows_time ON usage_rows (tenant_id, created_at, id);
CREATE INDEX usage_rows_agent ON usage_rows (tenant_id, agent_id, created_at, id);
