-- memories counts what is in the store.
CREATE TABLE memory_stores (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    agent_id    uuid,
    name        text NOT NULL,
    description text NOT NULL,
    metadata    text NOT NULL,
    memories    bigint NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    archived_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX memory_stores_agent ON memory_stores (tenant_id, agent_id, id) WHERE agent_id IS NOT NULL;

-- embedder made the vectors of the content; empty when there are none yet.
CREATE TABLE memories (
    tenant_id  uuid NOT NULL,
    store_id   uuid NOT NULL,
    id         uuid NOT NULL,
    version_id uuid NOT NULL,
    path       text COLLATE "C" NOT NULL,
    content    text NOT NULL,
    digest     text NOT NULL,
    size       bigint NOT NULL,
    embedder   text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, store_id, id)
);
CREATE UNIQUE INDEX memories_path ON memories (tenant_id, store_id, path);
CREATE INDEX memories_recent ON memories (tenant_id, store_id, updated_at, id);

-- A vector for each part of a content. digest is the content's. The dimension of embedding depends on the row's embedder, so that the
-- column has none.
CREATE TABLE memory_vectors (
    tenant_id uuid NOT NULL,
    store_id  uuid NOT NULL,
    memory_id uuid NOT NULL,
    part      bigint NOT NULL,
    digest    text NOT NULL,
    embedder  text NOT NULL,
    embedding vector NOT NULL,
    PRIMARY KEY (tenant_id, store_id, memory_id, part)
);

-- path is NULL when the version was redacted; content, digest and size then too, and when it records a deletion.
CREATE TABLE memory_versions (
    tenant_id        uuid NOT NULL,
    store_id         uuid NOT NULL,
    id               uuid NOT NULL,
    memory_id        uuid NOT NULL,
    operation        text NOT NULL,
    path             text COLLATE "C",
    content          text,
    digest           text,
    size             bigint,
    session_id       uuid,
    key_id           uuid,
    created_at       timestamptz NOT NULL,
    redacted_at      timestamptz,
    redacted_session uuid,
    redacted_key     uuid,
    PRIMARY KEY (tenant_id, store_id, id)
);
CREATE INDEX memory_versions_memory ON memory_versions (tenant_id, store_id, memory_id, id);
