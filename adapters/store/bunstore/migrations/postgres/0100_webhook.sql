-- Addresses that are told what happens. secret and previous are sealed; previous is good until previous_until.
CREATE TABLE webhooks (
    tenant_id      uuid NOT NULL,
    id             uuid NOT NULL,
    url            text NOT NULL,
    events         text NOT NULL,
    description    text NOT NULL,
    enabled        boolean NOT NULL,
    reason         text NOT NULL,
    failures       bigint NOT NULL,
    secret         bytea NOT NULL,
    previous       bytea,
    previous_until timestamptz,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- What enabled webhooks want.
CREATE TABLE webhook_events (
    tenant_id  uuid NOT NULL,
    pattern    text NOT NULL,
    webhook_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, pattern, webhook_id)
);
CREATE INDEX webhook_events_webhook ON webhook_events (tenant_id, webhook_id);

-- What has happened. once names what is told of only once.
CREATE TABLE notices (
    tenant_id  uuid NOT NULL,
    id         uuid NOT NULL,
    kind       text NOT NULL,
    agent_id   uuid,
    once       text,
    data       text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX notices_once ON notices (tenant_id, once) WHERE once IS NOT NULL;
CREATE INDEX notices_kind ON notices (tenant_id, kind, id);
CREATE INDEX notices_agent ON notices (tenant_id, agent_id, id) WHERE agent_id IS NOT NULL;
CREATE INDEX notices_age ON notices (created_at);

-- Notices on their way to webhooks. The pending ones of a lane are sent one at a time, in the order of seq. attempts is a JSON list.
CREATE TABLE webhook_deliveries (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    seq         bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    webhook_id  uuid NOT NULL,
    notice_id   uuid NOT NULL,
    kind        text NOT NULL,
    manual      boolean NOT NULL,
    lane        text COLLATE "C" NOT NULL,
    status      text NOT NULL,
    error       text NOT NULL,
    attempts    text NOT NULL,
    next_at     timestamptz,
    lease_token text,
    lease_until timestamptz,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX webhook_deliveries_lane ON webhook_deliveries (lane, seq) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_list ON webhook_deliveries (tenant_id, webhook_id, seq);
CREATE INDEX webhook_deliveries_notice ON webhook_deliveries (notice_id);
