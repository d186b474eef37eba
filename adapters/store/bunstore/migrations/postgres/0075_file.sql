-- state is pending while bytes arrive, ready, or gone until they are removed. What is not known while pending is empty.
CREATE TABLE files (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    state        text NOT NULL,
    name         text NOT NULL DEFAULT '',
    media_type   text NOT NULL DEFAULT '',
    size         bigint NOT NULL DEFAULT 0,
    sha256       bytea,
    session_id   uuid,
    output       boolean NOT NULL DEFAULT false,
    downloadable boolean NOT NULL DEFAULT false,
    expires_at   timestamptz,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX files_session ON files (session_id, id) WHERE session_id IS NOT NULL AND state = 'ready';
CREATE INDEX files_expiry ON files (expires_at) WHERE expires_at IS NOT NULL AND state = 'ready';
CREATE INDEX files_unready ON files (created_at) WHERE state <> 'ready';

-- What the ready files of a tenant sum up to; its row is also what storing and removing files of the tenant queue at.
CREATE TABLE file_usage (
    tenant_id uuid PRIMARY KEY,
    bytes     bigint NOT NULL
);
