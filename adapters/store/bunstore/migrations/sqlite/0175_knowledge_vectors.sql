-- Vectors move out of the entries: a space has those of the embedder that it is searched by and, while it is re-embedded, those of the
-- next one beside them; taking over the new ones is one row of knowledge_spaces. place counts a space's vectors in the order of storing.
-- numbers stands for the numbers of the text; 0 is unknown.
CREATE TABLE knowledge_vectors (
    tenant_id TEXT NOT NULL,
    space_id  TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    embedder  TEXT NOT NULL,
    place     INTEGER NOT NULL,
    numbers   INTEGER NOT NULL DEFAULT 0,
    embedding BLOB NOT NULL,
    PRIMARY KEY (tenant_id, space_id, seq, embedder)
);
INSERT INTO knowledge_vectors (tenant_id, space_id, seq, embedder, place, embedding)
    SELECT tenant_id, space_id, seq, embedder, seq, embedding FROM knowledge_entries;
CREATE INDEX knowledge_vectors_place ON knowledge_vectors (tenant_id, space_id, embedder, place);

-- Times are milliseconds since 1970; 0 is never. number tells spaces apart in knowledge_words, whose rows are number * 2^36 + seq.
ALTER TABLE knowledge_spaces ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
ALTER TABLE knowledge_spaces ADD COLUMN swarm INTEGER NOT NULL DEFAULT 0;
ALTER TABLE knowledge_spaces ADD COLUMN last_place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE knowledge_spaces ADD COLUMN next_embedder TEXT NOT NULL DEFAULT '';
ALTER TABLE knowledge_spaces ADD COLUMN indexed TEXT NOT NULL DEFAULT '';
ALTER TABLE knowledge_spaces ADD COLUMN reembed_from TEXT NOT NULL DEFAULT '';
ALTER TABLE knowledge_spaces ADD COLUMN reembed_to TEXT NOT NULL DEFAULT '';
ALTER TABLE knowledge_spaces ADD COLUMN reembed_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE knowledge_spaces ADD COLUMN reembed_error TEXT NOT NULL DEFAULT '';
ALTER TABLE knowledge_spaces ADD COLUMN reembed_twins INTEGER NOT NULL DEFAULT 0;
ALTER TABLE knowledge_spaces ADD COLUMN started_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE knowledge_spaces ADD COLUMN finished_at INTEGER NOT NULL DEFAULT 0;
UPDATE knowledge_spaces SET last_place = last_seq, swarm = EXISTS (SELECT 1 FROM swarms WHERE swarms.id = knowledge_spaces.space_id),
    number = (SELECT count(*) FROM knowledge_spaces AS o WHERE (o.tenant_id, o.space_id) <= (knowledge_spaces.tenant_id, knowledge_spaces.space_id));
CREATE UNIQUE INDEX knowledge_spaces_number ON knowledge_spaces (number);

-- agent_id is the agent that the entry came through.
ALTER TABLE knowledge_entries ADD COLUMN type TEXT NOT NULL DEFAULT '';
ALTER TABLE knowledge_entries ADD COLUMN agent_id TEXT;
UPDATE knowledge_entries SET type = substr(json_extract(metadata, '$.type'), 1, 128) WHERE metadata IS NOT NULL AND json_type(metadata, '$.type') = 'text';
ALTER TABLE knowledge_entries DROP COLUMN embedding;
ALTER TABLE knowledge_entries DROP COLUMN embedder;
CREATE INDEX knowledge_entries_type ON knowledge_entries (tenant_id, space_id, type, seq) WHERE type <> '';

-- What lexical search looks for: each text's different words, parted by blanks. The index alone is kept, not the words.
CREATE VIRTUAL TABLE knowledge_words USING fts5 (words, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii');
INSERT INTO knowledge_words (rowid, words)
    SELECT s.number * 68719476736 + e.seq, e.text FROM knowledge_entries AS e
    JOIN knowledge_spaces AS s ON s.tenant_id = e.tenant_id AND s.space_id = e.space_id;

CREATE TABLE knowledge_twins (
    tenant_id  TEXT NOT NULL,
    space_id   TEXT NOT NULL,
    entry_id   TEXT NOT NULL,
    twin_id    TEXT NOT NULL,
    similarity REAL NOT NULL,
    PRIMARY KEY (tenant_id, space_id, entry_id)
) WITHOUT ROWID;
