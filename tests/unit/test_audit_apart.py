"""What the audit keeps apart: a caller from another, whom a sign names, a row that cannot be written."""

from ipaddress import ip_address

import pytest

from service.broker.asking import begin, end
from service.broker.audit import MOST_OF_ONE_USER, Audit
from tests.support.audited import RING, Shelf, asking, exchange
from tests.support.cached import ANNA, BERT, Notes, StoppedClock


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def audit(shelf, notes):
    return Audit(shelf, RING, StoppedClock(), notes)


async def test_what_is_elided_is_never_counted_as_another_callers(audit, shelf):
    for number in range(MOST_OF_ONE_USER):
        exchange(audit, address=str(ip_address(number)))
    exchange(audit, actor="backend", times=2)
    exchange(audit, actor="reports", times=3)
    await audit.flush()
    counted = {event.actor: event.count for event in shelf.events() if event.facts}
    assert counted == {"backend": 2, "reports": 3}


async def test_what_the_store_will_never_take_takes_nothing_else_along(audit, shelf, notes):
    shelf.refuses = ANNA
    exchange(audit, times=3)
    exchange(audit, key=BERT)
    await audit.flush()
    assert [one.key for one in shelf.rows.values()] == [BERT]
    assert notes.heard == [("events.dropped", None, {"count": 3})]


async def test_signs_that_name_others_are_not_counted_together(audit, shelf, notes):
    begin(asking())
    for other in ("bert", "cleo", "bert"):
        audit.hearing(notes).note("token.reuse", ANNA, kind="session_mismatch", signed_in=other)
    end()
    await audit.flush()
    counted = {event.facts["signed_in"]: event.count for event in shelf.events()}
    assert counted == {"bert": 2, "cleo": 1}
