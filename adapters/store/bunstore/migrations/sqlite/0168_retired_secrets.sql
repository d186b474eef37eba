-- Secrets of agents that were replaced or deleted, kept so that what shows them is still masked. number counts those of one owner.
CREATE TABLE retired_secrets (
    tenant_id  TEXT NOT NULL,
    kind       TEXT NOT NULL,
    owner_id   TEXT NOT NULL,
    number     INTEGER NOT NULL,
    name       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    retired_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, kind, owner_id, number)
);
