-- Addresses that are told what happens. secret and previous are sealed; previous is good until previous_until.
CREATE TABLE webhooks (
    tenant_id      TEXT NOT NULL,
    id             TEXT NOT NULL,
    url            TEXT NOT NULL,
    events         TEXT NOT NULL,
    description    TEXT NOT NULL,
    enabled        INTEGER NOT NULL,
    reason         TEXT NOT NULL,
    failures       INTEGER NOT NULL,
    secret         BLOB NOT NULL,
    previous       BLOB,
    previous_until TEXT,
    created_at     TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- What enabled webhooks want.
CREATE TABLE webhook_events (
    tenant_id  TEXT NOT NULL,
    pattern    TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, pattern, webhook_id)
);
CREATE INDEX webhook_events_webhook ON webhook_events (tenant_id, webhook_id);

-- What has happened. once names what is told of only once.
CREATE TABLE notices (
    tenant_id  TEXT NOT NULL,
    id         TEXT NOT NULL,
    kind       TEXT NOT NULL,
    agent_id   TEXT,
    once       TEXT,
    data       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX notices_once ON notices (tenant_id, once) WHERE once IS NOT NULL;
CREATE INDEX notices_kind ON notices (tenant_id, kind, id);
CREATE INDEX notices_agent ON notices (tenant_id, agent_id, id) WHERE agent_id IS NOT NULL;
CREATE INDEX notices_age ON notices (created_at);

-- Notices on their way to webhooks. The pending ones of a lane are sent one at a time, in the order of seq. attempts is a JSON list.
CREATE TABLE webhook_deliveries (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id  TEXT NOT NULL,
    notice_id   TEXT NOT NULL,
    kind        TEXT NOT NULL,
    manual      INTEGER NOT NULL,
    lane        TEXT NOT NULL,
    status      TEXT NOT NULL,
    error       TEXT NOT NULL,
    attempts    TEXT NOT NULL,
    next_at     TEXT,
    lease_token TEXT,
    lease_until TEXT,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    UNIQUE (tenant_id, id)
);
CREATE INDEX webhook_deliveries_lane ON webhook_deliveries (lane, seq) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (tenant_id, webhook_id, seq);
CREATE INDEX webhook_deliveries_notice ON webhook_deliveries (notice_id);
