-- Authorizations that were begun at a provider of OAuth 2.0 and have not come back, by the hash of their state.
CREATE TABLE oauth_flows (
    state      BLOB PRIMARY KEY,
    purpose    TEXT NOT NULL,
    provider   TEXT NOT NULL,
    tenant_id  TEXT NOT NULL,
    key_id     TEXT,
    sealed     BLOB NOT NULL,
    expires_at TEXT NOT NULL
);
CREATE INDEX oauth_flows_expiry ON oauth_flows (expires_at);

-- People who signed in to the console, and the keys that were made for them.
CREATE TABLE users (
    tenant_id       TEXT NOT NULL,
    id              TEXT NOT NULL,
    issuer          TEXT NOT NULL,
    subject         TEXT NOT NULL,
    email           TEXT NOT NULL,
    name            TEXT NOT NULL,
    created_at      TEXT NOT NULL,
    last_sign_in_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, issuer, subject)
);
CREATE TABLE user_sign_ins (
    tenant_id TEXT NOT NULL,
    key_id    TEXT NOT NULL,
    user_id   TEXT NOT NULL,
    PRIMARY KEY (tenant_id, key_id)
);

CREATE TABLE integration_installations (
    tenant_id      TEXT NOT NULL,
    id             TEXT NOT NULL,
    provider       TEXT NOT NULL,
    workspace_id   TEXT NOT NULL,
    workspace_name TEXT NOT NULL,
    kind           TEXT NOT NULL,
    bot_user_id    TEXT NOT NULL,
    bot_login      TEXT NOT NULL,
    authorized_by  TEXT NOT NULL,
    scopes         TEXT NOT NULL,
    accounts       TEXT NOT NULL,
    environment_id TEXT,
    status         TEXT NOT NULL,
    token          BLOB,
    token_expiry   TEXT,
    installed_by   TEXT,
    created_at     TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    removed_at     TEXT,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, provider, workspace_id)
);

-- Whose events are whose. A workspace belongs to one tenant of the server at a time.
CREATE TABLE integration_accounts (
    provider        TEXT NOT NULL,
    account         TEXT NOT NULL,
    tenant_id       TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    PRIMARY KEY (provider, account)
);
CREATE INDEX integration_accounts_installation ON integration_accounts (tenant_id, installation_id);

CREATE TABLE integration_publications (
    tenant_id       TEXT NOT NULL,
    id              TEXT NOT NULL,
    provider        TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    agent_id        TEXT NOT NULL,
    environment_id  TEXT,
    granularity     TEXT NOT NULL,
    mode            TEXT NOT NULL,
    persona_name    TEXT NOT NULL,
    avatar_url      TEXT NOT NULL,
    capabilities    TEXT NOT NULL,
    channels        TEXT NOT NULL,
    status          TEXT NOT NULL,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    ended_at        TEXT,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX integration_publications_live ON integration_publications (tenant_id, installation_id, agent_id) WHERE status = 'live';
CREATE INDEX integration_publications_list ON integration_publications (tenant_id, provider, id);

CREATE TABLE integration_conversations (
    tenant_id      TEXT NOT NULL,
    publication_id TEXT NOT NULL,
    conversation   TEXT NOT NULL,
    session_id     TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    PRIMARY KEY (tenant_id, publication_id, conversation)
);

-- Events of workspaces. message is the JSON of what was said.
CREATE TABLE integration_deliveries (
    tenant_id       TEXT NOT NULL,
    id              TEXT NOT NULL,
    installation_id TEXT NOT NULL,
    provider        TEXT NOT NULL,
    external        TEXT NOT NULL,
    message_key     TEXT NOT NULL,
    message         TEXT NOT NULL,
    state           TEXT NOT NULL,
    publication_id  TEXT,
    session_id      TEXT,
    input_id        TEXT,
    notice          INTEGER NOT NULL,
    check_at        TEXT NOT NULL,
    error           TEXT NOT NULL,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (provider, external),
    UNIQUE (tenant_id, installation_id, message_key)
);
CREATE INDEX integration_deliveries_due ON integration_deliveries (check_at) WHERE state = 'running';
CREATE INDEX integration_deliveries_age ON integration_deliveries (created_at);

-- What is to be said in workspaces, and what was. mark tells the posts of a delivery apart; the reply has 0.
CREATE TABLE integration_posts (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    mark        INTEGER NOT NULL,
    text        TEXT NOT NULL,
    state       TEXT NOT NULL,
    external    TEXT NOT NULL,
    error       TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, delivery_id, mark)
);
