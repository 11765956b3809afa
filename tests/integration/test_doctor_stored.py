"""What the doctor makes of stored rows: overdue, too many to count, or not to be read; it changes none."""

from datetime import timedelta

from service.doctor.findings import State
from tests.support.deployments import OURS, told

LOST = ("lost", b"l" * 32)


async def test_pairs_that_nobody_refreshes_are_found(deployment):
    await deployment.users(OURS, "anna", "bert", due_in=-timedelta(hours=1))
    found = told(await deployment.examined(), "worker")
    assert (found.state, found.what[-12:]) == (State.DOUBTFUL, "2 of default")
    assert "See that token-broker work runs" in found.mend


async def test_of_large_tables_a_sample_is_looked_at(deployment, monkeypatch):
    await deployment.users(LOST, *(f"u{number}" for number in range(50)))
    monkeypatch.setattr("service.doctor.stored.SMALL", 1)
    monkeypatch.setattr(
        "service.doctor.stored._SIZE", "SELECT 2::bigint FROM pg_class WHERE oid = to_regclass($1)"
    )
    findings = {one.check: one.what for one in await deployment.examined()}
    assert findings["keys.fingerprint_keys"].endswith("as far as a sample shows")


async def test_nothing_is_changed_by_looking(deployment):
    await deployment.users(OURS, "anna")
    before = await deployment.rows()
    await deployment.examined()
    assert await deployment.rows() == before


async def test_rows_that_may_not_be_read_hide_nothing_else(deployment):
    await deployment.sql("REVOKE SELECT ON lineage FROM token_broker")
    findings = await deployment.examined()
    assert "GRANT SELECT ON lineage TO token_broker;" in told(findings, "postgres.rights").mend
    assert told(findings, "keys.fingerprint_keys").state is State.UNSEEN
    assert {"worker", "keys.encryption_keys"} <= {one.check for one in findings if one.state is State.FINE}


async def test_rows_that_cannot_be_read_soon_hide_nothing_else(deployment, monkeypatch):
    monkeypatch.setattr(
        "service.doctor.stored._SEALED", "SELECT 'e1' AS key_id, 1 AS n, pg_sleep(9) {sample}"
    )
    monkeypatch.setattr("service.doctor.postgres._LOOK_WITHIN_S", 0.1)
    findings = await deployment.examined()
    assert told(findings, "keys.encryption_keys").state is State.DOUBTFUL
    assert {"worker", "keys.fingerprint_keys"} <= {one.check for one in findings if one.state is State.FINE}
