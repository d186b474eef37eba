-- agent_id is the all-zero UUID for the tenant's own wallet, so that the primary key covers it. The rows change with every
-- payment and no index does, hence the room for updates in place.
CREATE TABLE wallets (
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    currency   text NOT NULL,
    id         uuid NOT NULL UNIQUE,
    available  bigint NOT NULL CHECK (available >= 0),
    held       bigint NOT NULL CHECK (held >= 0),
    seq        bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, currency)
) WITH (fillfactor = 50);

CREATE TABLE ledger_entries (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    kind        text NOT NULL,
    currency    text NOT NULL,
    act_id      uuid,
    idem_key    text,
    hold_id     uuid,
    refunds_id  uuid,
    payee       text NOT NULL,
    category    text NOT NULL,
    description text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX ledger_entries_act ON ledger_entries (tenant_id, act_id) WHERE act_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_entries_key ON ledger_entries (tenant_id, idem_key) WHERE idem_key IS NOT NULL;
CREATE INDEX ledger_entries_refunds ON ledger_entries (tenant_id, refunds_id) WHERE refunds_id IS NOT NULL;

-- kind, balance_after and seq belong to the lines that are transactions of a wallet.
CREATE TABLE ledger_lines (
    tenant_id      uuid NOT NULL,
    entry_id       uuid NOT NULL,
    line           integer NOT NULL,
    part           text NOT NULL,
    wallet_id      uuid,
    amount         bigint NOT NULL CHECK (amount <> 0),
    kind           text,
    counterpart_id uuid,
    balance_after  bigint,
    seq            bigint,
    PRIMARY KEY (tenant_id, entry_id, line)
);
CREATE UNIQUE INDEX ledger_lines_wallet ON ledger_lines (wallet_id, seq) WHERE kind IS NOT NULL;

CREATE TABLE wallet_holds (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    wallet_id   uuid NOT NULL,
    agent_id    uuid NOT NULL,
    currency    text NOT NULL,
    amount      bigint NOT NULL CHECK (amount > 0),
    captured    bigint NOT NULL CHECK (captured >= 0 AND captured <= amount),
    status      text NOT NULL,
    act_id      uuid,
    payee       text NOT NULL,
    category    text NOT NULL,
    description text NOT NULL,
    expires_at  timestamptz NOT NULL,
    resolved_at timestamptz,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX wallet_holds_act ON wallet_holds (tenant_id, act_id) WHERE act_id IS NOT NULL;
CREATE INDEX wallet_holds_open ON wallet_holds (tenant_id, agent_id) WHERE status = 'open';
CREATE INDEX wallet_holds_due ON wallet_holds (expires_at) WHERE status = 'open';
