-- Whose an agent is, for those who know nothing but its id: cards are read without a key.
CREATE INDEX agents_by_id ON agents (id);

-- Where changes of A2A tasks are posted. place is the number of the last change that was told; secrets is sealed.
CREATE TABLE a2a_push_configs (
    tenant_id   TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    task_id     TEXT NOT NULL,
    id          TEXT NOT NULL,
    url         TEXT NOT NULL,
    scheme      TEXT NOT NULL,
    secrets     BLOB,
    protocol    TEXT NOT NULL,
    state       TEXT NOT NULL,
    error       TEXT NOT NULL,
    place       INTEGER NOT NULL,
    failures    INTEGER NOT NULL,
    next_at     TEXT NOT NULL,
    lease_token TEXT,
    lease_until TEXT,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    ended_at    TEXT,
    PRIMARY KEY (task_id, id)
) WITHOUT ROWID;
CREATE INDEX a2a_push_configs_due ON a2a_push_configs (next_at) WHERE state = 'active';
CREATE INDEX a2a_push_configs_agent ON a2a_push_configs (tenant_id, agent_id);
CREATE INDEX a2a_push_configs_ended ON a2a_push_configs (ended_at) WHERE ended_at IS NOT NULL;

-- What is to be told of tasks that somebody wants to be told of, in order.
CREATE TABLE a2a_task_changes (
    task_id   TEXT NOT NULL,
    number    INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    state     TEXT NOT NULL,
    reason    TEXT NOT NULL,
    rule      TEXT NOT NULL,
    artifacts BOOLEAN NOT NULL,
    at        TEXT NOT NULL,
    PRIMARY KEY (task_id, number)
) WITHOUT ROWID;
