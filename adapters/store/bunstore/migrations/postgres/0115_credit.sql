-- month is the calendar month, UTC: 2026-11.
CREATE TABLE credit_months (
    tenant_id uuid NOT NULL,
    month     text NOT NULL,
    used      bigint NOT NULL CHECK (used >= 0),
    reserved  bigint NOT NULL CHECK (reserved >= 0),
    PRIMARY KEY (tenant_id, month)
);

CREATE TABLE credit_charges (
    tenant_id  uuid NOT NULL,
    run_id     uuid NOT NULL,
    month      text NOT NULL,
    metered    boolean NOT NULL,
    reserved   bigint NOT NULL CHECK (reserved >= 0),
    charged    bigint NOT NULL CHECK (charged >= 0),
    created_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (tenant_id, run_id)
);
CREATE INDEX credit_charges_month ON credit_charges (tenant_id, month);
