-- Authorizations that were begun at a provider of OAuth 2.0 and have not come back, by the hash of their state.
CREATE TABLE oauth_flows (
    state      bytea PRIMARY KEY,
    purpose    text NOT NULL,
    provider   text NOT NULL,
    tenant_id  uuid NOT NULL,
    key_id     uuid,
    sealed     bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX oauth_flows_expiry ON oauth_flows (expires_at);

-- People who signed in to the console, and the keys that were made for them.
CREATE TABLE users (
    tenant_id       uuid NOT NULL,
    id              uuid NOT NULL,
    issuer          text NOT NULL,
    subject         text NOT NULL,
    email           text NOT NULL,
    name            text NOT NULL,
    created_at      timestamptz NOT NULL,
    last_sign_in_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, issuer, subject)
);
CREATE TABLE user_sign_ins (
    tenant_id uuid NOT NULL,
    key_id    uuid NOT NULL,
    user_id   uuid NOT NULL,
    PRIMARY KEY (tenant_id, key_id)
);

CREATE TABLE integration_installations (
    tenant_id      uuid NOT NULL,
    id             uuid NOT NULL,
    provider       text NOT NULL,
    workspace_id   text NOT NULL,
    workspace_name text NOT NULL,
    kind           text NOT NULL,
    bot_user_id    text NOT NULL,
    bot_login      text NOT NULL,
    authorized_by  text NOT NULL,
    scopes         text NOT NULL,
    accounts       text NOT NULL,
    environment_id uuid,
    status         text NOT NULL,
    token          bytea,
    token_expiry   timestamptz,
    installed_by   uuid,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    removed_at     timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, provider, workspace_id)
);

-- Whose events are whose. A workspace belongs to one tenant of the server at a time.
CREATE TABLE integration_accounts (
    provider        text NOT NULL,
    account         text NOT NULL,
    tenant_id       uuid NOT NULL,
    installation_id uuid NOT NULL,
    PRIMARY KEY (provider, account)
);
CREATE INDEX integration_accounts_installation ON integration_accounts (tenant_id, installation_id);

CREATE TABLE integration_publications (
    tenant_id       uuid NOT NULL,
    id              uuid NOT NULL,
    provider        text NOT NULL,
    installation_id uuid NOT NULL,
    agent_id        uuid NOT NULL,
    environment_id  uuid,
    granularity     text NOT NULL,
    mode            text NOT NULL,
    persona_name    text NOT NULL,
    avatar_url      text NOT NULL,
    capabilities    text NOT NULL,
    channels        text NOT NULL,
    status          text NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    ended_at        timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX integration_publications_live ON integration_publications (tenant_id, installation_id, agent_id) WHERE status = 'live';
CREATE INDEX integration_publications_list ON integration_publications (tenant_id, provider, id);

CREATE TABLE integration_conversations (
    tenant_id      uuid NOT NULL,
    publication_id uuid NOT NULL,
    conversation   text NOT NULL,
    session_id     uuid NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, publication_id, conversation)
);

-- Events of workspaces. message is the JSON of what was said.
CREATE TABLE integration_deliveries (
    tenant_id       uuid NOT NULL,
    id              uuid NOT NULL,
    installation_id uuid NOT NULL,
    provider        text NOT NULL,
    external        text NOT NULL,
    message_key     text NOT NULL,
    message         text NOT NULL,
    state           text NOT NULL,
    publication_id  uuid,
    session_id      uuid,
    input_id        uuid,
    notice          bigint NOT NULL,
    check_at        timestamptz NOT NULL,
    error           text NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (provider, external),
    UNIQUE (tenant_id, installation_id, message_key)
);
CREATE INDEX integration_deliveries_due ON integration_deliveries (check_at) WHERE state = 'running';
CREATE INDEX integration_deliveries_age ON integration_deliveries (created_at);

-- What is to be said in workspaces, and what was. mark tells the posts of a delivery apart; the reply has 0.
CREATE TABLE integration_posts (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    delivery_id uuid NOT NULL,
    mark        bigint NOT NULL,
    text        text NOT NULL,
    state       text NOT NULL,
    external    text NOT NULL,
    error       text NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, delivery_id, mark)
);
