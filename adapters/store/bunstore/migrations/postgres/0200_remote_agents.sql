-- Agents elsewhere, by their cards. detail is what else is known of the card and of its fetching, as JSON; credential is sealed.
CREATE TABLE remote_agents (
    tenant_id     uuid NOT NULL,
    id            uuid NOT NULL,
    agent_id      uuid NOT NULL,
    name          text NOT NULL,
    url           text NOT NULL,
    card          bytea NOT NULL,
    credential    bytea,
    detail        text NOT NULL,
    next_check_at timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX remote_agents_name ON remote_agents (tenant_id, name);
CREATE UNIQUE INDEX remote_agents_agent ON remote_agents (tenant_id, agent_id);
CREATE INDEX remote_agents_due ON remote_agents (next_check_at);

-- What their cards were, the newest with the highest seq.
CREATE TABLE remote_agent_changes (
    tenant_id uuid NOT NULL,
    remote_id uuid NOT NULL,
    seq       bigint NOT NULL,
    card      bytea NOT NULL,
    detail    text NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, remote_id, seq)
);

-- What agents' conversations are known by elsewhere, and which task of theirs waits there.
CREATE TABLE remote_conversations (
    tenant_id uuid NOT NULL,
    agent_id  uuid NOT NULL,
    name      text NOT NULL,
    context   text NOT NULL,
    task      text NOT NULL,
    waiting   boolean NOT NULL,
    used_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, name)
);
CREATE INDEX remote_conversations_used ON remote_conversations (used_at);
