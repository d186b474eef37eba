-- Skills that agents hand in. head is the version that was handed in last, approved the one that is on the market, with the time of its
-- approval and what searches look through; head_status and head_at repeat what the review queue is ordered by.
CREATE TABLE skill_submissions (
    tenant_id    TEXT NOT NULL,
    id           TEXT NOT NULL,
    agent_id     TEXT NOT NULL,
    key          TEXT NOT NULL,
    last_number  INTEGER NOT NULL,
    head         INTEGER NOT NULL,
    head_status  TEXT NOT NULL,
    head_at      TEXT NOT NULL,
    approved     INTEGER,
    approved_at  TEXT,
    category_key TEXT,
    search_key   TEXT,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, agent_id, key)
);
CREATE INDEX skill_submissions_queue ON skill_submissions (tenant_id, head_status, head_at, id);
CREATE INDEX skill_submissions_market ON skill_submissions (tenant_id, approved_at, id) WHERE approved IS NOT NULL;
CREATE INDEX skill_submissions_category ON skill_submissions (tenant_id, category_key, approved_at, id) WHERE approved IS NOT NULL;

-- content is the canonical document that digest is the SHA-256 of; name, summary, category and tags repeat what lists show of it. label is
-- the author's version, NULL for none. Versions are never changed but for their review. One of a skill that is gone stays as long as an
-- agent has it installed.
CREATE TABLE skill_submission_versions (
    tenant_id   TEXT NOT NULL,
    skill_id    TEXT NOT NULL,
    number      INTEGER NOT NULL,
    id          TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    key         TEXT NOT NULL,
    label       TEXT,
    digest      TEXT NOT NULL,
    content     TEXT NOT NULL,
    name        TEXT NOT NULL,
    summary     TEXT NOT NULL,
    category    TEXT NOT NULL,
    tags        TEXT NOT NULL,
    scan        TEXT,
    status      TEXT NOT NULL,
    reason      TEXT NOT NULL,
    reviewed_by TEXT,
    reviewed_at TEXT,
    created_at  TEXT NOT NULL,
    PRIMARY KEY (tenant_id, skill_id, number)
);
CREATE UNIQUE INDEX skill_submission_versions_id ON skill_submission_versions (tenant_id, id);
CREATE UNIQUE INDEX skill_submission_versions_label ON skill_submission_versions (tenant_id, skill_id, label) WHERE label IS NOT NULL;
CREATE INDEX skill_submission_versions_digest ON skill_submission_versions (tenant_id, digest);
CREATE INDEX skill_submission_versions_agent ON skill_submission_versions (tenant_id, agent_id, created_at);

-- The tags of what is on the market.
CREATE TABLE skill_tags (
    tenant_id TEXT NOT NULL,
    tag_key   TEXT NOT NULL,
    skill_id  TEXT NOT NULL,
    PRIMARY KEY (tenant_id, tag_key, skill_id)
);
CREATE INDEX skill_tags_skill ON skill_tags (tenant_id, skill_id);

-- What agents install is no longer plugins alone. A plugin's skill has the plugin's UUID. version_id is the pinned version of what has
-- versions.
ALTER TABLE installed_skills RENAME COLUMN plugin_id TO skill_id;
ALTER TABLE installed_skills ADD COLUMN kind TEXT NOT NULL DEFAULT 'plugin';
ALTER TABLE installed_skills ADD COLUMN version_id TEXT;
DROP INDEX installed_skills_plugin;
CREATE INDEX installed_skills_skill ON installed_skills (skill_id, tenant_id);
CREATE INDEX installed_skills_version ON installed_skills (tenant_id, version_id) WHERE version_id IS NOT NULL;
