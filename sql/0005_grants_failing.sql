-- migrate: outside a transaction
-- The few grants whose last try failed: among these are those who have had no live token for long.
CREATE INDEX CONCURRENTLY IF NOT EXISTS grants_failing ON grants (client, retry_at) WHERE retry_at IS NOT NULL;
