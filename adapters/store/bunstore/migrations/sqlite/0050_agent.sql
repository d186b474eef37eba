-- config is the current version's, so that one row answers the hottest read; agent_versions holds every version.
CREATE TABLE agents (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    version     INTEGER NOT NULL,
    name        TEXT NOT NULL,
    name_key    TEXT NOT NULL,
    standing    TEXT NOT NULL,
    swarm_id    TEXT,
    metadata    TEXT NOT NULL,
    config      TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    archived_at TEXT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX agents_live ON agents (tenant_id, name_key) WHERE archived_at IS NULL;
CREATE INDEX agents_swarm ON agents (tenant_id, swarm_id) WHERE swarm_id IS NOT NULL;

CREATE TABLE agent_versions (
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    version    INTEGER NOT NULL,
    config     TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, version)
);
