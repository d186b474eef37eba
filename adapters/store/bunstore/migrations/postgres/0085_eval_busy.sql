-- Until when a process has the trial to itself, to prepare or to score it.
ALTER TABLE eval_trials ADD COLUMN busy_until timestamptz;
