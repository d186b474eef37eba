-- agent_id is the all-zero UUID for the tenant's own wallet, so that the primary key covers it.
CREATE TABLE wallets (
    tenant_id  TEXT NOT NULL,
    agent_id   TEXT NOT NULL,
    currency   TEXT NOT NULL,
    id         TEXT NOT NULL UNIQUE,
    available  INTEGER NOT NULL CHECK (available >= 0),
    held       INTEGER NOT NULL CHECK (held >= 0),
    seq        INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, currency)
) WITHOUT ROWID;

CREATE TABLE ledger_entries (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    kind        TEXT NOT NULL,
    currency    TEXT NOT NULL,
    act_id      TEXT,
    idem_key    TEXT,
    hold_id     TEXT,
    refunds_id  TEXT,
    payee       TEXT NOT NULL,
    category    TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX ledger_entries_act ON ledger_entries (tenant_id, act_id) WHERE act_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_entries_key ON ledger_entries (tenant_id, idem_key) WHERE idem_key IS NOT NULL;
CREATE INDEX ledger_entries_refunds ON ledger_entries (tenant_id, refunds_id) WHERE refunds_id IS NOT NULL;

-- kind, balance_after and seq belong to the lines that are transactions of a wallet.
CREATE TABLE ledger_lines (
    tenant_id      TEXT NOT NULL,
    entry_id       TEXT NOT NULL,
    line           INTEGER NOT NULL,
    part           TEXT NOT NULL,
    wallet_id      TEXT,
    amount         INTEGER NOT NULL CHECK (amount <> 0),
    kind           TEXT,
    counterpart_id TEXT,
    balance_after  INTEGER,
    seq            INTEGER,
    PRIMARY KEY (tenant_id, entry_id, line)
) WITHOUT ROWID;
CREATE UNIQUE INDEX ledger_lines_wallet ON ledger_lines (wallet_id, seq) WHERE kind IS NOT NULL;

CREATE TABLE wallet_holds (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    wallet_id   TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    currency    TEXT NOT NULL,
    amount      INTEGER NOT NULL CHECK (amount > 0),
    captured    INTEGER NOT NULL CHECK (captured >= 0 AND captured <= amount),
    status      TEXT NOT NULL,
    act_id      TEXT,
    payee       TEXT NOT NULL,
    category    TEXT NOT NULL,
    description TEXT NOT NULL,
    expires_at  TEXT NOT NULL,
    resolved_at TEXT,
    created_at  TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX wallet_holds_act ON wallet_holds (tenant_id, act_id) WHERE act_id IS NOT NULL;
CREATE INDEX wallet_holds_open ON wallet_holds (tenant_id, agent_id) WHERE status = 'open';
CREATE INDEX wallet_holds_due ON wallet_holds (expires_at) WHERE status = 'open';
