-- metadata is TEXT: its bytes are hashed. An entry has no seq until the sealer has chained it.
CREATE TABLE audit_entries (
    tenant_id  uuid NOT NULL,
    id         uuid NOT NULL,
    action     text NOT NULL,
    agent_id   uuid,
    key_id     uuid,
    metadata   text NOT NULL,
    created_at timestamptz NOT NULL,
    seq        bigint,
    prev_hash  text,
    hash       text,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_entries_unsealed ON audit_entries (tenant_id, id) WHERE seq IS NULL;
CREATE UNIQUE INDEX audit_entries_seq ON audit_entries (tenant_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_entries_agent ON audit_entries (tenant_id, agent_id, seq) WHERE seq IS NOT NULL AND agent_id IS NOT NULL;
CREATE INDEX audit_entries_action ON audit_entries (tenant_id, action, seq) WHERE seq IS NOT NULL;

CREATE TABLE audit_chains (
    tenant_id uuid PRIMARY KEY,
    count     bigint NOT NULL,
    head      text NOT NULL
);
