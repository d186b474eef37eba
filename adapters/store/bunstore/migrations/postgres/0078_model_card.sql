-- headers are the names of the headers that are sent besides; their values are sealed with the key.
CREATE TABLE model_cards (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    model_id    text NOT NULL,
    model       text NOT NULL,
    provider    text NOT NULL,
    base_url    text NOT NULL,
    headers     jsonb NOT NULL,
    key_preview text NOT NULL,
    is_default  boolean NOT NULL,
    version     bigint NOT NULL,
    sealed      bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX model_cards_model_id ON model_cards (tenant_id, model_id);
CREATE UNIQUE INDEX model_cards_default ON model_cards (tenant_id) WHERE is_default;
