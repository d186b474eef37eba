CREATE TABLE vaults (
    tenant_id            uuid NOT NULL,
    id                   uuid NOT NULL,
    display_name         text NOT NULL,
    metadata             jsonb NOT NULL,
    inline_credential_id uuid,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    archived_at          timestamptz,
    PRIMARY KEY (tenant_id, id)
);

-- subject is a digest of what a credential is for. sealed is NULL once it is archived.
CREATE TABLE vault_credentials (
    tenant_id      uuid NOT NULL,
    vault_id       uuid NOT NULL,
    id             uuid NOT NULL,
    display_name   text NOT NULL,
    metadata       jsonb NOT NULL,
    auth           jsonb NOT NULL,
    subject        text NOT NULL,
    sealed         bytea,
    version        bigint NOT NULL,
    secret_version bigint NOT NULL,
    refresh_until  timestamptz,
    refresh_failed boolean NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    archived_at    timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX vault_credentials_vault ON vault_credentials (tenant_id, vault_id, id);
CREATE UNIQUE INDEX vault_credentials_subject ON vault_credentials (tenant_id, vault_id, subject) WHERE archived_at IS NULL;
