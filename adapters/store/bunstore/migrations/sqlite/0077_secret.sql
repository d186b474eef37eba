CREATE TABLE vaults (
    tenant_id            TEXT NOT NULL,
    id                   TEXT NOT NULL,
    display_name         TEXT NOT NULL,
    metadata             TEXT NOT NULL,
    inline_credential_id TEXT,
    created_at           TEXT NOT NULL,
    updated_at           TEXT NOT NULL,
    archived_at          TEXT,
    PRIMARY KEY (tenant_id, id)
);

-- subject is a digest of what a credential is for. sealed is NULL once it is archived.
CREATE TABLE vault_credentials (
    tenant_id      TEXT NOT NULL,
    vault_id       TEXT NOT NULL,
    id             TEXT NOT NULL,
    display_name   TEXT NOT NULL,
    metadata       TEXT NOT NULL,
    auth           TEXT NOT NULL,
    subject        TEXT NOT NULL,
    sealed         BLOB,
    version        INTEGER NOT NULL,
    secret_version INTEGER NOT NULL,
    refresh_until  TEXT,
    refresh_failed BOOLEAN NOT NULL,
    created_at     TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    archived_at    TEXT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX vault_credentials_vault ON vault_credentials (tenant_id, vault_id, id);
CREATE UNIQUE INDEX vault_credentials_subject ON vault_credentials (tenant_id, vault_id, subject) WHERE archived_at IS NULL;
