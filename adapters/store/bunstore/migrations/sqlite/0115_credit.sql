-- month is the calendar month, UTC: 2026-11.
CREATE TABLE credit_months (
    tenant_id TEXT NOT NULL,
    month     TEXT NOT NULL,
    used      INTEGER NOT NULL CHECK (used >= 0),
    reserved  INTEGER NOT NULL CHECK (reserved >= 0),
    PRIMARY KEY (tenant_id, month)
);

CREATE TABLE credit_charges (
    tenant_id  TEXT NOT NULL,
    run_id     TEXT NOT NULL,
    month      TEXT NOT NULL,
    metered    BOOLEAN NOT NULL,
    reserved   INTEGER NOT NULL CHECK (reserved >= 0),
    charged    INTEGER NOT NULL CHECK (charged >= 0),
    created_at TEXT NOT NULL,
    settled_at TEXT,
    PRIMARY KEY (tenant_id, run_id)
);
CREATE INDEX credit_charges_month ON credit_charges (tenant_id, month);
