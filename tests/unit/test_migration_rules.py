"""Migrations expand; one that takes something away says so; and one that was released stays as it is."""

import hashlib
import re
from pathlib import Path

import pytest

from sql.files import OUTSIDE, Migration, read
from tests.support.migration_rules import broken

SQL = Path(__file__).parents[2] / "sql"
OURS = read()
ALONE = f"{OUTSIDE}\nCREATE INDEX CONCURRENTLY"
BAD = {
    "ALTER TABLE grants DROP COLUMN reason": "drop",
    "ALTER TABLE grants DROP reason": "drop",
    "ALTER TABLE grants DROP CONSTRAINT grants_state_check": "drop",
    "ALTER TABLE grants ALTER failures DROP DEFAULT": "drop",
    "DROP TABLE events": "drop",
    "DROP INDEX grants_due": "drop",
    "DROP FUNCTION lineage_make_day(date)": "drop",
    "ALTER TABLE grants RENAME COLUMN reason TO why": "rename",
    "ALTER TABLE grants RENAME TO consents": "rename",
    "ALTER TABLE grants ALTER COLUMN failures TYPE bigint": "type",
    "ALTER TABLE grants ALTER failures SET DATA TYPE bigint": "type",
    "ALTER TABLE grants ALTER COLUMN retry_at SET NOT NULL": "not null",
    "ALTER TABLE grants ADD COLUMN scope text NOT NULL": "not null",
    "ALTER TABLE grants ADD scope text NOT NULL": "not null",
    "TRUNCATE events": "truncate",
    "ALTER TABLE grants ADD CHECK (failures >= 0)": "unvalidated",
    "ALTER TABLE grants ADD CONSTRAINT c CHECK (failures >= 0)": "unvalidated",
    "ALTER TABLE grants ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES b": "unvalidated",
    "ALTER TABLE grants ADD CONSTRAINT u UNIQUE (upstream_id)": "unique",
    "ALTER TABLE grants ADD COLUMN seat integer UNIQUE": "unique",
    "ALTER TABLE grants ADD COLUMN parent text REFERENCES users": "reference",
    "ALTER TABLE grants ADD COLUMN tag uuid DEFAULT gen_random_uuid()": "rewrite",
    "ALTER TABLE grants ADD COLUMN born timestamptz NOT NULL DEFAULT clock_timestamp()": "rewrite",
    "ALTER TABLE grants ADD COLUMN twice integer GENERATED ALWAYS AS (failures * 2) STORED": "rewrite",
    "ALTER TABLE grants ADD COLUMN number bigserial": "rewrite",
    "CREATE INDEX ON grants (retry_at)": "index",
    "CREATE UNIQUE INDEX grants_retry ON grants (retry_at)": "index",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON grants (retry_at)": "index alone",
    f"{ALONE} i ON grants (retry_at)": "index alone",
    f"{ALONE} IF NOT EXISTS i ON grants (retry_at);\nCREATE TABLE more (n integer)": "index alone",
    "ALTER TABLE grants ADD COLUMN a text;\nALTER TABLE users ADD COLUMN a text": "two tables",
    "ALTER TABLE grants ADD CHECK (a) NOT VALID; ALTER TABLE grants VALIDATE CONSTRAINT c": "validation",
    "UPDATE grants SET reason = ''": "rows",
    "DELETE FROM events WHERE at < now()": "rows",
    "LOCK TABLE grants": "lock",
    "VACUUM FULL grants": "lock",
}
GOOD = [
    "ALTER TABLE grants ADD COLUMN scope text, ADD COLUMN weight integer NOT NULL DEFAULT 1",
    "ALTER TABLE users ADD COLUMN IF NOT EXISTS region text DEFAULT 'eu'",
    "ALTER TABLE grants ADD CONSTRAINT c CHECK (failures >= 0) NOT VALID",
    "ALTER TABLE grants ADD CONSTRAINT c CHECK (retry_at IS NOT NULL) NOT VALID",
    "ALTER TABLE grants ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES b NOT VALID",
    "ALTER TABLE grants ADD COLUMN weight integer DEFAULT 1 NOT NULL",
    "ALTER TABLE grants VALIDATE CONSTRAINT c",
    "ALTER TABLE grants ADD CONSTRAINT u UNIQUE USING INDEX grants_upstream",
    f"{ALONE} IF NOT EXISTS i ON grants (retry_at);",
    f"{OUTSIDE}\nDROP INDEX CONCURRENTLY IF EXISTS grants_due",
    "CREATE TABLE more (n integer PRIMARY KEY, m text NOT NULL); CREATE INDEX ON more (m)",
    "CREATE TABLE more (n integer); ALTER TABLE more ADD CHECK (n > 0)",
    "-- this one drops nothing\nALTER TABLE users ADD COLUMN a text",
]


def a_migration(sql, name="0099_new"):
    return Migration(99, name, sql)


@pytest.mark.parametrize("sql", BAD)
def test_what_would_harm_who_still_serves_is_refused(sql):
    assert BAD[sql] in broken(OURS, a_migration(sql))


@pytest.mark.parametrize("sql", GOOD)
def test_what_only_expands_is_not(sql):
    assert broken(OURS, a_migration(sql)) == set()


def test_a_contract_may_take_away_but_not_lock():
    drop = "ALTER TABLE grants DROP COLUMN last_error"
    assert broken(OURS, a_migration(drop, "0099_contract_0098_no_last_error")) == set()
    assert broken(OURS, a_migration(f"LOCK TABLE grants; {drop}", "0099_contract_0098_x")) == {"lock"}


def test_an_exception_has_a_name_and_a_reason():
    assert broken(OURS, a_migration("-- allow: drop: nobody has used it\nDROP INDEX grants_due")) == set()
    assert broken(OURS, a_migration("-- allow: drop:\nDROP INDEX grants_due")) == {"drop"}


@pytest.mark.parametrize("number", range(len(OURS)))
def test_our_own_migrations_keep_to_the_rules(number):
    assert broken(OURS[:number], OURS[number]) == set()


def test_our_own_contracts_take_away_only_what_the_release_before_does_not_use():
    for contract in (migration for migration in OURS if "_contract_" in migration.name):
        assert int(re.search(r"_contract_(\d{4})_", contract.name)[1]) < contract.version


def test_a_migration_that_was_released_stays_as_it_is():
    noted = [line.split() for line in (SQL / "checksums.txt").read_text().splitlines()]
    stand = [[hashlib.sha256(file.read_bytes()).hexdigest(), file.name] for file in sorted(SQL.glob("*.sql"))]
    assert noted == stand, (
        "a new file needs its line (sha256sum); the line of one that was released never changes"
    )
