-- What models cost: the server's prices, which have no tenant, and those that tenants set for themselves. terms holds rates, tiers and
-- multipliers in picodollars per token. A row never changes but for its end: it counted from the version made_in of its owner's prices up to
-- the one before gone_in.
CREATE TABLE prices (
    id            uuid PRIMARY KEY,
    tenant_id     uuid,
    provider      text NOT NULL,
    model         text NOT NULL,
    valid_from    timestamptz,
    valid_until   timestamptz,
    terms         jsonb NOT NULL,
    source        text NOT NULL,
    source_url    text NOT NULL,
    set_at        timestamptz NOT NULL,
    set_by        uuid,
    made_in       bigint NOT NULL,
    gone_in       bigint,
    superseded_at timestamptz
);
CREATE INDEX prices_owner ON prices (tenant_id, made_in);
-- The version of the prices of a tenant, or of the server, whose owner is empty, and what they were last made from.
CREATE TABLE price_versions (
    owner   text PRIMARY KEY,
    version bigint NOT NULL,
    content text NOT NULL
);
