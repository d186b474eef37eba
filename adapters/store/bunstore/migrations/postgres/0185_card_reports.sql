-- How many agent cards a tenant, or an address without a key, has had judged on a day.
CREATE TABLE validation_days (
    subject text COLLATE "C" NOT NULL,
    day     text COLLATE "C" NOT NULL,
    used    bigint NOT NULL,
    PRIMARY KEY (subject, day)
);
CREATE INDEX validation_days_day ON validation_days (day);

-- What the reports of an owner take: of a tenant, or for '' of all callers without a key.
CREATE TABLE card_report_rooms (
    owner   text COLLATE "C" NOT NULL PRIMARY KEY,
    reports bigint NOT NULL,
    bytes   bigint NOT NULL
);

-- Agent cards that tenants have had judged, with the newest report of each. identity is a SHA-256 of what makes two texts the same card.
CREATE TABLE agent_cards (
    id         uuid NOT NULL PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    identity   text COLLATE "C" NOT NULL,
    reports    bigint NOT NULL,
    first_at   timestamptz NOT NULL,
    newest     uuid NOT NULL,
    newest_at  timestamptz NOT NULL,
    name       text NOT NULL,
    url        text NOT NULL,
    version    text NOT NULL,
    valid      boolean NOT NULL,
    score      bigint NOT NULL,
    errors     bigint NOT NULL,
    warnings   bigint NOT NULL,
    UNIQUE (tenant_id, identity)
);
CREATE INDEX agent_cards_list ON agent_cards (tenant_id, newest_at, id);

-- What validations found. owner is the tenant, '' for callers without a key; found is a JSON document; size is the card's in bytes, bytes
-- what the row takes.
CREATE TABLE card_reports (
    id         uuid NOT NULL PRIMARY KEY,
    owner      text COLLATE "C" NOT NULL,
    card_id    uuid,
    batch_id   uuid,
    label      text NOT NULL,
    name       text NOT NULL,
    url        text NOT NULL,
    version    text NOT NULL,
    basis      text NOT NULL,
    valid      boolean NOT NULL,
    score      bigint NOT NULL,
    errors     bigint NOT NULL,
    warnings   bigint NOT NULL,
    masked     bigint NOT NULL,
    found      text NOT NULL,
    card       text NOT NULL,
    size       bigint NOT NULL,
    digest     text NOT NULL,
    bytes      bigint NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX card_reports_owner ON card_reports (owner, created_at, id);
CREATE INDEX card_reports_card ON card_reports (card_id, created_at, id) WHERE card_id IS NOT NULL;
CREATE INDEX card_reports_batch ON card_reports (batch_id, created_at, id) WHERE batch_id IS NOT NULL;
CREATE INDEX card_reports_age ON card_reports (created_at);
