-- migrate: outside a transaction
-- The few grants that somebody should look at, the worst kind first: a page of them is read from here in order.
CREATE INDEX CONCURRENTLY IF NOT EXISTS grants_attention ON grants (client, (CASE
        WHEN state = 'DEAD' THEN 1 WHEN state = 'PAUSED' THEN 6 WHEN force_pending THEN 2 WHEN refused THEN 3
        WHEN distrusted_until IS NOT NULL THEN 4 ELSE 5 END), user_id)
    WHERE state <> 'LIVE' OR force_pending OR refused OR distrusted_until IS NOT NULL OR refresh_token_dead
        OR retry_at IS NOT NULL;
