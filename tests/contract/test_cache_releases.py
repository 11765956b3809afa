"""Releases side by side share one Redis: what one has written in a form of its own is a miss to the other."""

import asyncio

import orjson
import pytest

from service.adapters.cache_values import Values, hashed, name_of_token, name_of_user
from tests.support.cached import ANNA, BERT, a_token, presented
from tests.support.worlds import VAULT

MISSING, MOVED, OTHER = "a field that is gone", "a list instead of fields", "instants as numbers"
FORMS = {
    MISSING: lambda fields: {name: value for name, value in fields.items() if name != "refresh_at"},
    MOVED: lambda fields: list(fields.values()),
    OTHER: lambda fields: fields | {"expires_at": 4102444800},
    "nothing at all": lambda _: None,
}


class Newer:
    """The vault of a release that keeps its values in another form."""

    def __init__(self, change):
        self.change = change
        self.open = VAULT.open

    def seal(self, plaintext, **bound):
        return VAULT.seal(orjson.dumps(self.change(orjson.loads(plaintext))).decode(), **bound)


@pytest.fixture
def world(redis_world):
    return redis_world


@pytest.mark.parametrize("form", FORMS)
async def test_a_user_in_another_form_is_a_miss_and_spoils_nobody_elses_look_up(
    redis_world, cache, clock, form
):
    newer = redis_world.cache(vault=Newer(FORMS[form]))
    await newer.put(a_token(clock))
    await cache.put(a_token(clock, BERT))
    clock.advance(1)
    found = await asyncio.gather(cache.current(ANNA), cache.current(BERT))
    assert (found[0], found[1].current.key) == (None, BERT)


@pytest.mark.parametrize("form", FORMS)
async def test_it_is_replaced_by_the_next_put(redis_world, cache, other, clock, form):
    await redis_world.cache(vault=Newer(FORMS[form])).put(a_token(clock))
    await cache.put(a_token(clock))
    assert (await other.current(ANNA)).current == a_token(clock)


async def test_fields_that_only_the_newer_release_knows_are_passed_over(redis_world, cache, clock):
    newer = redis_world.cache(vault=Newer(lambda fields: fields | {"region": "eu"}))
    await newer.put(a_token(clock))
    assert (await cache.current(ANNA)).current == a_token(clock)


@pytest.mark.parametrize("entry", [["c", "u", 1], ["c", "u", 1, "2100-01-01T00:00:00+00:00", "eu"], {}, 7])
async def test_a_token_in_another_form_is_a_miss(cache, client, clock, entry):
    fingerprint, noted = presented(clock)
    await cache.put(a_token(clock), [(fingerprint, noted)])
    round_ = (await client.get(name_of_user(ANNA))).split(b":")[1]
    sealed = Values(Newer(lambda _: entry)).write_token(fingerprint, noted)
    await client.set(name_of_token(fingerprint), b":".join([round_, hashed(ANNA).encode(), sealed]))
    clock.advance(2)
    assert await cache.find([fingerprint]) is None


async def test_what_is_sealed_in_a_newer_way_is_a_miss(cache, client, clock):
    await cache.put(a_token(clock))
    held = await client.get(name_of_user(ANNA))
    await client.set(name_of_user(ANNA), held.replace(b"v1.", b"v2."))
    clock.advance(2)
    assert await cache.current(ANNA) is None


async def test_a_block_holds_for_every_release_whatever_form_their_values_have(redis_world, cache, clock):
    newer = redis_world.cache(vault=Newer(FORMS[MISSING]))
    await newer.put(a_token(clock))
    await cache.block(ANNA, 1)
    await newer.put(a_token(clock))
    clock.advance(2)
    assert await newer.current(ANNA) is None
