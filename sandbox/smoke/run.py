"""One smoke run: starts the stack on free ports, lets the clients at it, ends it, and counts what is left.

Counting begins when service and worker have ended, so that nothing is under way any more.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import asyncpg

from sandbox.demo.backend import Backend
from sandbox.demo.doors import REFRESH_PATH
from sandbox.dev.plan import Plan
from sandbox.dev.ports import HOST, Ports
from sandbox.dev.stack import Failed, Stack, running, storage
from sandbox.smoke.answers import Asked
from sandbox.smoke.count import Figures, count, read_journal
from sandbox.smoke.kept import Kept
from sandbox.smoke.people import (
    Person,
    World,
    come_back_late,
    session,
    sleep_through_rotations,
    work_in_the_background,
)

if TYPE_CHECKING:
    import aiohttp

    from sandbox.dev.child import Facts
    from sandbox.dev.home import Home
    from sandbox.embedded import Servers

Say = Callable[[str], None]

_OK = 200
_LOOK_EVERY_S = 0.5
_SAY_EVERY_S = 5.0
_MIN_LIFE_S = 1.5
"""A token is tried upstream as soon as it was answered; a loaded machine needs this long for it."""
_GENERATIONS = """
    SELECT upstream_id::bigint, count(DISTINCT generation)
    FROM users JOIN lineage USING (client, user_id)
    WHERE upstream_id IS NOT NULL
    GROUP BY upstream_id
"""


async def _take_part(person: Person, kind: int) -> None:
    """Be one of three kinds of users."""
    if kind == 0:
        await work_in_the_background(person)
    elif kind == 1:
        await come_back_late(person)
    else:
        await asyncio.gather(work_in_the_background(person), sleep_through_rotations(person))


def smoke(*, users: int, replaced: int, lifetime_s: float, limit_s: float, say: Say) -> Figures:
    """Run it until every user has so many replaced pairs; returns the figures.

    What is not done after `limit_s` seconds shows in the figures. Raises Failed when a part ends by itself,
    and EmbeddedError.
    """
    say("starting PostgreSQL, Valkey, the sandbox, service and worker")
    plan, kept = Plan(Ports.free(), lifetime_s, _MIN_LIFE_S), Kept()
    with storage(plan) as (home, servers):
        plan = replace(plan, journal=home.base / "journal.jsonl")
        drive = _drive(plan, home, servers, users, replaced, limit_s, kept, say)
        asked, generations = asyncio.run(drive)
        journal = read_journal(home.base / "journal.jsonl")
        leaks = kept.leaks(home, servers)
        for sentence in [*{question.wrong for question in asked if question.wrong}, *leaks]:
            say(f"not as promised: {sentence}")
    return replace(count(journal, asked, generations, plan.margin_s * 1000), leaks=len(leaks))


async def _drive(
    plan: Plan, home: Home, servers: Servers, users: int, replaced: int, limit_s: float, kept: Kept, say: Say
) -> tuple[list[Asked], dict[int, int]]:
    """Return what the clients were answered, and how many generations each user has in PostgreSQL."""
    hear = partial(_repeat, say, kept)
    async with running(plan, home, servers, hear) as stack, session(kept.answers()) as clients:
        world = _world(plan, home, stack, clients)
        await _page_answers(world, plan)
        say(f"everything is up; making {users} users")
        people = await _people(world, users)
        try:
            async with asyncio.timeout(limit_s):
                await _let_them_at_it(stack, world, people, replaced, say)
        except TimeoutError:
            say(f"not as promised: not done after {limit_s:.0f} s")
        await kept.metrics(plan.ports)
    kept.minted(stack.demo.sandbox)
    await kept.stores(servers)
    return world.asked, await _generations(servers.postgres.url)


async def _let_them_at_it(stack: Stack, world: World, people: list[Person], replaced: int, say: Say) -> None:
    """Run every client until it is enough; what was begun is ended."""
    try:
        async with asyncio.TaskGroup() as parts:
            watch = parts.create_task(stack.broken())
            for number, person in enumerate(people):
                parts.create_task(_take_part(person, number % 3))
            await _until_enough(stack, people, replaced, say)
            world.enough.set()
            watch.cancel()
    except* Failed as failed:
        raise failed.exceptions[0] from None


def _world(plan: Plan, home: Home, stack: Stack, clients: aiohttp.ClientSession) -> World:
    app = f"http://{HOST}:{plan.ports.demo}"
    return World(
        session=clients,
        api_url=f"{app}/v2",
        users_url=f"{stack.demo.broker.internal_url}/v1/users",
        roads=(f"{stack.demo.broker.public_url}/refresh", f"{app}{REFRESH_PATH}"),
        vouching_key=home.keys.backend,
        jobs_key=home.keys.jobs,
        lifetime_s=plan.lifetime_s,
        margin_s=plan.margin_s,
    )


async def _page_answers(world: World, plan: Plan) -> None:
    """Make sure that the demo page and what it loads first are there."""
    for path in ("/", "/demo/page.js", "/keep-fresh.js"):
        async with world.session.get(f"http://{HOST}:{plan.ports.demo}{path}") as response:
            if response.status != _OK:
                raise Failed(f"The demo page's {path} was answered {response.status}.")


async def _people(world: World, count: int) -> list[Person]:
    backend = Backend(world.session, world.users_url.removesuffix("/v1/users"), world.vouching_key)
    names = [f"user-{number:02}" for number in range(1, count + 1)]
    creations = (backend.create(name, name.title(), f"{name}@example.com") for name in names)
    made = await asyncio.gather(*creations)
    return [Person(world, name, user["calUserId"]) for name, user in zip(names, made, strict=True)]


async def _until_enough(stack: Stack, people: list[Person], replaced: int, say: Say) -> None:
    """Wait until upstream has replaced so many pairs of each; only when to stop is decided here."""
    started = said = time.monotonic()
    least = -1
    while least < replaced:
        await asyncio.sleep(_LOOK_EVERY_S)
        entries = stack.demo.sandbox.journal if stack.demo.sandbox else ()
        seen = Counter(entry.user_id for entry in entries if entry.issued_access and entry.route != "create")
        least = min(seen[person.cal_user_id] for person in people)
        if time.monotonic() - said >= _SAY_EVERY_S or least >= replaced:
            said = time.monotonic()
            say(f"{said - started:4.0f} s: {seen.total()} pairs replaced, at least {least} of each user")


async def _generations(url: str) -> dict[int, int]:
    connection = await asyncpg.connect(url)
    try:
        return {int(user): int(number) for user, number in await connection.fetch(_GENERATIONS)}
    finally:
        await connection.close()


def _repeat(say: Say, kept: Kept, who: str, facts: Facts) -> None:
    """Keep what service and worker write, and pass on what they warn of."""
    kept.line(who, facts)
    if facts.get("level") not in {"debug", "info"}:
        say(f"{who}: {facts.get('event') or facts.get('text')} {facts.get('reason', '')}".rstrip())
