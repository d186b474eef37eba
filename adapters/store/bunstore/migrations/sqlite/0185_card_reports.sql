-- How many agent cards a tenant, or an address without a key, has had judged on a day.
CREATE TABLE validation_days (
    subject TEXT NOT NULL,
    day     TEXT NOT NULL,
    used    INTEGER NOT NULL,
    PRIMARY KEY (subject, day)
);
CREATE INDEX validation_days_day ON validation_days (day);

-- What the reports of an owner take: of a tenant, or for '' of all callers without a key.
CREATE TABLE card_report_rooms (
    owner   TEXT NOT NULL PRIMARY KEY,
    reports INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
);

-- Agent cards that tenants have had judged, with the newest report of each. identity is a SHA-256 of what makes two texts the same card.
CREATE TABLE agent_cards (
    id         TEXT NOT NULL PRIMARY KEY,
    tenant_id  TEXT NOT NULL,
    identity   TEXT NOT NULL,
    reports    INTEGER NOT NULL,
    first_at   TEXT NOT NULL,
    newest     TEXT NOT NULL,
    newest_at  TEXT NOT NULL,
    name       TEXT NOT NULL,
    url        TEXT NOT NULL,
    version    TEXT NOT NULL,
    valid      INTEGER NOT NULL,
    score      INTEGER NOT NULL,
    errors     INTEGER NOT NULL,
    warnings   INTEGER NOT NULL,
    UNIQUE (tenant_id, identity)
);
CREATE INDEX agent_cards_list ON agent_cards (tenant_id, newest_at, id);

-- What validations found. owner is the tenant, '' for callers without a key; found is a JSON document; size is the card's in bytes, bytes
-- what the row takes.
CREATE TABLE card_reports (
    id         TEXT NOT NULL PRIMARY KEY,
    owner      TEXT NOT NULL,
    card_id    TEXT,
    batch_id   TEXT,
    label      TEXT NOT NULL,
    name       TEXT NOT NULL,
    url        TEXT NOT NULL,
    version    TEXT NOT NULL,
    basis      TEXT NOT NULL,
    valid      INTEGER NOT NULL,
    score      INTEGER NOT NULL,
    errors     INTEGER NOT NULL,
    warnings   INTEGER NOT NULL,
    masked     INTEGER NOT NULL,
    found      TEXT NOT NULL,
    card       TEXT NOT NULL,
    size       INTEGER NOT NULL,
    digest     TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX card_reports_owner ON card_reports (owner, created_at, id);
CREATE INDEX card_reports_card ON card_reports (card_id, created_at, id) WHERE card_id IS NOT NULL;
CREATE INDEX card_reports_batch ON card_reports (batch_id, created_at, id) WHERE batch_id IS NOT NULL;
CREATE INDEX card_reports_age ON card_reports (created_at);
