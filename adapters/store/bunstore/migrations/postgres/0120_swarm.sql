CREATE TABLE swarms (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    name        text NOT NULL,
    name_key    text NOT NULL,
    slug        text NOT NULL,
    description text NOT NULL,
    icon        text NOT NULL,
    standing    text NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, slug)
);

-- swarm_frozen repeats the standing of the agent's swarm, so that the row which every act locks says all. destroyed_at marks what is
-- left of an agent that is no more: its id, for what names it. swept_at is set when nothing can have come after it any more.
ALTER TABLE agents ADD COLUMN swarm_frozen boolean NOT NULL DEFAULT false;
ALTER TABLE agents ADD COLUMN destroyed_at timestamptz;
ALTER TABLE agents ADD COLUMN swept_at timestamptz;
CREATE INDEX agents_destroyed ON agents (destroyed_at) WHERE destroyed_at IS NOT NULL AND swept_at IS NULL;
