-- Plugins belong to the server: these two tables have no tenant. digest names the release in force; it is NULL until a shipped
-- plugin's first binary is built.
CREATE TABLE plugins (
    id          uuid PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE,
    kind        text NOT NULL,
    description text NOT NULL,
    search_key  text NOT NULL,
    enabled     boolean NOT NULL,
    shipped     boolean NOT NULL,
    removed     boolean NOT NULL,
    digest      text,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

-- manifest is TEXT because its bytes are signed.
CREATE TABLE plugin_releases (
    plugin_id     uuid NOT NULL,
    digest        text NOT NULL,
    manifest      text NOT NULL,
    signature_key text NOT NULL,
    signature     bytea NOT NULL,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (plugin_id, digest)
);
CREATE INDEX plugin_releases_digest ON plugin_releases (digest);

CREATE TABLE installed_skills (
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    plugin_id  uuid NOT NULL,
    id         uuid NOT NULL,
    digest     text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, plugin_id)
);
CREATE INDEX installed_skills_plugin ON installed_skills (plugin_id);
CREATE INDEX installed_skills_digest ON installed_skills (digest);

-- The operator's signing keys; the private halves are sealed. number counts from 1, so that two servers cannot both make the first.
CREATE TABLE plugin_keys (
    number     integer PRIMARY KEY,
    id         text NOT NULL UNIQUE,
    public     bytea NOT NULL,
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL
);
