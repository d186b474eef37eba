-- Whether the client speaks of its budget in cents, and what a memory store was called when it was attached.
ALTER TABLE sessions ADD COLUMN budget_cents INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session_resources ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE session_resources ADD COLUMN description TEXT NOT NULL DEFAULT '';

-- Turns that hold a part of a budget. What was under way in turns that were ended from outside is a loose end until somebody settles it.
DROP INDEX session_turns_unsettled;
CREATE INDEX session_turns_reserved ON session_turns (session_id) WHERE reserved_picos > 0;
CREATE TABLE session_loose_ends (
    key            TEXT PRIMARY KEY,
    tenant_id      TEXT NOT NULL,
    session_id     TEXT NOT NULL,
    turn_id        TEXT NOT NULL,
    reserved_picos INTEGER NOT NULL,
    due            TEXT NOT NULL
);
CREATE INDEX session_loose_ends_by_session ON session_loose_ends (session_id);
CREATE INDEX session_loose_ends_by_time ON session_loose_ends (due);
