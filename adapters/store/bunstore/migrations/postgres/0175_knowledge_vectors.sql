-- Vectors move out of the entries: a space has those of the embedder that it is searched by and, while it is re-embedded, those of the
-- next one beside them; taking over the new ones is one row of knowledge_spaces. place counts a space's vectors in the order of storing.
-- numbers stands for the numbers of the text; 0 is unknown. The dimension depends on the embedder, so that the column has none.
CREATE TABLE knowledge_vectors (
    tenant_id uuid NOT NULL,
    space_id  uuid NOT NULL,
    seq       bigint NOT NULL,
    embedder  text NOT NULL,
    place     bigint NOT NULL,
    numbers   bigint NOT NULL DEFAULT 0,
    embedding vector NOT NULL,
    PRIMARY KEY (tenant_id, space_id, seq, embedder)
);
INSERT INTO knowledge_vectors (tenant_id, space_id, seq, embedder, place, embedding)
    SELECT tenant_id, space_id, seq, embedder, seq, embedding FROM knowledge_entries;
CREATE INDEX knowledge_vectors_place ON knowledge_vectors (tenant_id, space_id, embedder, place);

-- agent_id is the agent that the entry came through. words are what lexical search looks for, and "@" with the space's id, so that the
-- index finds one space's entries only.
ALTER TABLE knowledge_entries
    ADD COLUMN type     text NOT NULL DEFAULT '',
    ADD COLUMN agent_id uuid,
    ADD COLUMN words    tsvector NOT NULL DEFAULT ''::tsvector;
UPDATE knowledge_entries AS e SET words = array_to_tsvector(array_append(
    ARRAY(SELECT DISTINCT left(w, 64) FROM regexp_split_to_table(lower(e.text), '[^[:alnum:]]+') AS w WHERE w <> ''), '@' || e.space_id));
UPDATE knowledge_entries SET type = left(metadata::json ->> 'type', 128)
    WHERE metadata IS NOT NULL AND metadata NOT LIKE '%\\u0000%' AND json_typeof(metadata::json -> 'type') = 'string';
ALTER TABLE knowledge_entries DROP COLUMN embedding, DROP COLUMN embedder;
CREATE INDEX knowledge_entries_words ON knowledge_entries USING gin (words);
CREATE INDEX knowledge_entries_type ON knowledge_entries (tenant_id, space_id, type, seq) WHERE type <> '';

-- indexed is the embedder whose vectors of this space have an HNSW index. Times are milliseconds since 1970; 0 is never.
ALTER TABLE knowledge_spaces
    ADD COLUMN swarm         boolean NOT NULL DEFAULT false,
    ADD COLUMN last_place    bigint NOT NULL DEFAULT 0,
    ADD COLUMN next_embedder text NOT NULL DEFAULT '',
    ADD COLUMN indexed       text NOT NULL DEFAULT '',
    ADD COLUMN reembed_from  text NOT NULL DEFAULT '',
    ADD COLUMN reembed_to    text NOT NULL DEFAULT '',
    ADD COLUMN reembed_until bigint NOT NULL DEFAULT 0,
    ADD COLUMN reembed_error text NOT NULL DEFAULT '',
    ADD COLUMN reembed_twins bigint NOT NULL DEFAULT 0,
    ADD COLUMN started_at    bigint NOT NULL DEFAULT 0,
    ADD COLUMN finished_at   bigint NOT NULL DEFAULT 0;
UPDATE knowledge_spaces AS s SET last_place = last_seq, swarm = EXISTS (SELECT 1 FROM swarms WHERE swarms.id = s.space_id);

CREATE TABLE knowledge_twins (
    tenant_id  uuid NOT NULL,
    space_id   uuid NOT NULL,
    entry_id   uuid NOT NULL,
    twin_id    uuid NOT NULL,
    similarity double precision NOT NULL,
    PRIMARY KEY (tenant_id, space_id, entry_id)
);
