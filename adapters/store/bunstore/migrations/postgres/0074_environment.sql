-- config is read as a whole and never searched.
CREATE TABLE environments (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    scope       text NOT NULL,
    config      jsonb NOT NULL,
    metadata    jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    archived_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
-- Whether an environment may be deleted is asked of the sessions that are live.
CREATE INDEX sessions_environment ON sessions (tenant_id, environment_id)
    WHERE environment_id IS NOT NULL AND archived_at IS NULL AND deleted_at IS NULL;
