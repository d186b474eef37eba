CREATE TABLE tenants (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    plan       TEXT NOT NULL,
    standing   TEXT NOT NULL,
    operator   BOOLEAN NOT NULL,
    created_at TEXT NOT NULL
);
-- At most one tenant is the operator's.
CREATE UNIQUE INDEX tenants_operator ON tenants (operator) WHERE operator;

CREATE TABLE api_keys (
    id           TEXT NOT NULL PRIMARY KEY,
    tenant_id    TEXT NOT NULL,
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    prefix       TEXT NOT NULL,
    permissions  TEXT NOT NULL,
    bootstrap    BOOLEAN NOT NULL,
    created_by   TEXT,
    created_at   TEXT NOT NULL,
    expires_at   TEXT,
    revoked_at   TEXT,
    last_used_at TEXT
);
CREATE INDEX api_keys_live ON api_keys (tenant_id, id) WHERE revoked_at IS NULL;

CREATE TABLE idempotency_records (
    tenant_id    TEXT NOT NULL,
    fingerprint  BLOB NOT NULL,
    request      BLOB NOT NULL,
    holder       TEXT NOT NULL,
    answered     BOOLEAN NOT NULL,
    sealed       BOOLEAN NOT NULL,
    status       INTEGER,
    content_type TEXT,
    body         BLOB,
    created_at   TEXT NOT NULL,
    keep_until   TEXT NOT NULL,
    answer_until TEXT,
    PRIMARY KEY (tenant_id, fingerprint)
);
CREATE INDEX idempotency_records_due ON idempotency_records (keep_until);
CREATE INDEX idempotency_records_secret ON idempotency_records (answer_until) WHERE sealed AND body IS NOT NULL;
