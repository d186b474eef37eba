-- Watched turns are those of whose moves core/a2a is told, without being asked about every other one.
ALTER TABLE session_turns ADD COLUMN watched boolean NOT NULL DEFAULT false;

-- Who talks to agents over A2A: API keys. store_id is what is remembered of them; it is NULL only in the transaction that adds them.
CREATE TABLE a2a_peers (
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    key_id     uuid NOT NULL,
    store_id   uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, key_id)
);

-- Which session a contextId of a peer goes on in.
CREATE TABLE a2a_contexts (
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    key_id     uuid NOT NULL,
    name       text NOT NULL,
    session_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, key_id, name)
);

-- id is the turn's. session_id is NULL for what was rejected before anything was begun; event_id is what the message became in the session's
-- log, where first_seq is its number and last_seq that of what ended the task; 0 before.
CREATE TABLE a2a_tasks (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    key_id     uuid NOT NULL,
    context    text NOT NULL,
    session_id uuid,
    event_id   uuid,
    state      text NOT NULL,
    reason     text NOT NULL,
    rule       text NOT NULL,
    first_seq  bigint NOT NULL,
    last_seq   bigint NOT NULL,
    metadata   text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX a2a_tasks_by_time ON a2a_tasks (tenant_id, agent_id, key_id, updated_at, id);
CREATE INDEX a2a_tasks_by_context ON a2a_tasks (tenant_id, agent_id, key_id, context, updated_at, id);

-- What peers said, by which a message that comes again is known. body is the message without the bytes of its files.
CREATE TABLE a2a_messages (
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    key_id     uuid NOT NULL,
    name       text NOT NULL,
    task_id    uuid NOT NULL,
    digest     text NOT NULL,
    body       text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, key_id, name)
);
CREATE INDEX a2a_messages_by_task ON a2a_messages (task_id, created_at);
