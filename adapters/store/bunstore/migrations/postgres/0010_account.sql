CREATE TABLE tenants (
    id         uuid NOT NULL PRIMARY KEY,
    name       text NOT NULL,
    plan       text NOT NULL,
    standing   text NOT NULL,
    operator   boolean NOT NULL,
    created_at timestamptz NOT NULL
);
-- At most one tenant is the operator's.
CREATE UNIQUE INDEX tenants_operator ON tenants (operator) WHERE operator;

CREATE TABLE api_keys (
    id           uuid NOT NULL PRIMARY KEY,
    tenant_id    uuid NOT NULL,
    name         text NOT NULL,
    hash         bytea NOT NULL UNIQUE,
    prefix       text NOT NULL,
    permissions  text NOT NULL,
    bootstrap    boolean NOT NULL,
    created_by   uuid,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
CREATE INDEX api_keys_live ON api_keys (tenant_id, id) WHERE revoked_at IS NULL;

CREATE TABLE idempotency_records (
    tenant_id    uuid NOT NULL,
    fingerprint  bytea NOT NULL,
    request      bytea NOT NULL,
    holder       uuid NOT NULL,
    answered     boolean NOT NULL,
    sealed       boolean NOT NULL,
    status       integer,
    content_type text,
    body         bytea,
    created_at   timestamptz NOT NULL,
    keep_until   timestamptz NOT NULL,
    answer_until timestamptz,
    PRIMARY KEY (tenant_id, fingerprint)
);
CREATE INDEX idempotency_records_due ON idempotency_records (keep_until);
CREATE INDEX idempotency_records_secret ON idempotency_records (answer_until) WHERE sealed AND body IS NOT NULL;
