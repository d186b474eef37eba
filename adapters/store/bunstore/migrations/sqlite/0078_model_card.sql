-- headers are the names of the headers that are sent besides; their values are sealed with the key.
CREATE TABLE model_cards (
    tenant_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    model_id    TEXT NOT NULL,
    model       TEXT NOT NULL,
    provider    TEXT NOT NULL,
    base_url    TEXT NOT NULL,
    headers     TEXT NOT NULL,
    key_preview TEXT NOT NULL,
    is_default  BOOLEAN NOT NULL,
    version     INTEGER NOT NULL,
    sealed      BLOB NOT NULL,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX model_cards_model_id ON model_cards (tenant_id, model_id);
CREATE UNIQUE INDEX model_cards_default ON model_cards (tenant_id) WHERE is_default;
