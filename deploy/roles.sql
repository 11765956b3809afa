-- Run once, by PostgreSQL's image, when the database is made. Two roles besides the superuser, who then has no more
-- business here: broker_migrator owns the schema and is the migrations' own; broker is the running processes', which
-- read and write rows and can change no table.
\set migrator_password `cat /run/secrets/migrator_password`
\set broker_password `cat /run/secrets/broker_password`

CREATE ROLE broker_migrator LOGIN PASSWORD :'migrator_password';
CREATE ROLE broker LOGIN PASSWORD :'broker_password';

REVOKE ALL ON DATABASE broker FROM PUBLIC;
-- Who owns the database owns its schema "public" as well.
ALTER DATABASE broker OWNER TO broker_migrator;
GRANT CONNECT ON DATABASE broker TO broker;
GRANT USAGE ON SCHEMA public TO broker;
ALTER DEFAULT PRIVILEGES FOR ROLE broker_migrator IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO broker;
ALTER DEFAULT PRIVILEGES FOR ROLE broker_migrator IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO broker;

-- Nothing of the broker's leaves a transaction open while it waits for somebody else.
ALTER ROLE broker SET idle_in_transaction_session_timeout = '15s';
