-- A run is the session of the same UUID. status is running until it has ended; that it waits for an approval is found in its acts.
CREATE TABLE agent_runs (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    agent_id     uuid NOT NULL,
    task         text NOT NULL,
    context      text NOT NULL,
    status       text NOT NULL,
    pending      boolean NOT NULL,
    summary      text NOT NULL DEFAULT '',
    error        text NOT NULL DEFAULT '',
    rule         text NOT NULL DEFAULT '',
    credits      bigint NOT NULL DEFAULT 0,
    acts         bigint NOT NULL DEFAULT 0,
    started_at   timestamptz NOT NULL,
    completed_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX agent_runs_by_agent ON agent_runs (tenant_id, agent_id, id);
CREATE INDEX agent_runs_live ON agent_runs (id) WHERE status = 'running';

CREATE INDEX acts_of_run ON acts (tenant_id, run_id, id) WHERE run_id IS NOT NULL;
