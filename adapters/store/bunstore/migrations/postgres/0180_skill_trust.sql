-- What an installed skill is trusted at: verified or clawhub, or '' for whatever the skill itself has.
ALTER TABLE installed_skills ADD COLUMN trust_level text NOT NULL DEFAULT '';
