-- What lets service and worker run under a role that owns nothing: they make and drop the lineage's days through
-- these two functions, which run as the role that migrates, and they never write the history of migrations.
-- allow: drop: inside a function, on a day that is over

DO $migration$
BEGIN
    -- The search path is pinned: no table that the caller puts in front is taken for the broker's own.
    EXECUTE format($make$
        CREATE FUNCTION lineage_make_day(day date) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp AS $body$
        DECLARE
            name text := 'lineage_' || to_char(day, 'YYYYMMDD');
            begins timestamptz := day::timestamp AT TIME ZONE 'UTC';
            ends timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
        BEGIN
            -- Rows of that day which already stand in the rest stay there.
            IF to_regclass(name) IS NOT NULL
                OR EXISTS (SELECT FROM lineage_rest WHERE counts_until >= begins AND counts_until < ends) THEN
                RETURN false;
            END IF;
            EXECUTE format(
                'CREATE TABLE %%I PARTITION OF lineage FOR VALUES FROM (%%L) TO (%%L)', name, begins, ends
            );
            RETURN true;
        END
        $body$
    $make$, current_schema());
    EXECUTE format($drop$
        CREATE FUNCTION lineage_drop_day(day date) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp AS $body$
        DECLARE
            name text := 'lineage_' || to_char(day, 'YYYYMMDD');
        BEGIN
            -- A day that is not over still counts, whatever the caller's clock says.
            IF to_regclass(name) IS NULL OR day >= (clock_timestamp() AT TIME ZONE 'UTC')::date THEN
                RETURN false;
            END IF;
            EXECUTE format('DROP TABLE %%I', name);
            RETURN true;
        END
        $body$
    $drop$, current_schema());
END
$migration$;

REVOKE ALL ON FUNCTION lineage_make_day(date), lineage_drop_day(date) FROM PUBLIC;

DO $migration$
DECLARE
    grantee oid;
BEGIN
    FOR grantee IN
        SELECT DISTINCT (aclexplode(relacl)).grantee FROM pg_class WHERE oid = 'schema_migrations'::regclass
    LOOP
        -- 0 is everybody.
        IF grantee <> current_user::regrole THEN
            EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM %s',
                CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END);
        END IF;
    END LOOP;
END
$migration$;
