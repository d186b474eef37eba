ALTER TABLE acts ADD COLUMN run_id uuid;
