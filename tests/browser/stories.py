"""What happens to the tabs: each story has an OAuth client of its own, so that all can go on at once.

A client's every refresh purges the expired tokens of all its users, so stories that shared one would
change each other. Each function's name is the story's and its client's; it returns what was seen.
"""

import asyncio
import itertools

from tests.support.waiting import eventually

EXPIRIES = 3
DEBOUNCE_S = 10
CROWD = 50
CROWD_ROUND_S = 15


async def one_tab(stage, client):
    """One tab with the library alone."""
    visit = await stage.visit(client)
    await visit.live_through(EXPIRIES)
    return [await visit.seen()]


async def two_tabs(stage, client):
    """Two tabs of one user in one browser, both with the helper."""
    first = await stage.visit(client, helper=True)
    second = await stage.visit(client, helper=True, beside=first)
    await asyncio.gather(first.live_through(EXPIRIES), second.live_through(EXPIRIES))
    return [await first.seen(), await second.seen()]


async def two_at_once(stage, client):
    """Two tabs with the library alone are both refused before either has a new token."""
    first = await stage.visit(client)
    second = await stage.visit(client, beside=first)
    stage.stack.sandbox.expire(first.cal_user_id)
    with stage.stack.sandbox.gate("refresh", client=client):
        calls = asyncio.gather(first.call(), second.call())
        await eventually(lambda: first.refusals() == 2)
    await calls
    return [await first.seen(), await second.seen()]


async def remounted(stage, client):
    """A tab with the library alone, mounted and loaded again with a token that ended long ago.

    Not within 10 s of a refresh: there the library takes the last answer again and goes on sending the
    old token, and once that one is purged every call fails.
    """
    visit = await stage.visit(client)
    await visit.live_through(1)
    await visit.call_for(DEBOUNCE_S)
    await visit.remount()
    await visit.live_through(2)
    await visit.reload()
    await visit.live_through(EXPIRIES)
    return [await visit.seen()]


async def remounted_with_helper(stage, client):
    """A tab with the helper, mounted again at any time with a token that ended long ago."""
    visit = await stage.visit(client, helper=True)
    for expiries in range(1, EXPIRIES):
        await visit.live_through(expiries)
        await visit.remount()
    await visit.live_through(EXPIRIES)
    return [await visit.seen()]


async def overtaken(stage, client):
    """A tab with the library alone whose token is superseded three times before it ends."""
    visit = await stage.visit(client)
    for _ in range(3):
        await stage.stack.rotate(client, "ann")
    await visit.live_through(2)
    return [await visit.seen()]


async def asleep(stage, client):
    """A tab with the helper that is cut off while its token is superseded three times, ends and is purged."""
    visit = await stage.visit(client, helper=True)
    await visit.call()
    await visit.tab.do("offline", on=True)
    await stage.stack.rotate(client, "ann")
    await stage.stack.rotate(client, "ann")
    await visit.its_token_ends()
    await stage.stack.rotate(client, "ann")
    await visit.its_token_is_gone()
    await visit.tab.do("offline", on=False)
    await visit.has_another_token()
    await visit.call_for(5)
    return [await visit.seen()]


async def crowd(stage, client):
    """A tab with the helper and one without, while fifty others of the same client come and go."""
    kept, lone = await stage.visit(client, helper=True), await stage.visit(client, "bob")
    await lone.call()
    async with asyncio.TaskGroup() as group:
        others = group.create_task(_bustle(stage, client))
        await asyncio.gather(kept.live_through(EXPIRIES), _meet_the_purge(lone))
        await eventually(lambda: kept.purged() >= EXPIRIES)
        others.cancel()
    return [await kept.seen(), await lone.seen()]


async def _meet_the_purge(lone):
    """Call nothing until the token has ended and is purged; then go on calling in vain."""
    await lone.its_token_ends()
    await lone.its_token_is_gone()
    await lone.call_for(20)


async def _bustle(stage, client):
    """Give each of fifty others a new pair every quarter of a minute."""
    users = [f"user-{number}" for number in range(CROWD)]
    for user in users:
        await stage.stack.create_user(client, user)
    for user in itertools.cycle(users):
        await stage.stack.rotate(client, user)
        await asyncio.sleep(CROWD_ROUND_S / CROWD)


STORIES = (one_tab, two_tabs, two_at_once, remounted, remounted_with_helper, overtaken, asleep, crowd)


def client_of(story):
    """Return the OAuth client of a story."""
    return story.__name__.replace("_", "-")
