"""Every point of a refresh, every way to fail there, in service and worker, with real servers and processes.

    python -m pytest tests/chaos/test_crash_matrix.py -k service-after-send-exit-dead

plays one case alone.
"""

import pytest

from sandbox.embedded import servers
from tests.chaos.crash_campaign import run
from tests.chaos.crash_cases import CASES
from tests.chaos.crash_verdict import findings
from tests.support import databases

QUICK = {"postgres_options": {"fsync": "off"}, "valkey_options": {"appendonly": "no"}}
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def played(request):
    """What was seen of every case that this run has selected."""
    wanted = {item.callspec.params["case"] for item in request.session.items if "case" in _params(item)}
    with servers(**QUICK) as pair, databases.Databases(pair.postgres.url).migrated() as url:
        return databases.run(run(url, pair.valkey.url, wanted))


def _params(item):
    return getattr(item, "callspec", None) and item.callspec.params or {}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_process_fails_and_nobody_is_locked_out(played, case):
    assert findings(played[case.name]) == []
