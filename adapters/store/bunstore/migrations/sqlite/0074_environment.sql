-- config is read as a whole and never searched.
CREATE TABLE environments (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    scope       TEXT NOT NULL,
    config      TEXT NOT NULL,
    metadata    TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    archived_at TEXT,
    PRIMARY KEY (tenant_id, id)
);
-- Whether an environment may be deleted is asked of the sessions that are live.
CREATE INDEX sessions_environment ON sessions (tenant_id, environment_id)
    WHERE environment_id IS NOT NULL AND archived_at IS NULL AND deleted_at IS NULL;
