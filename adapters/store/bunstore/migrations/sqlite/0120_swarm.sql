CREATE TABLE swarms (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    name_key    TEXT NOT NULL,
    slug        TEXT NOT NULL,
    description TEXT NOT NULL,
    icon        TEXT NOT NULL,
    standing    TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, slug)
);

-- swarm_frozen repeats the standing of the agent's swarm, so that the row which every act locks says all. destroyed_at marks what is
-- left of an agent that is no more: its id, for what names it. swept_at is set when nothing can have come after it any more.
ALTER TABLE agents ADD COLUMN swarm_frozen BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE agents ADD COLUMN destroyed_at TEXT;
ALTER TABLE agents ADD COLUMN swept_at TEXT;
CREATE INDEX agents_destroyed ON agents (destroyed_at) WHERE destroyed_at IS NOT NULL AND swept_at IS NULL;
