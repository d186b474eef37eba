-- What a settled act consumed, in picodollars, and which act a usage row belongs to: the two are reconciled.
ALTER TABLE acts ADD COLUMN cost INTEGER;
ALTER TABLE usage_rows ADD COLUMN act_id TEXT;
CREATE UNIQUE INDEX usage_rows_act ON usage_rows (tenant_id, act_id) WHERE act_id IS NOT NULL;
CREATE INDEX acts_cost ON acts (tenant_id, ended_at) WHERE cost IS NOT NULL AND action = 'model_call';
CREATE INDEX acts_started ON acts (tenant_id, created_at) WHERE state = 'started';
