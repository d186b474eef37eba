-- A run is the session of the same UUID. status is running until it has ended; that it waits for an approval is found in its acts.
CREATE TABLE agent_runs (
    tenant_id    TEXT NOT NULL,
    id           TEXT NOT NULL,
    agent_id     TEXT NOT NULL,
    task         TEXT NOT NULL,
    context      TEXT NOT NULL,
    status       TEXT NOT NULL,
    pending      BOOLEAN NOT NULL,
    summary      TEXT NOT NULL DEFAULT '',
    error        TEXT NOT NULL DEFAULT '',
    rule         TEXT NOT NULL DEFAULT '',
    credits      INTEGER NOT NULL DEFAULT 0,
    acts         INTEGER NOT NULL DEFAULT 0,
    started_at   TEXT NOT NULL,
    completed_at TEXT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX agent_runs_by_agent ON agent_runs (tenant_id, agent_id, id);
CREATE INDEX agent_runs_live ON agent_runs (id) WHERE status = 'running';

CREATE INDEX acts_of_run ON acts (tenant_id, run_id, id) WHERE run_id IS NOT NULL;
