"""What an operator is told of a user in trouble, and which orders help: one row a case."""

from datetime import timedelta

import pytest

from service.broker.attention import Order, advise
from service.broker.model import GrantState
from service.broker.overview import late_after
from service.broker.ports.overview import Concern
from tests.support.troubled import a_troubled
from worker.main import tick_s

CASES = [
    (Concern.DEAD, {"state": GrantState.DEAD, "reason": "user_gone"}, ()),
    (Concern.DEAD, {"state": GrantState.DEAD, "reason": "refused"}, (Order.RECOVER,)),
    (Concern.FORCE_PENDING, {}, (Order.REVOKE,)),
    (Concern.REFUSED, {}, (Order.REFRESH, Order.FORCE)),
    (Concern.DISTRUSTED, {}, (Order.REFRESH,)),
    (Concern.FAILING, {}, (Order.REFRESH, Order.FORCE)),
    (Concern.FAILING, {"refresh_token_dead": True}, (Order.FORCE,)),
    (Concern.OVERDUE, {}, (Order.REFRESH,)),
    (Concern.PAUSED, {"state": GrantState.PAUSED}, (Order.RESUME,)),
]


@pytest.mark.parametrize(("concern", "stands", "orders"), CASES)
def test_what_helps_depends_on_what_is_the_matter(concern, stands, orders):
    advice = advise(a_troubled(concern=concern, **stands))
    assert advice.orders == orders
    assert advice.words.endswith(".")


def test_every_concern_has_its_advice():
    words = {advise(a_troubled(concern=concern)).words for concern in Concern}
    assert len(words) == len(Concern)


@pytest.mark.parametrize(("lifetime_s", "late_s"), [(3600, 120), (1800, 60), (60, 15), (20, 15)])
def test_who_is_overdue_is_late_by_more_than_a_few_sweeps(lifetime_s, late_s):
    lifetime = timedelta(seconds=lifetime_s)
    assert late_after(lifetime) == timedelta(seconds=late_s)
    assert late_s >= 3 * tick_s(lifetime)
