-- config is the current version's, so that one row answers the hottest read; agent_versions holds every version. It is TEXT
-- because a custom tool's schema keeps the bytes that its author gave it.
CREATE TABLE agents (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    version     bigint NOT NULL,
    name        text NOT NULL,
    name_key    text NOT NULL,
    standing    text NOT NULL,
    swarm_id    uuid,
    metadata    text NOT NULL,
    config      text NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    archived_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX agents_live ON agents (tenant_id, name_key) WHERE archived_at IS NULL;
CREATE INDEX agents_swarm ON agents (tenant_id, swarm_id) WHERE swarm_id IS NOT NULL;

CREATE TABLE agent_versions (
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    version    bigint NOT NULL,
    config     text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, version)
);
