-- What agents report. Ids are the 16 bytes of their UUIDs, at is in milliseconds since 1970, level is 0 info, 1 warning, 2 error, 3 critical.
-- An id is a UUIDv7 with at in it and so unique by what is unique in at, or given: brought by its report. The order is that of at and id.
CREATE TABLE telemetry_events (
    tenant_id BLOB NOT NULL,
    agent_id  BLOB NOT NULL,
    at        INTEGER NOT NULL,
    id        BLOB NOT NULL,
    given     INTEGER NOT NULL,
    level     INTEGER NOT NULL,
    type      TEXT NOT NULL,
    source    TEXT NOT NULL,
    trace_id  TEXT,
    parent_id BLOB,
    payload   TEXT
);
CREATE UNIQUE INDEX telemetry_events_time ON telemetry_events (tenant_id, at, id);
CREATE INDEX telemetry_events_agent ON telemetry_events (tenant_id, agent_id, at, id);
CREATE UNIQUE INDEX telemetry_events_given ON telemetry_events (tenant_id, id) WHERE given = 1;
CREATE INDEX telemetry_events_trace ON telemetry_events (tenant_id, trace_id, at, id) WHERE trace_id IS NOT NULL;
CREATE INDEX telemetry_events_parent ON telemetry_events (tenant_id, parent_id, at, id) WHERE parent_id IS NOT NULL;
CREATE INDEX telemetry_events_errors ON telemetry_events (tenant_id, at, agent_id) WHERE level >= 2;
CREATE INDEX telemetry_events_roots ON telemetry_events (tenant_id, at, id) WHERE trace_id IS NOT NULL AND parent_id IS NULL;

-- How many of the events are alike, kept in the transactions that write them: lists say their length without counting millions of rows.
CREATE TABLE telemetry_event_kinds (
    tenant_id BLOB NOT NULL,
    agent_id  BLOB NOT NULL,
    type      TEXT NOT NULL,
    source    TEXT NOT NULL,
    level     INTEGER NOT NULL,
    events    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, type, source, level)
) WITHOUT ROWID;
