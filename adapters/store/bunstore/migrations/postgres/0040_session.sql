-- Beside the log, a session's row carries what is projected from it in the same transaction. running_since and active_micros are
-- microseconds, so that an append can subtract. data of events is TEXT because a log is shown as it was written.
CREATE TABLE sessions (
    id             uuid PRIMARY KEY,
    tenant_id      uuid NOT NULL,
    agent_id       uuid NOT NULL,
    agent_version  bigint NOT NULL,
    environment_id uuid,
    title          text NOT NULL,
    metadata       text NOT NULL,
    last_seq       bigint NOT NULL DEFAULT 0,
    active         text NOT NULL,
    stop_type      text NOT NULL DEFAULT '',
    stop_reason    text,
    queued         bigint NOT NULL DEFAULT 0,
    last_turn      bigint NOT NULL DEFAULT 0,
    tok_input      bigint NOT NULL DEFAULT 0,
    tok_cache_read bigint NOT NULL DEFAULT 0,
    tok_write_5m   bigint NOT NULL DEFAULT 0,
    tok_write_1h   bigint NOT NULL DEFAULT 0,
    tok_output     bigint NOT NULL DEFAULT 0,
    tok_reasoning  bigint NOT NULL DEFAULT 0,
    cost_picos     bigint NOT NULL DEFAULT 0,
    unpriced       bigint NOT NULL DEFAULT 0,
    active_micros  bigint NOT NULL DEFAULT 0,
    running_since  bigint,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    archived_at    timestamptz,
    deleted_at     timestamptz
);
CREATE INDEX sessions_by_time ON sessions (tenant_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX sessions_by_agent ON sessions (tenant_id, agent_id, created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE session_events (
    session_id uuid NOT NULL,
    seq        bigint NOT NULL,
    id         uuid NOT NULL,
    type       text NOT NULL,
    ref        uuid,
    data       text NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (session_id, seq)
);

CREATE TABLE session_turns (
    id          uuid PRIMARY KEY,
    tenant_id   uuid NOT NULL,
    session_id  uuid NOT NULL,
    agent_id    uuid NOT NULL,
    number      bigint NOT NULL,
    state       text NOT NULL,
    input_id    uuid NOT NULL,
    input_type  text NOT NULL,
    input_data  text NOT NULL,
    owner       text NOT NULL DEFAULT '',
    epoch       bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    takeovers   bigint NOT NULL DEFAULT 0,
    calls       bigint NOT NULL DEFAULT 0,
    span        uuid,
    created_at  timestamptz NOT NULL,
    started_at  timestamptz,
    ended_at    timestamptz
);
CREATE UNIQUE INDEX session_turns_active ON session_turns (session_id) WHERE state IN ('running', 'parked', 'ready');
CREATE INDEX session_turns_by_session ON session_turns (session_id, state, number);
CREATE INDEX session_turns_running ON session_turns (owner) WHERE state = 'running';
CREATE INDEX session_turns_ready ON session_turns (id) WHERE state = 'ready';
CREATE INDEX session_turns_queued ON session_turns (created_at) WHERE state = 'queued';
CREATE INDEX session_turns_by_agent ON session_turns (tenant_id, agent_id) WHERE ended_at IS NULL;

CREATE TABLE session_tool_uses (
    id          uuid PRIMARY KEY,
    tenant_id   uuid NOT NULL,
    session_id  uuid NOT NULL,
    turn_id     uuid NOT NULL,
    seq         bigint NOT NULL,
    type        text NOT NULL,
    name        text NOT NULL,
    input       text NOT NULL,
    state       text NOT NULL,
    approval_id uuid
);
CREATE INDEX session_tool_uses_by_session ON session_tool_uses (session_id, seq);
