-- Skills made of instructions. latest is the highest number of the versions that are there, NULL without any; numbers go on from
-- last_number, so that a deleted one does not come back. The files' bytes lie in the blob store.
CREATE TABLE skill_guides (
    tenant_id    TEXT NOT NULL,
    id           TEXT NOT NULL,
    handle       TEXT,
    display_name TEXT NOT NULL,
    search_key   TEXT NOT NULL,
    last_number  INTEGER NOT NULL,
    latest       INTEGER,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX skill_guides_handle ON skill_guides (tenant_id, handle) WHERE handle IS NOT NULL;

CREATE TABLE skill_guide_versions (
    tenant_id   TEXT NOT NULL,
    guide_id    TEXT NOT NULL,
    number      INTEGER NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    directory   TEXT NOT NULL,
    files       TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    PRIMARY KEY (tenant_id, guide_id, number)
);
CREATE UNIQUE INDEX skill_guide_versions_id ON skill_guide_versions (tenant_id, id);
