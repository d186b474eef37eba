-- Re-ratings of usage: what was asked, by which versions of prices, the last row that was looked at, and what came of it so far.
CREATE TABLE usage_rerates (
    tenant_id      uuid NOT NULL,
    id             uuid NOT NULL,
    agent_id       uuid,
    model          text NOT NULL,
    provider       text NOT NULL,
    since          timestamptz NOT NULL,
    until          timestamptz NOT NULL,
    status         text NOT NULL,
    asked_by       uuid,
    server_version bigint NOT NULL,
    own_version    bigint NOT NULL,
    after_at       timestamptz,
    after_id       uuid,
    models         jsonb NOT NULL,
    created_at     timestamptz NOT NULL,
    ended_at       timestamptz,
    PRIMARY KEY (tenant_id, id)
);
