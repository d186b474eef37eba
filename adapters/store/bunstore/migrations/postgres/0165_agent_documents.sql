-- Versions of the texts that tell agents who they are and what to do; the newest of a path has no replaced_at. It was the newest from
-- valid_from until replaced_at. valid_from is written_at, but for the oldest version that is kept, which stands for those that are not.
CREATE TABLE agent_documents (
    tenant_id   uuid NOT NULL,
    agent_id    uuid NOT NULL,
    path        text NOT NULL,
    version     bigint NOT NULL,
    content     text NOT NULL,
    hash        text NOT NULL,
    size        bigint NOT NULL,
    removed     boolean NOT NULL,
    written_at  timestamptz NOT NULL,
    valid_from  timestamptz NOT NULL,
    replaced_at timestamptz,
    PRIMARY KEY (tenant_id, agent_id, path, version)
);
CREATE UNIQUE INDEX agent_documents_newest ON agent_documents (tenant_id, agent_id, path) WHERE replaced_at IS NULL;
