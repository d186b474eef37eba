-- How agents are hosted. config, program, limits and failures are JSON; program is NULL for Bureau's worker. site is where the instance is; ''
-- before the first start.
CREATE TABLE deployments (
    tenant_id      uuid NOT NULL,
    agent_id       uuid NOT NULL,
    region         text NOT NULL,
    config         text NOT NULL,
    avatar_url     text NOT NULL,
    program        text,
    limits         text NOT NULL,
    desired        text NOT NULL,
    status         text NOT NULL,
    generation     bigint NOT NULL,
    needs_restart  boolean NOT NULL,
    site           text NOT NULL,
    spec_at        timestamptz,
    started_at     timestamptz,
    stopped_at     timestamptz,
    last_error     text NOT NULL,
    error_category text NOT NULL,
    failures       text NOT NULL,
    retry_at       timestamptz,
    measured       text,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id)
);
CREATE INDEX deployments_site ON deployments (site, agent_id);
CREATE INDEX deployments_running ON deployments (tenant_id) WHERE status = 'running';

-- Which server looks after the instances of which site, and until when.
CREATE TABLE hosting_sites (
    site        text PRIMARY KEY,
    owner       text NOT NULL,
    lease_until timestamptz NOT NULL
);
