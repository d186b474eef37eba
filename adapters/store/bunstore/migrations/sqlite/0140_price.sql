-- What models cost: the server's prices, which have no tenant, and those that tenants set for themselves. terms holds rates, tiers and
-- multipliers in picodollars per token. A row never changes but for its end: it counted from the version made_in of its owner's prices up to
-- the one before gone_in.
CREATE TABLE prices (
    id            TEXT PRIMARY KEY,
    tenant_id     TEXT,
    provider      TEXT NOT NULL,
    model         TEXT NOT NULL,
    valid_from    TEXT,
    valid_until   TEXT,
    terms         TEXT NOT NULL,
    source        TEXT NOT NULL,
    source_url    TEXT NOT NULL,
    set_at        TEXT NOT NULL,
    set_by        TEXT,
    made_in       INTEGER NOT NULL,
    gone_in       INTEGER,
    superseded_at TEXT
);
CREATE INDEX prices_owner ON prices (tenant_id, made_in);
-- The version of the prices of a tenant, or of the server, whose owner is empty, and what they were last made from.
CREATE TABLE price_versions (
    owner   TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    content TEXT NOT NULL
);
