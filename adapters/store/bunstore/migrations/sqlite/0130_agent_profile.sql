-- What clients say of an agent for a directory; an agent without a row has the defaults.
CREATE TABLE agent_profiles (
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    type       TEXT NOT NULL,
    icon       TEXT NOT NULL,
    platform   TEXT NOT NULL,
    status     TEXT NOT NULL,
    metadata   TEXT,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id)
);
