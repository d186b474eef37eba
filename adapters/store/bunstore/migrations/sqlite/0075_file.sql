-- state is pending while bytes arrive, ready, or gone until they are removed. What is not known while pending is empty.
CREATE TABLE files (
    tenant_id    TEXT NOT NULL,
    id           TEXT NOT NULL,
    state        TEXT NOT NULL,
    name         TEXT NOT NULL DEFAULT '',
    media_type   TEXT NOT NULL DEFAULT '',
    size         INTEGER NOT NULL DEFAULT 0,
    sha256       BLOB,
    session_id   TEXT,
    output       INTEGER NOT NULL DEFAULT 0,
    downloadable INTEGER NOT NULL DEFAULT 0,
    expires_at   TEXT,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX files_session ON files (session_id, id) WHERE session_id IS NOT NULL AND state = 'ready';
CREATE INDEX files_expiry ON files (expires_at) WHERE expires_at IS NOT NULL AND state = 'ready';
CREATE INDEX files_unready ON files (created_at) WHERE state <> 'ready';

-- What the ready files of a tenant sum up to; its row is also what storing and removing files of the tenant queue at.
CREATE TABLE file_usage (
    tenant_id TEXT PRIMARY KEY,
    bytes     INTEGER NOT NULL
);
