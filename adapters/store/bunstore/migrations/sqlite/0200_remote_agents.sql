-- Agents elsewhere, by their cards. detail is what else is known of the card and of its fetching, as JSON; credential is sealed.
CREATE TABLE remote_agents (
    tenant_id     TEXT NOT NULL,
    id            TEXT NOT NULL,
    agent_id      TEXT NOT NULL,
    name          TEXT NOT NULL,
    url           TEXT NOT NULL,
    card          BLOB NOT NULL,
    credential    BLOB,
    detail        TEXT NOT NULL,
    next_check_at TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX remote_agents_name ON remote_agents (tenant_id, name);
CREATE UNIQUE INDEX remote_agents_agent ON remote_agents (tenant_id, agent_id);
CREATE INDEX remote_agents_due ON remote_agents (next_check_at);

-- What their cards were, the newest with the highest seq.
CREATE TABLE remote_agent_changes (
    tenant_id TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    card      BLOB NOT NULL,
    detail    TEXT NOT NULL,
    at        TEXT NOT NULL,
    PRIMARY KEY (tenant_id, remote_id, seq)
);

-- What agents' conversations are known by elsewhere, and which task of theirs waits there.
CREATE TABLE remote_conversations (
    tenant_id TEXT NOT NULL,
    agent_id  TEXT NOT NULL,
    name      TEXT NOT NULL,
    context   TEXT NOT NULL,
    task      TEXT NOT NULL,
    waiting   INTEGER NOT NULL,
    used_at   TEXT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, name)
);
CREATE INDEX remote_conversations_used ON remote_conversations (used_at);
