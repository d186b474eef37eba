-- Re-ratings of usage: what was asked, by which versions of prices, the last row that was looked at, and what came of it so far.
CREATE TABLE usage_rerates (
    tenant_id      TEXT NOT NULL,
    id             TEXT NOT NULL,
    agent_id       TEXT,
    model          TEXT NOT NULL,
    provider       TEXT NOT NULL,
    since          TEXT NOT NULL,
    until          TEXT NOT NULL,
    status         TEXT NOT NULL,
    asked_by       TEXT,
    server_version INTEGER NOT NULL,
    own_version    INTEGER NOT NULL,
    after_at       TEXT,
    after_id       TEXT,
    models         TEXT NOT NULL,
    created_at     TEXT NOT NULL,
    ended_at       TEXT,
    PRIMARY KEY (tenant_id, id)
);
