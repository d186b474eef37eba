-- tasks is TEXT everywhere, because schemas in it keep the bytes that their authors gave them. step numbers the jobs of a run.
CREATE TABLE eval_runs (
    tenant_id      uuid NOT NULL,
    id             uuid NOT NULL,
    name           text NOT NULL,
    agent_id       uuid NOT NULL,
    agent_version  bigint NOT NULL,
    environment_id uuid,
    tasks          text NOT NULL,
    status         text NOT NULL,
    error          text NOT NULL,
    counts         jsonb NOT NULL,
    step           bigint NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    started_at     timestamptz,
    ended_at       timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX eval_runs_live ON eval_runs (updated_at) WHERE status IN ('pending', 'running');

CREATE TABLE eval_trials (
    tenant_id   uuid NOT NULL,
    run_id      uuid NOT NULL,
    task        bigint NOT NULL,
    number      bigint NOT NULL,
    status      text NOT NULL,
    session_id  uuid,
    sent        bigint NOT NULL DEFAULT 0,
    score       double precision,
    passed      boolean,
    results     text NOT NULL DEFAULT '[]',
    error       text NOT NULL DEFAULT '',
    cost_picos  bigint,
    judge_picos bigint,
    tokens      bigint NOT NULL DEFAULT 0,
    steps       bigint NOT NULL DEFAULT 0,
    tools       bigint NOT NULL DEFAULT 0,
    started_at  timestamptz,
    ended_at    timestamptz,
    PRIMARY KEY (tenant_id, run_id, task, number)
);
