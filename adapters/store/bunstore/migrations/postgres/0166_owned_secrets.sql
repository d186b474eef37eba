-- Secrets of agents and of swarms by name. kind says whose: agent or swarm.
CREATE TABLE owned_secrets (
    tenant_id  uuid NOT NULL,
    kind       text NOT NULL,
    owner_id   uuid NOT NULL,
    name       text NOT NULL,
    sealed     bytea NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, kind, owner_id, name)
);
