-- The files that agents made for tasks. The row stays when the file goes, and tells then that there was one.
CREATE TABLE a2a_outputs (
    task_id    uuid NOT NULL,
    path       text COLLATE "C" NOT NULL,
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    file_id    uuid NOT NULL,
    name       text NOT NULL,
    media_type text NOT NULL,
    size       bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (task_id, path)
);
CREATE INDEX a2a_outputs_of_agent ON a2a_outputs (tenant_id, agent_id);

-- Which task is under way in a session.
CREATE INDEX a2a_tasks_open ON a2a_tasks (session_id) WHERE state IN ('submitted', 'working', 'input-required');

-- The tasks of all peers of an agent.
CREATE INDEX a2a_tasks_of_agent ON a2a_tasks (tenant_id, agent_id, id);
