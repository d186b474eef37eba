-- Secrets of agents that were replaced or deleted, kept so that what shows them is still masked. number counts those of one owner.
CREATE TABLE retired_secrets (
    tenant_id  uuid NOT NULL,
    kind       text NOT NULL,
    owner_id   uuid NOT NULL,
    number     bigint NOT NULL,
    name       text NOT NULL,
    sealed     bytea NOT NULL,
    retired_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, kind, owner_id, number)
);
