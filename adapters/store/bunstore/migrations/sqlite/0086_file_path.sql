-- Where a sandbox has an output that it made. What there is already has been named by it.
ALTER TABLE files ADD COLUMN path TEXT NOT NULL DEFAULT '';
UPDATE files SET path = name WHERE output = 1;
