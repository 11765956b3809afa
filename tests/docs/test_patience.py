"""How long the fronts of docs/sidecar.md wait for the broker, and what they answer without it.

Stands last of the pages' tests: what takes long was asked for before the others, and then the way is cut.
"""

import asyncio

import pytest

from tests.docs.asking import ALL, FRONTS, UNKNOWN, ask, code_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(480)]


@pytest.mark.parametrize("front", ALL)
async def test_no_front_gives_up_before_the_broker_does(street, slow, front):
    assert await slow[front] == (503, "refresh_in_progress")


async def cut(street, slow):
    """Cut the way to the broker once all answers have come."""
    await asyncio.gather(*slow.values(), return_exceptions=True)
    await street.way.cut()


@pytest.mark.parametrize("front", FRONTS)
async def test_without_the_broker_the_front_answers_what_the_browser_library_survives(street, slow, front):
    await cut(street, slow)
    assert await code_of(street.refresh[front], UNKNOWN) == (503, "upstream_unavailable")
    assert int((await ask(street.refresh[front], UNKNOWN))[1]["Retry-After"]) > 0


async def test_without_the_broker_a_rewrite_answers_with_plain_text_as_the_page_warns(street, slow):
    await cut(street, slow)
    status, _, text = await ask(street.refresh["rewrite"], UNKNOWN)
    assert (status, text) == (500, "Internal Server Error")
