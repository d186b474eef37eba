-- tasks is TEXT everywhere, because schemas in it keep the bytes that their authors gave them. step numbers the jobs of a run.
CREATE TABLE eval_runs (
    tenant_id      TEXT NOT NULL,
    id             TEXT NOT NULL,
    name           TEXT NOT NULL,
    agent_id       TEXT NOT NULL,
    agent_version  INTEGER NOT NULL,
    environment_id TEXT,
    tasks          TEXT NOT NULL,
    status         TEXT NOT NULL,
    error          TEXT NOT NULL,
    counts         TEXT NOT NULL,
    step           INTEGER NOT NULL,
    created_at     TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    started_at     TEXT,
    ended_at       TEXT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX eval_runs_live ON eval_runs (updated_at) WHERE status IN ('pending', 'running');

CREATE TABLE eval_trials (
    tenant_id   TEXT NOT NULL,
    run_id      TEXT NOT NULL,
    task        INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    status      TEXT NOT NULL,
    session_id  TEXT,
    sent        INTEGER NOT NULL DEFAULT 0,
    score       REAL,
    passed      INTEGER,
    results     TEXT NOT NULL DEFAULT '[]',
    error       TEXT NOT NULL DEFAULT '',
    cost_picos  INTEGER,
    judge_picos INTEGER,
    tokens      INTEGER NOT NULL DEFAULT 0,
    steps       INTEGER NOT NULL DEFAULT 0,
    tools       INTEGER NOT NULL DEFAULT 0,
    started_at  TEXT,
    ended_at    TEXT,
    PRIMARY KEY (tenant_id, run_id, task, number)
);
