"""Every point of a refresh, every way to fail there, in service and worker, with real servers and processes.

    python -m pytest tests/chaos/test_crash_matrix.py -k service-after-send-exit-dead

plays one case alone; what is selected together is played at the same time.
"""

from contextlib import closing

import pytest

from sandbox.embedded import servers
from tests.chaos.crash_campaign import run
from tests.chaos.crash_cases import CASES, Case
from tests.chaos.crash_verdict import findings
from tests.support.databases import Databases
from tests.support.databases import run as run_to_its_end
from tests.support.secrecy import GUARD

QUICK = {"postgres_options": {"fsync": "off"}, "valkey_options": {"appendonly": "no"}}
WITHOUT = {
    Case("service", "after_claim", "stop", alive=False, without=("claims",)): "I4",
    Case("service", "after_send", "exit", alive=False, without=("recovery",)): "I1",
}
"""What must be found where every process does without a mechanism."""

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def played(request):
    """What was seen of every case that this run has selected."""
    wanted = [item.callspec.params["case"] for item in request.session.items if item.module is request.module]
    with (
        servers(**QUICK) as pair,
        closing(Databases(pair.postgres.url, GUARD.database)) as databases,
        databases.migrated() as url,
    ):
        seen = run_to_its_end(run(url, pair.valkey.url, wanted))
        GUARD.redis(pair.valkey.url)
        return seen


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_process_fails_and_nobody_is_locked_out(played, case):
    found = findings(played[case.name])
    assert not found, told(case, found)


@pytest.mark.parametrize("case", WITHOUT, ids=lambda case: case.name)
def test_without_a_mechanism_the_same_failure_is_found(played, case):
    found = findings(played[case.name])
    assert WITHOUT[case] in {finding.promise for finding in found}, told(case, found)


def told(case, found):
    return "\n".join([f"{case.name}:", *(f"  {finding.promise}: {finding.text}" for finding in found)])
