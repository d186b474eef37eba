-- What a session is to reach, one row per user.define_outcome. start_id is the event that began the evaluation under way.
CREATE TABLE session_outcomes (
    id             TEXT PRIMARY KEY,
    tenant_id      TEXT NOT NULL,
    session_id     TEXT NOT NULL,
    turn_id        TEXT NOT NULL,
    description    TEXT NOT NULL,
    rubric         TEXT NOT NULL,
    max_iterations INTEGER NOT NULL,
    iteration      INTEGER NOT NULL DEFAULT 0,
    result         TEXT NOT NULL,
    explanation    TEXT NOT NULL DEFAULT '',
    start_id       TEXT,
    created_at     TEXT NOT NULL,
    completed_at   TEXT
);
CREATE UNIQUE INDEX session_outcomes_by_turn ON session_outcomes (turn_id);
CREATE INDEX session_outcomes_by_session ON session_outcomes (session_id, id);

-- The newest summary of a session's older exchanges: what stands after event number through is read from the log.
CREATE TABLE session_compactions (
    session_id TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    through    INTEGER NOT NULL,
    summary    TEXT NOT NULL,
    created_at TEXT NOT NULL
);
