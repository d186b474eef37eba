-- Whose an agent is, for those who know nothing but its id: cards are read without a key.
CREATE INDEX agents_by_id ON agents (id);

-- Where changes of A2A tasks are posted. place is the number of the last change that was told; secrets is sealed.
CREATE TABLE a2a_push_configs (
    tenant_id   uuid NOT NULL,
    agent_id    uuid NOT NULL,
    task_id     uuid NOT NULL,
    id          text COLLATE "C" NOT NULL,
    url         text NOT NULL,
    scheme      text NOT NULL,
    secrets     bytea,
    protocol    text NOT NULL,
    state       text NOT NULL,
    error       text NOT NULL,
    place       bigint NOT NULL,
    failures    integer NOT NULL,
    next_at     timestamptz NOT NULL,
    lease_token text,
    lease_until timestamptz,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    PRIMARY KEY (task_id, id)
);
CREATE INDEX a2a_push_configs_due ON a2a_push_configs (next_at) WHERE state = 'active';
CREATE INDEX a2a_push_configs_agent ON a2a_push_configs (tenant_id, agent_id);
CREATE INDEX a2a_push_configs_ended ON a2a_push_configs (ended_at) WHERE ended_at IS NOT NULL;

-- What is to be told of tasks that somebody wants to be told of, in order.
CREATE TABLE a2a_task_changes (
    task_id   uuid NOT NULL,
    number    bigint NOT NULL,
    tenant_id uuid NOT NULL,
    state     text NOT NULL,
    reason    text NOT NULL,
    rule      text NOT NULL,
    artifacts boolean NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (task_id, number)
);
