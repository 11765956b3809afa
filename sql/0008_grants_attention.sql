-- migrate: outside a transaction
-- The few grants that somebody should look at, the most urgent kind first: pages are read from here in order.
CREATE INDEX CONCURRENTLY IF NOT EXISTS grants_attention ON grants (client, (CASE
        WHEN state = 'DEAD' THEN 5 WHEN state = 'PAUSED' THEN 6 WHEN force_pending THEN 1 WHEN refused THEN 2
        WHEN refresh_token_dead OR retry_at IS NOT NULL THEN 3 ELSE 4 END), user_id)
    WHERE state <> 'LIVE' OR force_pending OR refused OR distrusted_until IS NOT NULL OR refresh_token_dead
        OR retry_at IS NOT NULL;
