-- Versions of the texts that tell agents who they are and what to do; the newest of a path has no replaced_at. It was the newest from
-- valid_from until replaced_at. valid_from is written_at, but for the oldest version that is kept, which stands for those that are not.
CREATE TABLE agent_documents (
    tenant_id   TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    path        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    content     TEXT NOT NULL,
    hash        TEXT NOT NULL,
    size        INTEGER NOT NULL,
    removed     BOOLEAN NOT NULL,
    written_at  TEXT NOT NULL,
    valid_from  TEXT NOT NULL,
    replaced_at TEXT,
    PRIMARY KEY (tenant_id, agent_id, path, version)
);
CREATE UNIQUE INDEX agent_documents_newest ON agent_documents (tenant_id, agent_id, path) WHERE replaced_at IS NULL;
