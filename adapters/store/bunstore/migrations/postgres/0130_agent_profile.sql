-- What clients say of an agent for a directory; an agent without a row has the defaults.
CREATE TABLE agent_profiles (
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    type       text NOT NULL,
    icon       text NOT NULL,
    platform   text NOT NULL,
    status     text NOT NULL,
    metadata   text,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id)
);
