ALTER TABLE acts ADD COLUMN rail text NOT NULL DEFAULT '';
CREATE INDEX acts_approved_rail ON acts (id) WHERE state = 'ready' AND rail <> '' AND session_id IS NULL;

-- A payment over a rail, from the moment it may leave. due_at is when somebody must ask the rail, and until then the lease of whoever
-- does; NULL when nothing is open.
CREATE TABLE payments (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    act_id       uuid NOT NULL,
    agent_id     uuid NOT NULL,
    session_id   uuid,
    rail         text NOT NULL,
    currency     text NOT NULL,
    amount       bigint NOT NULL CHECK (amount > 0),
    paid         bigint NOT NULL CHECK (paid >= 0 AND paid <= amount),
    refunded     bigint NOT NULL CHECK (refunded >= 0 AND refunded <= paid),
    refunding    bigint NOT NULL CHECK (refunding >= 0),
    refund_key   text NOT NULL,
    payee        text NOT NULL,
    description  text NOT NULL,
    target       text,
    status       text NOT NULL,
    hold_id      uuid NOT NULL,
    entry_id     uuid,
    reference    text NOT NULL,
    result       text,
    error        text NOT NULL,
    attempts     bigint NOT NULL,
    asked        bigint NOT NULL,
    due_at       timestamptz,
    last_at      timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX payments_act ON payments (tenant_id, act_id);
CREATE UNIQUE INDEX payments_entry ON payments (tenant_id, entry_id) WHERE entry_id IS NOT NULL;
CREATE INDEX payments_due ON payments (due_at) WHERE due_at IS NOT NULL;
