-- What must not be used any more: by a tenant, and by all. skill_id, kind and name say what the digest was known as, where that is known.
CREATE TABLE skill_quarantines (
    tenant_id  uuid NOT NULL,
    digest     text NOT NULL,
    skill_id   uuid,
    kind       text NOT NULL,
    name       text NOT NULL,
    reason     text NOT NULL,
    held_by    uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, digest)
);
CREATE INDEX skill_quarantines_skill ON skill_quarantines (tenant_id, skill_id, digest);
CREATE TABLE skill_blocks (
    digest     text PRIMARY KEY,
    skill_id   uuid,
    kind       text NOT NULL,
    name       text NOT NULL,
    reason     text NOT NULL,
    held_by    uuid,
    created_at timestamptz NOT NULL
);

-- Which session used which content of a skill, from its first use on.
CREATE TABLE skill_uses (
    tenant_id  uuid NOT NULL,
    digest     text NOT NULL,
    session_id uuid NOT NULL,
    agent_id   uuid NOT NULL,
    skill_id   uuid NOT NULL,
    manner     text NOT NULL,
    first_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, digest, session_id, agent_id)
);
CREATE INDEX skill_uses_digest ON skill_uses (digest, tenant_id);

-- digest is that over all files; NULL for versions from before it was kept. scan is what the security scan found; a malicious version is
-- withheld from the marketplace until an administrator accepts it.
ALTER TABLE skill_guide_versions ADD COLUMN digest text;
ALTER TABLE skill_guide_versions ADD COLUMN scan text;
ALTER TABLE skill_guide_versions ADD COLUMN withheld boolean NOT NULL DEFAULT false;
CREATE INDEX skill_guide_versions_digest ON skill_guide_versions (digest, tenant_id) WHERE digest IS NOT NULL;
