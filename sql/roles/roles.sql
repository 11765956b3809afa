-- Two roles for the broker's database: one that migrates and owns the tables, one that service and worker use
-- and that may read and write rows, and nothing else. Run it in that database as its administrator, before the
-- first `token-broker migrate`; running it again changes nothing. Then give each role a password of its own:
--     \password token_broker_migrator
--     \password token_broker

DO $roles$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['token_broker_migrator', 'token_broker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), name);
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
    EXECUTE format('GRANT CREATE ON SCHEMA %I TO token_broker_migrator', current_schema());
    -- Rows only, of every table that a migration has made or will make.
    EXECUTE format(
        'ALTER DEFAULT PRIVILEGES FOR ROLE token_broker_migrator IN SCHEMA %I '
        'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO token_broker', current_schema());
    EXECUTE format(
        'ALTER DEFAULT PRIVILEGES FOR ROLE token_broker_migrator IN SCHEMA %I '
        'GRANT EXECUTE ON FUNCTIONS TO token_broker', current_schema());
    -- The server's own limits for what service and worker do. The first two are below TOKEN_BROKER_DATABASE_TIMEOUT (3s),
    -- so that no statement goes on for whom nobody waits any more. Raise them together, that setting first.
    EXECUTE format('ALTER ROLE token_broker IN DATABASE %I SET statement_timeout = ''2s''', current_database());
    EXECUTE format('ALTER ROLE token_broker IN DATABASE %I SET lock_timeout = ''1s''', current_database());
    EXECUTE format(
        'ALTER ROLE token_broker IN DATABASE %I SET idle_in_transaction_session_timeout = ''5s''',
        current_database());
END
$roles$;
