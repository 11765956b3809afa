-- Run once by PostgreSQL's image when the database is made, after sql/roles/roles.sql: gives the two roles the
-- passwords that the broker was told in its addresses. The superuser then has no more business in this database.
\set migrator_password `cat /run/secrets/migrator_password`
\set broker_password `cat /run/secrets/broker_password`

ALTER ROLE token_broker_migrator PASSWORD :'migrator_password';
ALTER ROLE token_broker PASSWORD :'broker_password';
