"""What is at hand is given exactly as the broker itself gives it from the same cache, or not at all."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.broker.model import Binding
from service.broker.ports import CacheHit
from service.broker.reuse import MOST_ADDRESSES
from tests.support.builders import DAY, HOUR, MINUTE, NOON, SECOND, TICK, a_current, an_entry
from tests.support.sides import TERMS, a_side, asked

TOKEN = "an.access-token.that-was-presented"
CURRENT_ONLY = replace(TERMS, superseded_window=timedelta(0))


async def browser(hit, *addresses, **conditions):
    """What both sides give a browser, and what each wrote behind."""
    short, long = a_side(hit, **conditions), a_side(hit, **conditions)
    for address in addresses or ("home",):
        ours = short.for_browser(hit, address)
        theirs = await asked(long.answers.for_browser(TOKEN, address=address))
    return ours, theirs, await short.written(), await long.written()


async def service(hit, *, vouch=False, **conditions):
    """What both sides give a service, and what each wrote behind."""
    short, long = a_side(hit, **conditions), a_side(hit, **conditions)
    ours = short.for_service(hit, vouch=vouch)
    theirs = await asked(long.answers.for_service(hit.current.key, min_ttl_s=None, vouch=vouch))
    return ours, theirs, await short.written(), await long.written()


def a_hit(generation=6, *, counts_until=NOON + DAY, source="redis", **changes):
    return CacheHit(an_entry(generation, counts_until=counts_until), a_current(**changes), source)


BOUND_UNTIL = Binding(NOON - TERMS.binding_idle + TICK)
GIVEN = {
    "an older token": (a_hit(), NOON),
    "the oldest that counts": (a_hit(1), NOON),
    "one that a revoke left": (a_hit(6, not_before_generation=5), NOON),
    "the last instant of its window": (a_hit(counts_until=NOON + TICK), NOON),
    "the last instant of the binding": (a_hit(binding=BOUND_UNTIL), NOON),
    "the last instant before a refresh": (a_hit(), NOON + 50 * MINUTE - TICK),
}
NOT_GIVEN = {
    "the current token": (a_hit(7), NOON),
    "a newer one than is cached": (a_hit(8), NOON),
    "a revoked one": (a_hit(6, not_before_generation=6), NOON),
    "the end of its window": (a_hit(counts_until=NOON), NOON),
    "the end of the binding": (a_hit(binding=Binding(NOON - TERMS.binding_idle)), NOON),
    "the end of the binding for good": (
        a_hit(binding=Binding(NOON - TERMS.binding_absolute, NOON)), NOON
    ),
    "a pair to be refreshed": (a_hit(), NOON + 50 * MINUTE),
    "a pair of little life": (a_hit(), NOON + 59 * MINUTE),
    "a pair that has ended": (a_hit(), NOON + HOUR),
}  # fmt: skip


@pytest.mark.parametrize(("hit", "now"), GIVEN.values(), ids=GIVEN)
async def test_an_older_token_that_counts_is_given_the_one_in_force(hit, now):
    ours, theirs, noted, noted_there = await browser(hit, now=now)

    assert ours is theirs is hit.current
    assert noted == noted_there


@pytest.mark.parametrize(("hit", "now"), NOT_GIVEN.values(), ids=NOT_GIVEN)
async def test_what_is_in_any_doubt_is_left_to_the_broker_with_nothing_noted(hit, now):
    side = a_side(hit, now=now)

    assert side.for_browser(hit, "home") is None
    assert await side.written() == ([], [])


async def test_where_older_tokens_do_not_count_none_is_given_anything():
    assert (await browser(a_hit(), terms=CURRENT_ONLY))[:2] == (None, None)


async def test_signs_of_misuse_are_noticed_alike():
    homes = [f"home {number}" for number in range(MOST_ADDRESSES + 1)]
    _, _, (heard, uses), there = await browser(a_hit(), *homes)

    assert (heard, uses) == there
    told = [facts["kind"] for event, _, facts in heard if event == "token.reuse"]
    assert sorted(told) == ["far_behind", "many_addresses"]
    assert [use.by_browser for use in uses] == [True]


async def test_both_ways_count_in_one_place():
    """A token that comes from many addresses is noticed whichever way each of them was answered."""
    side = a_side(a_hit())
    for number in range(MOST_ADDRESSES + 1):
        if number % 2:
            side.for_browser(a_hit(), number)
        else:
            await side.answers.for_browser(TOKEN, address=number)
    heard, uses = await side.written()

    assert "many_addresses" in [facts.get("kind") for _, _, facts in heard]
    assert len(uses) == 1


VOUCHED = Binding(NOON - MINUTE + TICK)
TO_VOUCH = Binding(NOON - MINUTE)


@pytest.mark.parametrize(
    ("hit", "vouch", "now"),
    [
        (a_hit(7), False, NOON),
        (a_hit(7, binding=TO_VOUCH), False, NOON),
        (a_hit(7, binding=VOUCHED), True, NOON),
        (a_hit(7, binding=Binding(NOON - 90 * DAY)), False, NOON),
        (a_hit(7), False, NOON + 50 * MINUTE - TICK),
    ],
)
async def test_a_service_is_given_a_fresh_token_as_by_the_broker(hit, vouch, now):
    ours, theirs, noted, noted_there = await service(hit, vouch=vouch, now=now)

    assert ours is theirs is hit.current
    assert noted == noted_there


@pytest.mark.parametrize(
    ("hit", "vouch", "now"),
    [
        (a_hit(7, binding=TO_VOUCH), True, NOON),
        (a_hit(7), False, NOON + 50 * MINUTE),
        (a_hit(7), False, NOON + HOUR),
    ],
)
async def test_what_takes_more_for_a_service_is_left_to_the_broker(hit, vouch, now):
    side = a_side(hit, now=now)

    assert side.for_service(hit, vouch=vouch) is None
    assert await side.written() == ([], [])
    assert (await service(hit, vouch=vouch, now=now))[1] is None


def near_to(*instants):
    """Instants around those where something changes."""
    return st.sampled_from([at + step * TICK for at in instants for step in (-1, 0, 1)])


AGES = near_to(0 * DAY, MINUTE, TERMS.binding_idle, TERMS.binding_absolute)
HITS = st.builds(
    lambda generation, counts, not_before, vouched, refreshed: a_hit(
        generation,
        counts_until=counts,
        not_before_generation=not_before,
        binding=Binding(NOON - vouched, refreshed and NOON - refreshed),
    ),
    st.integers(4, 8),
    near_to(NOON, NOON + HOUR, NOON + DAY),
    st.integers(3, 7),
    AGES,
    st.none() | AGES,
)
NOWS = near_to(NOON, NOON + 50 * MINUTE, NOON + HOUR - 60 * SECOND, NOON + HOUR)


@settings(deadline=None)
@given(hit=HITS, now=NOWS, terms=st.sampled_from([TERMS, CURRENT_ONLY]), vouch=st.booleans())
@example(hit=a_hit(), now=NOON, terms=TERMS, vouch=False)
def test_never_more_is_given_than_by_the_broker(hit, now, terms, vouch):
    async def both():
        yield await browser(hit, now=now, terms=terms)
        yield await service(hit, vouch=vouch, now=now, terms=terms)

    async def compare():
        async for ours, theirs, noted, noted_there in both():
            assert ours is None or (ours, noted) == (theirs, noted_there)

    asyncio.run(compare())


def test_a_token_is_looked_for_by_its_fingerprint_while_there_is_one_key():
    side = a_side(a_hit())
    assert (side.at_hand.fingerprint(TOKEN),) == side.ring.of(TOKEN)
    assert a_side(a_hit(), keys=2).at_hand.fingerprint(TOKEN) is None
