-- migrate: outside a transaction
-- The few grants that are stopped: the worker counts these, and not the table.
CREATE INDEX CONCURRENTLY IF NOT EXISTS grants_stopped ON grants (client, state) WHERE state <> 'LIVE';
