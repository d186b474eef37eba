-- metadata is TEXT: its bytes are hashed. An entry has no seq until the sealer has chained it.
CREATE TABLE audit_entries (
    tenant_id  TEXT NOT NULL,
    id         TEXT NOT NULL,
    action     TEXT NOT NULL,
    agent_id   TEXT,
    key_id     TEXT,
    metadata   TEXT NOT NULL,
    created_at TEXT NOT NULL,
    seq        INTEGER,
    prev_hash  TEXT,
    hash       TEXT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_entries_unsealed ON audit_entries (tenant_id, id) WHERE seq IS NULL;
CREATE UNIQUE INDEX audit_entries_seq ON audit_entries (tenant_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_entries_agent ON audit_entries (tenant_id, agent_id, seq) WHERE seq IS NOT NULL AND agent_id IS NOT NULL;
CREATE INDEX audit_entries_action ON audit_entries (tenant_id, action, seq) WHERE seq IS NOT NULL;

CREATE TABLE audit_chains (
    tenant_id TEXT PRIMARY KEY,
    count     INTEGER NOT NULL,
    head      TEXT NOT NULL
);
