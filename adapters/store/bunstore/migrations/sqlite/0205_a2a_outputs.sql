-- The files that agents made for tasks. The row stays when the file goes, and tells then that there was one.
CREATE TABLE a2a_outputs (
    task_id    TEXT NOT NULL,
    path       TEXT NOT NULL,
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    file_id    TEXT NOT NULL,
    name       TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size       INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (task_id, path)
) WITHOUT ROWID;
CREATE INDEX a2a_outputs_of_agent ON a2a_outputs (tenant_id, agent_id);

-- Which task is under way in a session.
CREATE INDEX a2a_tasks_open ON a2a_tasks (session_id) WHERE state IN ('submitted', 'working', 'input-required');

-- The tasks of all peers of an agent.
CREATE INDEX a2a_tasks_of_agent ON a2a_tasks (tenant_id, agent_id, id);
