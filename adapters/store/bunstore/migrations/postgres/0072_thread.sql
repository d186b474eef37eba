-- A session that works for another one is a thread of the session at its top, root_id. use_id is the tool use that waits for the
-- thread's answer, and mirrored the number of the newest event of its log that the root's log has been told.
CREATE TABLE session_threads (
    id        uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    root_id   uuid NOT NULL,
    parent_id uuid NOT NULL,
    kind      text NOT NULL,
    name      text NOT NULL,
    model     text NOT NULL DEFAULT '',
    depth     bigint NOT NULL,
    use_id    uuid,
    busy      boolean NOT NULL,
    mirrored  bigint NOT NULL DEFAULT 0
);
CREATE INDEX session_threads_by_root ON session_threads (root_id, id);
CREATE INDEX session_threads_busy ON session_threads (id) WHERE busy;
