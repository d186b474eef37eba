-- Beside the log, a session's row carries what is projected from it in the same transaction. running_since and active_micros are
-- microseconds, so that an append can subtract. data of events is TEXT because a log is shown as it was written.
CREATE TABLE sessions (
    id             TEXT PRIMARY KEY,
    tenant_id      TEXT NOT NULL,
    agent_id       TEXT NOT NULL,
    agent_version  INTEGER NOT NULL,
    environment_id TEXT,
    title          TEXT NOT NULL,
    metadata       TEXT NOT NULL,
    last_seq       INTEGER NOT NULL DEFAULT 0,
    active         TEXT NOT NULL,
    stop_type      TEXT NOT NULL DEFAULT '',
    stop_reason    TEXT,
    queued         INTEGER NOT NULL DEFAULT 0,
    last_turn      INTEGER NOT NULL DEFAULT 0,
    tok_input      INTEGER NOT NULL DEFAULT 0,
    tok_cache_read INTEGER NOT NULL DEFAULT 0,
    tok_write_5m   INTEGER NOT NULL DEFAULT 0,
    tok_write_1h   INTEGER NOT NULL DEFAULT 0,
    tok_output     INTEGER NOT NULL DEFAULT 0,
    tok_reasoning  INTEGER NOT NULL DEFAULT 0,
    cost_picos     INTEGER NOT NULL DEFAULT 0,
    unpriced       INTEGER NOT NULL DEFAULT 0,
    active_micros  INTEGER NOT NULL DEFAULT 0,
    running_since  INTEGER,
    created_at     TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    archived_at    TEXT,
    deleted_at     TEXT
);
CREATE INDEX sessions_by_time ON sessions (tenant_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX sessions_by_agent ON sessions (tenant_id, agent_id, created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE session_events (
    session_id TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    id         TEXT NOT NULL,
    type       TEXT NOT NULL,
    ref        TEXT,
    data       TEXT NOT NULL,
    at         TEXT NOT NULL,
    PRIMARY KEY (session_id, seq)
) WITHOUT ROWID;

CREATE TABLE session_turns (
    id          TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    session_id  TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    number      INTEGER NOT NULL,
    state       TEXT NOT NULL,
    input_id    TEXT NOT NULL,
    input_type  TEXT NOT NULL,
    input_data  TEXT NOT NULL,
    owner       TEXT NOT NULL DEFAULT '',
    epoch       INTEGER NOT NULL DEFAULT 0,
    lease_until TEXT,
    takeovers   INTEGER NOT NULL DEFAULT 0,
    calls       INTEGER NOT NULL DEFAULT 0,
    span        TEXT,
    created_at  TEXT NOT NULL,
    started_at  TEXT,
    ended_at    TEXT
);
CREATE UNIQUE INDEX session_turns_active ON session_turns (session_id) WHERE state IN ('running', 'parked', 'ready');
CREATE INDEX session_turns_by_session ON session_turns (session_id, state, number);
CREATE INDEX session_turns_running ON session_turns (owner) WHERE state = 'running';
CREATE INDEX session_turns_ready ON session_turns (id) WHERE state = 'ready';
CREATE INDEX session_turns_queued ON session_turns (created_at) WHERE state = 'queued';
CREATE INDEX session_turns_by_agent ON session_turns (tenant_id, agent_id) WHERE ended_at IS NULL;

CREATE TABLE session_tool_uses (
    id          TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL,
    session_id  TEXT NOT NULL,
    turn_id     TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    type        TEXT NOT NULL,
    name        TEXT NOT NULL,
    input       TEXT NOT NULL,
    state       TEXT NOT NULL,
    approval_id TEXT
);
CREATE INDEX session_tool_uses_by_session ON session_tool_uses (session_id, seq);
