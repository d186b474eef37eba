-- What a process that has vanished had begun: few rows, looked for often.
CREATE INDEX integration_deliveries_received ON integration_deliveries (updated_at) WHERE state = 'received';
CREATE INDEX integration_posts_sending ON integration_posts (updated_at) WHERE state = 'sending';
