"""A client's secret is changed upstream while the broker works: with both in hand nobody is turned away."""

import asyncio

import pytest

from service.broker.errors import UpstreamUnavailable
from service.broker.model import GrantState
from tests.support.world import secret_file

OLD, NEW = "secret-of-default", "the-new-secret"


@pytest.fixture
async def changing(worlds, tmp_path):
    """Two brokers that hold the new secret and the old one, while upstream still has the old one."""
    world = await worlds(brokers=2)
    secret_file(tmp_path, "default").write_text(f"{NEW}\n{OLD}\n")
    await world.notes.hears("secret.replaced", 2)
    return world


async def used_users(world, count=6, **age):
    people = [await world.user(f"u{number}") for number in range(count)]
    for person in people:
        await person.token()
    await world.later(**age)
    return people


async def test_a_change_while_refresh_tokens_are_presented_costs_no_answer_and_no_token(changing):
    people = await used_users(changing, hours=2)
    with changing.sandbox.gate("refresh", "before") as gate:
        asked = [
            asyncio.create_task(person.token(changing.brokers[number % 2]))
            for number, person in enumerate(people)
        ]
        await gate.arrived(len(people))
        changing.sandbox.rotate_secret("cl-default", NEW)
    tokens = await asyncio.gather(*asked)
    assert all(changing.sandbox.is_live(token) for token in tokens)
    assert "force" not in changing.sandbox.journal.calls
    assert [told["sends"] for told in changing.heard("client_secret.refused")] == ["old", "new"]
    assert changing.heard("circuit.opened") == []


async def test_a_rotation_a_check_and_a_delete_all_go_through_with_the_old_one(changing):
    (anna,) = await used_users(changing, count=1, minutes=1)
    token = await anna.rotate()
    assert await changing.browser(token) == token
    await changing.broker.users.delete(anna.key, actor="test")
    assert changing.heard("circuit.opened") == []


async def test_the_old_one_is_taken_out_without_a_call_more(changing, tmp_path):
    (anna,) = await used_users(changing, count=1, minutes=1)
    changing.sandbox.rotate_secret("cl-default", NEW)
    secret_file(tmp_path, "default").write_text(NEW)
    await changing.notes.hears("secret.replaced", 4)
    assert changing.sandbox.is_live(await anna.rotate())
    assert [facts["outcome"] for facts in changing.heard("upstream.call")][-1] == "rotated"


async def test_with_two_wrong_ones_the_circuit_opens_and_no_grant_is_touched(changing):
    people = await used_users(changing, count=2, hours=2)
    changing.sandbox.rotate_secret("cl-default", "a-third-secret")
    for person in people:
        with pytest.raises(UpstreamUnavailable):
            await person.token()
        assert (await person.grant()).state is GrantState.LIVE
    assert len(changing.heard("circuit.opened")) == 1


async def test_a_file_that_cannot_be_used_is_told_of_and_the_two_stay(changing, tmp_path):
    (anna,) = await used_users(changing, count=1, minutes=1)
    secret_file(tmp_path, "default").write_text(f"{NEW}\n{OLD}\nand-a-third\n")
    await changing.notes.hears("secret.kept", 2)
    assert changing.sandbox.is_live(await anna.rotate())
