-- space_id is the id of the agent or the swarm that the entries belong to.
CREATE TABLE knowledge_spaces (
    tenant_id TEXT NOT NULL,
    space_id  TEXT NOT NULL,
    embedder  TEXT NOT NULL DEFAULT '',
    entries   INTEGER NOT NULL DEFAULT 0,
    last_seq  INTEGER NOT NULL DEFAULT 0,
    deletions INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, space_id)
) WITHOUT ROWID;

CREATE TABLE knowledge_entries (
    tenant_id  TEXT NOT NULL,
    space_id   TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    id         TEXT NOT NULL,
    source     TEXT NOT NULL,
    hash       TEXT NOT NULL,
    embedder   TEXT NOT NULL,
    created_at TEXT NOT NULL,
    metadata   TEXT,
    text       TEXT NOT NULL,
    embedding  BLOB NOT NULL,
    PRIMARY KEY (tenant_id, space_id, seq)
);
CREATE UNIQUE INDEX knowledge_entries_id ON knowledge_entries (id);
CREATE UNIQUE INDEX knowledge_entries_hash ON knowledge_entries (tenant_id, space_id, hash);
CREATE INDEX knowledge_entries_source ON knowledge_entries (tenant_id, space_id, source, seq);
