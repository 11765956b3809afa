-- What happened to users and their grants, and who asked for their tokens: a day is a partition, and pruning drops it.
-- The table `events` before it is read beside it until its last row is out of retention; nothing writes it any more.
-- allow: drop: inside a function, on a day that is over

CREATE TABLE audit_events (
    -- Not a sequence: who writes behind names the row, so that writing it again changes nothing.
    id          uuid        NOT NULL DEFAULT gen_random_uuid(),
    at          timestamptz NOT NULL,
    -- Neither where it is about no user.
    client      text,
    user_id     text,
    kind        text        NOT NULL,
    event       text        NOT NULL,
    outcome     text,
    reason      text,
    trigger     text,
    generation  bigint,
    presented   bigint,
    actor       text,
    request_id  text,
    -- Who asked; fingerprint and agent are short keyed hashes. All four are forgotten with the user.
    address     text,
    origin      text,
    agent       text,
    fingerprint text,
    facts       jsonb,
    -- So many alike in one row, from `at` to `last_at`.
    count       bigint      NOT NULL DEFAULT 1,
    last_at     timestamptz,
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);

CREATE TABLE audit_events_rest PARTITION OF audit_events DEFAULT;
CREATE INDEX audit_events_user ON audit_events (client, user_id, at DESC, id DESC);

DO $migration$
BEGIN
    -- As the lineage's days are made and dropped: by the tables' owner, with the search path pinned.
    EXECUTE format($make$
        CREATE FUNCTION audit_events_make_day(day date) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp AS $body$
        DECLARE
            name text := 'audit_events_' || to_char(day, 'YYYYMMDD');
            begins timestamptz := day::timestamp AT TIME ZONE 'UTC';
            ends timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
        BEGIN
            -- Rows of that day which already stand in the rest stay there.
            IF to_regclass(name) IS NOT NULL
                OR EXISTS (SELECT FROM audit_events_rest WHERE at >= begins AND at < ends) THEN
                RETURN false;
            END IF;
            EXECUTE format(
                'CREATE TABLE %%I PARTITION OF audit_events FOR VALUES FROM (%%L) TO (%%L)', name, begins, ends
            );
            RETURN true;
        END
        $body$
    $make$, current_schema());
    EXECUTE format($drop$
        CREATE FUNCTION audit_events_drop_day(day date) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %I, pg_temp AS $body$
        DECLARE
            name text := 'audit_events_' || to_char(day, 'YYYYMMDD');
        BEGIN
            -- Nothing younger than a day goes, whatever the caller's clock or settings say.
            IF to_regclass(name) IS NULL OR day >= (clock_timestamp() AT TIME ZONE 'UTC')::date - 1 THEN
                RETURN false;
            END IF;
            EXECUTE format('DROP TABLE %%I', name);
            RETURN true;
        END
        $body$
    $drop$, current_schema());
    -- Room for the first days: rows that came before it was made would stay in the rest.
    FOR ahead IN 0..8 LOOP
        PERFORM audit_events_make_day((clock_timestamp() AT TIME ZONE 'UTC')::date + ahead);
    END LOOP;
END
$migration$;

REVOKE ALL ON FUNCTION audit_events_make_day(date), audit_events_drop_day(date) FROM PUBLIC;
