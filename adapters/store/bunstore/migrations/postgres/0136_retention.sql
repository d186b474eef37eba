-- For how many days a tenant keeps what agents report; NULL is for ever. A tenant without a row has the server's defaults.
CREATE TABLE telemetry_retention (
    tenant_id     uuid NOT NULL PRIMARY KEY,
    events_days   bigint,
    messages_days bigint,
    feedback_days bigint,
    updated_at    timestamptz NOT NULL
);
