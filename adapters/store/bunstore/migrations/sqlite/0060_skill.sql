-- Plugins belong to the server: these two tables have no tenant. digest names the release in force; it is NULL until a shipped
-- plugin's first binary is built.
CREATE TABLE plugins (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    description TEXT NOT NULL,
    search_key  TEXT NOT NULL,
    enabled     BOOLEAN NOT NULL,
    shipped     BOOLEAN NOT NULL,
    removed     BOOLEAN NOT NULL,
    digest      TEXT,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
);

-- manifest is TEXT because its bytes are signed.
CREATE TABLE plugin_releases (
    plugin_id     TEXT NOT NULL,
    digest        TEXT NOT NULL,
    manifest      TEXT NOT NULL,
    signature_key TEXT NOT NULL,
    signature     BLOB NOT NULL,
    created_at    TEXT NOT NULL,
    PRIMARY KEY (plugin_id, digest)
);
CREATE INDEX plugin_releases_digest ON plugin_releases (digest);

CREATE TABLE installed_skills (
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    plugin_id  TEXT NOT NULL,
    id         TEXT NOT NULL,
    digest     TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, plugin_id)
);
CREATE INDEX installed_skills_plugin ON installed_skills (plugin_id);
CREATE INDEX installed_skills_digest ON installed_skills (digest);

-- The operator's signing keys; the private halves are sealed. number counts from 1, so that two servers cannot both make the first.
CREATE TABLE plugin_keys (
    number     INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    public     BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    created_at TEXT NOT NULL
);
