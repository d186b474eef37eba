-- Whether the client speaks of its budget in cents, and what a memory store was called when it was attached.
ALTER TABLE sessions ADD COLUMN budget_cents boolean NOT NULL DEFAULT false;
ALTER TABLE session_resources ADD COLUMN name text NOT NULL DEFAULT '';
ALTER TABLE session_resources ADD COLUMN description text NOT NULL DEFAULT '';

-- Turns that hold a part of a budget. What was under way in turns that were ended from outside is a loose end until somebody settles it.
DROP INDEX session_turns_unsettled;
CREATE INDEX session_turns_reserved ON session_turns (session_id) WHERE reserved_picos > 0;
CREATE TABLE session_loose_ends (
    key            uuid PRIMARY KEY,
    tenant_id      uuid NOT NULL,
    session_id     uuid NOT NULL,
    turn_id        uuid NOT NULL,
    reserved_picos bigint NOT NULL,
    due            timestamptz NOT NULL
);
CREATE INDEX session_loose_ends_by_session ON session_loose_ends (session_id);
CREATE INDEX session_loose_ends_by_time ON session_loose_ends (due);
