-- A session that works for another one is a thread of the session at its top, root_id. use_id is the tool use that waits for the
-- thread's answer, and mirrored the number of the newest event of its log that the root's log has been told.
CREATE TABLE session_threads (
    id        TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    root_id   TEXT NOT NULL,
    parent_id TEXT NOT NULL,
    kind      TEXT NOT NULL,
    name      TEXT NOT NULL,
    model     TEXT NOT NULL DEFAULT '',
    depth     INTEGER NOT NULL,
    use_id    TEXT,
    busy      BOOLEAN NOT NULL,
    mirrored  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX session_threads_by_root ON session_threads (root_id, id);
CREATE INDEX session_threads_busy ON session_threads (id) WHERE busy;
