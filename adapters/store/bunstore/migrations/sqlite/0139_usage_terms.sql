-- On what terms a use was priced: its service tier, the names of its modifiers with blanks between them, what is odd about it (bits), and
-- the price. rerate_id is the re-rating that changed its cost last.
ALTER TABLE usage_rows ADD COLUMN service_tier TEXT NOT NULL DEFAULT '';
ALTER TABLE usage_rows ADD COLUMN modifiers TEXT NOT NULL DEFAULT '';
ALTER TABLE usage_rows ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_rows ADD COLUMN price_id TEXT;
ALTER TABLE usage_rows ADD COLUMN rerate_id TEXT;
