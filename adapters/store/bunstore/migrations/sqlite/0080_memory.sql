-- memories counts what is in the store.
CREATE TABLE memory_stores (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    agent_id    TEXT,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    metadata    TEXT NOT NULL,
    memories    INTEGER NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    archived_at TEXT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX memory_stores_agent ON memory_stores (tenant_id, agent_id, id) WHERE agent_id IS NOT NULL;

-- embedder made the vectors of the content; empty when there are none yet.
CREATE TABLE memories (
    tenant_id  TEXT NOT NULL,
    store_id   TEXT NOT NULL,
    id         TEXT NOT NULL,
    version_id TEXT NOT NULL,
    path       TEXT NOT NULL,
    content    TEXT NOT NULL,
    digest     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    embedder   TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, store_id, id)
);
CREATE UNIQUE INDEX memories_path ON memories (tenant_id, store_id, path);
CREATE INDEX memories_recent ON memories (tenant_id, store_id, updated_at, id);

-- A vector for each part of a content. digest is the content's.
CREATE TABLE memory_vectors (
    tenant_id TEXT NOT NULL,
    store_id  TEXT NOT NULL,
    memory_id TEXT NOT NULL,
    part      INTEGER NOT NULL,
    digest    TEXT NOT NULL,
    embedder  TEXT NOT NULL,
    embedding BLOB NOT NULL,
    PRIMARY KEY (tenant_id, store_id, memory_id, part)
);

-- path is NULL when the version was redacted; content, digest and size then too, and when it records a deletion.
CREATE TABLE memory_versions (
    tenant_id        TEXT NOT NULL,
    store_id         TEXT NOT NULL,
    id               TEXT NOT NULL,
    memory_id        TEXT NOT NULL,
    operation        TEXT NOT NULL,
    path             TEXT,
    content          TEXT,
    digest           TEXT,
    size             INTEGER,
    session_id       TEXT,
    key_id           TEXT,
    created_at       TEXT NOT NULL,
    redacted_at      TEXT,
    redacted_session TEXT,
    redacted_key     TEXT,
    PRIMARY KEY (tenant_id, store_id, id)
);
CREATE INDEX memory_versions_memory ON memory_versions (tenant_id, store_id, memory_id, id);
