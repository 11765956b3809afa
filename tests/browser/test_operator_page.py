"""The operator page in a real Chromium before the real service: looked at, acted on, and judged by axe."""

import pytest
import pytest_asyncio
import redis

from tests.browser.building import HERE, install, missing_chromium, missing_node, missing_npm
from tests.browser.crowd import MARKUP
from tests.browser.operator_page import crowded, look
from tests.support.needs import need

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

GRANTS = 3_000
SEEN_AS = ["form", "board", "dark", "phone", "person", "sure"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(databases, valkey):
    """What one visit saw."""
    need(*missing_node(), *missing_npm(), *missing_chromium())
    install(HERE)
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    with databases.migrated() as url:
        async with crowded(url, valkey.url, GRANTS) as stack:
            yield await look(stack.internal_url)


async def test_the_visit_came_to_its_end_without_an_error_in_the_console(seen):
    assert seen.get("failed") is None
    assert seen["errors"] == []


async def test_no_other_host_was_asked(seen):
    assert len(seen["hosts"]) == 1


@pytest.mark.parametrize("part", SEEN_AS)
async def test_axe_finds_nothing_wrong(seen, part):
    assert seen["faults"][part] == []


async def test_nothing_is_wider_than_its_screen(seen):
    assert {name: wide for name, wide in seen["wide"].items() if wide > 0} == {}


async def test_a_wrong_key_is_refused_and_a_right_one_kept_for_the_tab_alone(seen):
    assert seen["refused"] == "No caller has this key."
    stored, cookie, address = seen["kept"]
    assert (stored, cookie) == ([], "")
    assert "key" not in address


async def test_who_has_the_key_forgotten_leaves_neither_key_nor_figures_behind(seen):
    assert seen["left"] == [[], 0]


async def test_a_broker_that_is_away_for_a_moment_costs_nobody_the_key(seen):
    assert "The broker does not answer." in seen["away"]
    assert seen["back"]


async def test_what_a_stranger_wrote_is_text(seen):
    assert MARKUP in seen["text"]
    assert seen["made"] == 0


async def test_the_first_paint_and_the_figures_come_soon(seen):
    assert seen["paintMs"] < 1_000
    assert seen["figuresMs"] < 5_000


async def test_an_order_is_given_with_the_keyboard_and_what_came_of_it_is_said(seen):
    assert seen["ordered"] == "anna: The pair was replaced."


async def test_a_users_history_is_shown_and_the_keyboard_stands_where_it_stood(seen):
    assert "refresh.unavailable" in seen["person"]
    assert "upstream: 503" in seen["person"]
    assert seen["closed"] == "who"


async def test_what_ends_somebodys_tokens_is_asked_for_twice(seen):
    assert "ends every token" in seen["asked"]
    assert seen["unsure"] == "Leave it"
