-- Secrets of agents and of swarms by name. kind says whose: agent or swarm.
CREATE TABLE owned_secrets (
    tenant_id  TEXT NOT NULL,
    kind       TEXT NOT NULL,
    owner_id   TEXT NOT NULL,
    name       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, kind, owner_id, name)
);
