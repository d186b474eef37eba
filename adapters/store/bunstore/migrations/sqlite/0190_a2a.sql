-- Watched turns are those of whose moves core/a2a is told, without being asked about every other one.
ALTER TABLE session_turns ADD COLUMN watched BOOLEAN NOT NULL DEFAULT FALSE;

-- Who talks to agents over A2A: API keys. store_id is what is remembered of them; it is NULL only in the transaction that adds them.
CREATE TABLE a2a_peers (
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    store_id   TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, key_id)
) WITHOUT ROWID;

-- Which session a contextId of a peer goes on in.
CREATE TABLE a2a_contexts (
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    name       TEXT NOT NULL,
    session_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, key_id, name)
) WITHOUT ROWID;

-- id is the turn's. session_id is NULL for what was rejected before anything was begun; event_id is what the message became in the session's
-- log, where first_seq is its number and last_seq that of what ended the task; 0 before.
CREATE TABLE a2a_tasks (
    id         TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    context    TEXT NOT NULL,
    session_id TEXT,
    event_id   TEXT,
    state      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    rule       TEXT NOT NULL,
    first_seq  INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    metadata   TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX a2a_tasks_by_time ON a2a_tasks (tenant_id, agent_id, key_id, updated_at, id);
CREATE INDEX a2a_tasks_by_context ON a2a_tasks (tenant_id, agent_id, key_id, context, updated_at, id);

-- What peers said, by which a message that comes again is known. body is the message without the bytes of its files.
CREATE TABLE a2a_messages (
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    name       TEXT NOT NULL,
    task_id    TEXT NOT NULL,
    digest     TEXT NOT NULL,
    body       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, key_id, name)
) WITHOUT ROWID;
CREATE INDEX a2a_messages_by_task ON a2a_messages (task_id, created_at);
