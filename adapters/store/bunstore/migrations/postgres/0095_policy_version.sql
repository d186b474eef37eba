-- Every version of every policy; those of policies that have been deleted stay, for decisions to be replayed. Before, versions were in the
-- audit trail only: what there is now is the first that is kept.
ALTER TABLE policies ADD COLUMN mode text NOT NULL DEFAULT 'enforce';
CREATE TABLE policy_versions (
    tenant_id  uuid NOT NULL,
    policy_id  uuid NOT NULL,
    version    bigint NOT NULL,
    scope_key  text NOT NULL,
    mode       text NOT NULL,
    limits     text NOT NULL,
    rules      text NOT NULL,
    created_at timestamptz NOT NULL,
    made_at    timestamptz NOT NULL,
    made_by    text NOT NULL,
    PRIMARY KEY (tenant_id, policy_id, version)
);
INSERT INTO policy_versions (tenant_id, policy_id, version, scope_key, mode, limits, rules, created_at, made_at, made_by)
    SELECT tenant_id, id, version, scope_key, mode, limits, rules, created_at, updated_at, '' FROM policies;

-- votes is a JSON array of {by, at}: it is read with its approval, and written under the approval's lock.
ALTER TABLE approvals ADD COLUMN run_id uuid;
ALTER TABLE approvals ADD COLUMN requested_by text NOT NULL DEFAULT '';
ALTER TABLE approvals ADD COLUMN required bigint NOT NULL DEFAULT 1;
ALTER TABLE approvals ADD COLUMN apart boolean NOT NULL DEFAULT FALSE;
ALTER TABLE approvals ADD COLUMN votes text NOT NULL DEFAULT '[]';
