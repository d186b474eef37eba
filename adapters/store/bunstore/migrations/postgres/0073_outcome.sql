-- What a session is to reach, one row per user.define_outcome. start_id is the event that began the evaluation under way.
CREATE TABLE session_outcomes (
    id             uuid PRIMARY KEY,
    tenant_id      uuid NOT NULL,
    session_id     uuid NOT NULL,
    turn_id        uuid NOT NULL,
    description    text NOT NULL,
    rubric         text NOT NULL,
    max_iterations bigint NOT NULL,
    iteration      bigint NOT NULL DEFAULT 0,
    result         text NOT NULL,
    explanation    text NOT NULL DEFAULT '',
    start_id       uuid,
    created_at     timestamptz NOT NULL,
    completed_at   timestamptz
);
CREATE UNIQUE INDEX session_outcomes_by_turn ON session_outcomes (turn_id);
CREATE INDEX session_outcomes_by_session ON session_outcomes (session_id, id);

-- The newest summary of a session's older exchanges: what stands after event number through is read from the log.
CREATE TABLE session_compactions (
    session_id uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    through    bigint NOT NULL,
    summary    text NOT NULL,
    created_at timestamptz NOT NULL
);
