-- How agents are hosted. config, program, limits and failures are JSON; program is NULL for Bureau's worker. site is where the instance is; ''
-- before the first start.
CREATE TABLE deployments (
    tenant_id      TEXT NOT NULL,
    agent_id       TEXT NOT NULL,
    region         TEXT NOT NULL,
    config         TEXT NOT NULL,
    avatar_url     TEXT NOT NULL,
    program        TEXT,
    limits         TEXT NOT NULL,
    desired        TEXT NOT NULL,
    status         TEXT NOT NULL,
    generation     INTEGER NOT NULL,
    needs_restart  BOOLEAN NOT NULL,
    site           TEXT NOT NULL,
    spec_at        TEXT,
    started_at     TEXT,
    stopped_at     TEXT,
    last_error     TEXT NOT NULL,
    error_category TEXT NOT NULL,
    failures       TEXT NOT NULL,
    retry_at       TEXT,
    measured       TEXT,
    created_at     TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id)
);
CREATE INDEX deployments_site ON deployments (site, agent_id);
CREATE INDEX deployments_running ON deployments (tenant_id) WHERE status = 'running';

-- Which server looks after the instances of which site, and until when.
CREATE TABLE hosting_sites (
    site        TEXT PRIMARY KEY,
    owner       TEXT NOT NULL,
    lease_until TEXT NOT NULL
);
