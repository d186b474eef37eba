-- space_id is the id of the agent or the swarm that the entries belong to. The dimension of embedding depends on the row's
-- embedder, so that the column has none.
CREATE TABLE knowledge_spaces (
    tenant_id uuid NOT NULL,
    space_id  uuid NOT NULL,
    embedder  text NOT NULL DEFAULT '',
    entries   bigint NOT NULL DEFAULT 0,
    last_seq  bigint NOT NULL DEFAULT 0,
    deletions bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, space_id)
);

CREATE TABLE knowledge_entries (
    tenant_id  uuid NOT NULL,
    space_id   uuid NOT NULL,
    seq        bigint NOT NULL,
    id         uuid NOT NULL,
    source     text NOT NULL,
    hash       text NOT NULL,
    embedder   text NOT NULL,
    created_at timestamptz NOT NULL,
    metadata   text,
    text       text NOT NULL,
    embedding  vector NOT NULL,
    PRIMARY KEY (tenant_id, space_id, seq)
);
CREATE UNIQUE INDEX knowledge_entries_id ON knowledge_entries (id);
CREATE UNIQUE INDEX knowledge_entries_hash ON knowledge_entries (tenant_id, space_id, hash);
CREATE INDEX knowledge_entries_source ON knowledge_entries (tenant_id, space_id, source, seq);
