"""A fault strikes the calls it aims at, as often as it was told, and the same ones with the same seed."""

import pytest

from sandbox.calcom import SandboxConfig
from tests.sandbox.caller import FIRST


async def test_a_fault_ends_after_its_count(sandbox, api):
    fault = sandbox.fault("error_before", "refresh", count=2)

    statuses = [(await api.refresh("x")).status for _ in range(3)]

    assert statuses == [500, 500, 400]
    assert fault.hits == 2


@pytest.mark.parametrize(
    ("aim", "hit"),
    [
        ({"route": "force"}, False),
        ({"route": "refresh"}, True),
        ({"route": "*"}, True),
        ({"client": "c2"}, False),
        ({"client": "c1"}, True),
        ({"user": 1}, False),
        ({"user": 1001}, True),
    ],
)
async def test_a_fault_hits_only_the_calls_it_aims_at(sandbox, api, pair, aim, hit):
    sandbox.fault("error_before", **aim)

    assert (await api.refresh(pair.refresh.secret)).status == (500 if hit else 200)


async def test_a_fault_finds_the_user_of_a_bearer_token_too(sandbox, api, pair, user_id):
    sandbox.fault("error_before", "me", user=user_id, client="c1")

    assert (await api.me(pair.access.secret)).status == 500
    assert (await api.me("another")).status == 401


async def test_draws_repeat_with_the_seed(start):
    runs = []
    for seed in (1, 1, 2):
        sandbox, api = await start(SandboxConfig(clients=(FIRST,), throttle=False, seed=seed))
        sandbox.fault("error_before", "refresh", probability=0.5)
        runs.append([(await api.refresh("x")).status for _ in range(20)])

    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {400, 500}


async def test_faults_are_cleared_by_what_is_named(sandbox):
    first = sandbox.fault("error_before", "refresh")
    sandbox.fault("drop_before", "refresh", client="c2")
    sandbox.fault("drop_before", "force")

    assert sandbox.clear_faults(fault_id=first.id) == 1
    assert sandbox.clear_faults(kind="drop_before", route="force") == 1
    assert sandbox.clear_faults(client="c2") == 1
    assert sandbox.clear_faults() == 0


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("earthquake", {}),
        ("malformed", {"variant": "purple"}),
        ("drop_after", {"variant": "array"}),
        ("drop_after", {"probability": 1.5}),
        ("drop_after", {"route": "refrehs"}),
    ],
)
async def test_a_fault_that_could_never_strike_is_refused(sandbox, kind, options):
    with pytest.raises(ValueError, match=r"unknown|valid|must lie"):
        sandbox.fault(kind, **options)
