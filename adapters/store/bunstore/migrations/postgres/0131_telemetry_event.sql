-- What agents report. at is in milliseconds since 1970, level is 0 info, 1 warning, 2 error, 3 critical, payload the JSON text as it came.
-- An id is a UUIDv7 with at in it and so unique by what is unique in at, or given: brought by its report. The order is that of at and id.
CREATE TABLE telemetry_events (
    tenant_id uuid NOT NULL,
    agent_id  uuid NOT NULL,
    at        bigint NOT NULL,
    id        uuid NOT NULL,
    given     boolean NOT NULL,
    level     smallint NOT NULL,
    type      text NOT NULL,
    source    text NOT NULL,
    trace_id  text,
    parent_id uuid,
    payload   text
);
CREATE UNIQUE INDEX telemetry_events_time ON telemetry_events (tenant_id, at, id);
CREATE INDEX telemetry_events_agent ON telemetry_events (tenant_id, agent_id, at, id);
CREATE UNIQUE INDEX telemetry_events_given ON telemetry_events (tenant_id, id) WHERE given;
CREATE INDEX telemetry_events_trace ON telemetry_events (tenant_id, trace_id, at, id) WHERE trace_id IS NOT NULL;
CREATE INDEX telemetry_events_parent ON telemetry_events (tenant_id, parent_id, at, id) WHERE parent_id IS NOT NULL;
CREATE INDEX telemetry_events_errors ON telemetry_events (tenant_id, at, agent_id) WHERE level >= 2;
CREATE INDEX telemetry_events_roots ON telemetry_events (tenant_id, at, id) WHERE trace_id IS NOT NULL AND parent_id IS NULL;

-- How many of the events are alike, kept in the transactions that write them: lists say their length without counting millions of rows.
CREATE TABLE telemetry_event_kinds (
    tenant_id uuid NOT NULL,
    agent_id  uuid NOT NULL,
    type      text NOT NULL,
    source    text NOT NULL,
    level     smallint NOT NULL,
    events    bigint NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, type, source, level)
);
