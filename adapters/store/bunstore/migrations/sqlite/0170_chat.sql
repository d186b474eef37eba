-- said counts the messages of a session's log, said_at is the time of the newest one in a private session: what was said last in all
-- conversations of an agent is found without reading them.
ALTER TABLE sessions ADD COLUMN private BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE sessions ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN said_at TEXT;
CREATE INDEX sessions_said ON sessions (tenant_id, agent_id, said_at, id) WHERE said_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX session_events_said ON session_events (session_id, at, seq) WHERE type IN ('user.message', 'agent.message');

-- Whom agents talk to: kind is 'peer', or 'key' where the API key stands for whoever it is. store_id is what is remembered of them; it is NULL only
-- in the transaction that adds them. session_id is where they go on.
CREATE TABLE chat_peers (
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    channel    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    peer       TEXT NOT NULL,
    store_id   TEXT,
    session_id TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, channel, kind, peer)
) WITHOUT ROWID;
CREATE INDEX chat_peers_by_time ON chat_peers (tenant_id, agent_id, created_at, store_id);

CREATE TABLE chat_sessions (
    session_id TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    channel    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    peer       TEXT NOT NULL,
    name       TEXT NOT NULL,
    started_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX chat_sessions_by_time ON chat_sessions (tenant_id, agent_id, started_at, session_id);
CREATE INDEX chat_sessions_by_peer ON chat_sessions (tenant_id, agent_id, channel, kind, peer, started_at, session_id);

-- Messages that came with a name of their own, by which a second one is known. reply_to is where the answer goes,
-- after_seq how long the log was before, told how many
-- pieces of the answer were delivered; done_at is set when nothing is left to deliver.
CREATE TABLE chat_requests (
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    channel    TEXT NOT NULL,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    peer       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    reply_to   TEXT NOT NULL,
    session_id TEXT NOT NULL,
    event_id   TEXT NOT NULL,
    after_seq  INTEGER NOT NULL,
    told       INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    done_at    TEXT,
    PRIMARY KEY (tenant_id, agent_id, channel, name)
) WITHOUT ROWID;
CREATE INDEX chat_requests_open ON chat_requests (tenant_id, agent_id, created_at) WHERE done_at IS NULL;
CREATE INDEX chat_requests_old ON chat_requests (created_at);

-- The channels that agents were connected with, and what is wrong with them; '' is nothing.
CREATE TABLE chat_channels (
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    channel    TEXT NOT NULL,
    error      TEXT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, channel)
) WITHOUT ROWID;
