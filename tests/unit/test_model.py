"""What the model's values show of themselves, wherever they are written by mistake: no token."""

import traceback

import pytest

from service.broker.ports import CacheHit
from service.logs.redaction import Redactor
from tests.support.builders import NOON, a_current, an_entry

SECRET = "hush-" * 8
HELD = a_current(access_token=SECRET)
HIT = CacheHit(an_entry(6), HELD, "near")
WRITTEN = {
    "its repr": repr(HELD),
    "its text": str(HELD),
    "a formatted one": f"{HELD} {HELD!r} {HELD:}",
    "the old way": "%s and %r" % ((HELD,) * 2),
    "a hit": repr(HIT),
    "a list of them": str([HELD, HIT, {"a": HELD}]),
    "an error's": str(ValueError(HELD)),
    "a copy's": repr(HELD._replace(generation=9)),
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_a_current_token_shows_whose_it_is_and_not_the_token(text):
    assert "hush" not in text
    assert HELD.key.user_id in text


@pytest.mark.parametrize("value", [HELD, HIT, [HELD], {"current": HELD}, (HIT, HELD)])
def test_no_log_line_shows_it_either(value):
    assert "hush" not in repr(Redactor().fact("said", value))


def test_nor_does_a_traceback():
    with pytest.raises(RuntimeError) as raised:
        raise RuntimeError(HELD)
    assert "hush" not in "".join(traceback.format_exception(raised.value))


def test_two_of_them_are_equal_when_all_of_them_is_also_the_token():
    assert a_current(access_token=SECRET) == HELD != a_current(access_token="another")
    assert HELD._replace(issued_at=NOON.replace(year=2000)) != HELD
