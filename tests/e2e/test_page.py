"""The demo page as a person sees it, in a real browser."""

import re

import pytest

from tests.e2e import chrome
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(chrome.PROGRAM is None, reason="needs Chromium")

FIRST, SECOND, SLEEPER = (f".tab:nth-of-type({number})" for number in (1, 2, 3))


@pytest.fixture
async def page(shared_run):
    """The page, signed in and with both tabs at work."""
    async with chrome.opened(f"{shared_run.page}/") as opened:
        for tab in (FIRST, SECOND):
            await eventually(lambda tab=tab: called_well(opened, tab), within_s=20)
        yield opened


async def called_well(page, tab):
    return await page.text(f"{tab} .call") == "GET /me → 200"


async def shows(page, selector, wanted, within_s=15):
    """Wait until a person reads it there; fails with what there is to read instead."""
    try:
        await eventually(lambda: reads(page, selector, wanted), within_s=within_s)
    except TimeoutError:
        said, timeline = await page.text(selector), await page.text("#timeline")
        pytest.fail(f"{selector} never said {wanted!r}, but {said!r}; the timeline:\n{timeline[:3000]}")


async def reads(page, selector, wanted):
    return re.search(wanted, await page.text(selector)) is not None


async def test_two_tabs_of_one_user_count_down_with_the_same_token(page):
    shown = await page.text(f"{FIRST} .pair")
    assert re.search(r"[0-9a-f]{6}$", shown)
    assert await page.text(f"{SECOND} .pair") == shown
    left = int(await page.text(f"{FIRST} .seconds b"))
    await eventually(lambda: fewer(page, left))


async def fewer(page, seconds):
    return int(await page.text(f"{FIRST} .seconds b")) < seconds


async def test_the_stampede_says_that_upstream_was_called_once(page):
    await page.click("Send 100 refreshes")
    await shows(page, "#stampede .said", "Upstream calls: 1 refresh.")
    assert "100 of 100 answered" in await page.text("#stampede .said")


async def test_a_tab_that_slept_through_three_rotations_wakes_with_the_current_token(page):
    await page.click("Let three rotations pass")
    await shows(page, f"{SLEEPER} .said", "slept through 3 rotations")
    await page.click("Wake up")
    await shows(page, f"{SLEEPER} .said", "the broker knew it")
    assert await page.text(f"{SLEEPER} .fetched") == "1"


async def test_tabs_whose_token_ended_early_are_refused_once_and_go_on(page):
    await page.click("End the token early")
    await shows(page, f"{SECOND} .said", "had a new token")
    await eventually(lambda: called_well(page, SECOND), within_s=15)
    await shows(page, "#timeline", "Asked about a token: 498")


async def test_nothing_is_wider_than_a_phone(page):
    for pixels in (320, 390, 768):
        assert await page.width(pixels) <= pixels


async def test_the_page_has_no_errors_and_asks_nobody_else(page, shared_run):
    await page.click("Answer 500 once")
    await shows(page, "#timeline", "Refresh for ada: refused with 500")
    assert page.errors == []
    assert [url for url in page.requested if not url.startswith(shared_run.page)] == []


async def test_everything_can_be_reached_by_keyboard(page):
    reached = set()
    for _ in range(40):
        for kind in ("keyDown", "keyUp"):
            await page.do("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.add(await page.value("document.activeElement.innerText || document.activeElement.id"))
    assert {"Wake up", "Let three rotations pass", "Send 100 refreshes", "Lose an answer"} <= reached
