-- Skills made of instructions. latest is the highest number of the versions that are there, NULL without any; numbers go on from
-- last_number, so that a deleted one does not come back. The files' bytes lie in the blob store.
CREATE TABLE skill_guides (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    handle       text,
    display_name text NOT NULL,
    search_key   text NOT NULL,
    last_number  bigint NOT NULL,
    latest       bigint,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX skill_guides_handle ON skill_guides (tenant_id, handle) WHERE handle IS NOT NULL;

CREATE TABLE skill_guide_versions (
    tenant_id   uuid NOT NULL,
    guide_id    uuid NOT NULL,
    number      bigint NOT NULL,
    id          uuid NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    directory   text NOT NULL,
    files       text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, guide_id, number)
);
CREATE UNIQUE INDEX skill_guide_versions_id ON skill_guide_versions (tenant_id, id);
