-- What a session is set up with. overrides and vaults are JSON; budget_micros is in micro-dollars, NULL for none. A session that works
-- for another has its parent, and the session of its own at the top of those: root_id. resources counts the rows of
-- session_resources, so that a session without any costs no second query.
ALTER TABLE sessions ADD COLUMN overrides TEXT;
ALTER TABLE sessions ADD COLUMN vaults TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sessions ADD COLUMN budget_micros INTEGER;
ALTER TABLE sessions ADD COLUMN parent_id TEXT;
ALTER TABLE sessions ADD COLUMN root_id TEXT;
ALTER TABLE sessions ADD COLUMN resources INTEGER NOT NULL DEFAULT 0;
-- What model calls whose cost nobody knows have cost at most: it counts against the budget and is not part of the shown cost.
ALTER TABLE sessions ADD COLUMN unknown_picos INTEGER NOT NULL DEFAULT 0;
-- What the model call under way may cost at most, in a session with a budget.
ALTER TABLE session_turns ADD COLUMN reserved_picos INTEGER NOT NULL DEFAULT 0;

DROP INDEX sessions_by_time;
CREATE INDEX sessions_by_time ON sessions (tenant_id, created_at, id) WHERE deleted_at IS NULL AND parent_id IS NULL;
CREATE INDEX sessions_by_root ON sessions (root_id) WHERE root_id IS NOT NULL;
CREATE INDEX sessions_by_parent ON sessions (parent_id, created_at, id) WHERE parent_id IS NOT NULL;
CREATE INDEX sessions_by_environment ON sessions (environment_id) WHERE environment_id IS NOT NULL AND deleted_at IS NULL;
-- Turns that were ended from outside while a model answered, until what that cost is settled.
CREATE INDEX session_turns_unsettled ON session_turns (lease_until) WHERE state = 'cancelled' AND span IS NOT NULL;

CREATE TABLE session_resources (
    id              TEXT PRIMARY KEY,
    session_id      TEXT NOT NULL,
    number          INTEGER NOT NULL,
    type            TEXT NOT NULL,
    mount           TEXT NOT NULL,
    file_id         TEXT,
    url             TEXT NOT NULL DEFAULT '',
    branch          TEXT NOT NULL DEFAULT '',
    commit_sha      TEXT NOT NULL DEFAULT '',
    token_sealed    BLOB,
    memory_store_id TEXT,
    read_only       INTEGER NOT NULL DEFAULT 0,
    instructions    TEXT NOT NULL DEFAULT '',
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL
);
CREATE UNIQUE INDEX session_resources_by_session ON session_resources (session_id, number);
CREATE INDEX session_resources_by_store ON session_resources (memory_store_id, session_id) WHERE memory_store_id IS NOT NULL;
CREATE INDEX session_resources_by_file ON session_resources (file_id, session_id) WHERE file_id IS NOT NULL;
