-- For how many days a tenant keeps what agents report; NULL is for ever. A tenant without a row has the server's defaults.
CREATE TABLE telemetry_retention (
    tenant_id     TEXT NOT NULL PRIMARY KEY,
    events_days   INTEGER,
    messages_days INTEGER,
    feedback_days INTEGER,
    updated_at    TEXT NOT NULL
);
