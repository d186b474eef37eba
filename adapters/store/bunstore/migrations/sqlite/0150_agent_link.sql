-- Who looks after an agent. who is the name, the e-mail address or the UUID as it was given; key_id and email say whom it means: a key, or
-- whoever signs in with the address. Both are NULL while no key has the name.
CREATE TABLE agent_links (
    tenant_id  TEXT NOT NULL,
    id         TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    who        TEXT NOT NULL,
    key_id     TEXT,
    email      TEXT,
    created_by TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, agent_id, who)
);
CREATE INDEX agent_links_key ON agent_links (tenant_id, key_id, agent_id) WHERE key_id IS NOT NULL;
CREATE INDEX agent_links_email ON agent_links (tenant_id, email, agent_id) WHERE email IS NOT NULL;
CREATE INDEX agent_links_waiting ON agent_links (tenant_id, who) WHERE key_id IS NULL AND email IS NULL;
