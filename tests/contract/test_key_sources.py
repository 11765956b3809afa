"""Where the app's keys come from: a file that is replaced, an address that fails, hangs and comes back."""

import asyncio
import json

import pytest

from service.adapters import key_sources
from service.adapters.key_addresses import asking
from service.adapters.key_sources import KeyAddress, KeyFile, read_key_file
from service.adapters.upstream import open_session
from service.broker.errors import KeysUnavailable
from tests.support.cached import Notes
from tests.support.raw_peer import http, running
from tests.support.statements import key_set, public
from tests.support.waiting import eventually


def write(path, *keys):
    """Replace the file as mounts do: another file under the same name."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(key_set(*keys)))
    fresh.replace(path)


async def test_a_replaced_file_counts_with_the_next_statement(tmp_path):
    path, notes = tmp_path / "jwks.json", Notes()
    write(path, public("ed"))
    keys = KeyFile(path, "KEYS", notes)
    write(path, public("ec"))

    assert await keys.key("ec") is not None
    assert await keys.key("ed") is None
    assert [event for event, _, _ in notes.heard] == ["secret.replaced"]


@pytest.mark.parametrize("spoil", ["garbage", "gone", "huge", "secret"])
async def test_a_file_that_cannot_be_used_changes_nothing_and_is_told_of_once(tmp_path, spoil):
    path, notes = tmp_path / "jwks.json", Notes()
    write(path, public("ed"))
    keys = KeyFile(path, "KEYS", notes)
    spoiled(path, spoil)

    assert await keys.key("ed") is not None
    assert await keys.key("ed") is not None
    assert [event for event, _, _ in notes.heard] == ["secret.kept"]


def spoiled(path, how):
    if how == "gone":
        path.unlink()
    else:
        raw = {"garbage": "{", "huge": " " * 70_000, "secret": '{"keys": [{"kty": "oct", "k": "AAAA"}]}'}
        path.write_text(raw[how])


def test_a_file_that_is_no_file_is_told_in_words(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        read_key_file(tmp_path)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class App:
    """An address that gives the keys it holds now, or something else; may be held up by a gate."""

    def __init__(self, *kids):
        self.answer = self.keys(*kids)
        self.gate = None

    @staticmethod
    def keys(*kids):
        return http(json.dumps(key_set(*(public(kid) for kid in kids))).encode()) if kids else http(b"<html>")

    async def __call__(self, peer):
        if self.gate is not None:
            await self.gate.wait()
        peer.writer.write(self.answer)
        await peer.writer.drain()


@pytest.fixture
async def town():
    """An app, the number of times it was asked, and a source with a clock of its own."""
    app, clock, notes = App("ed"), Clock(), Notes()
    async with running(app) as peer, open_session() as session:
        yield app, peer, clock, KeyAddress(asking(session, peer.url, 5), notes, "keys", clock), notes


async def test_keys_are_asked_for_once_and_kept(town):
    _, peer, _, keys, _ = town
    for _ in range(3):
        assert await keys.key("ed") is not None
    assert peer.connections == 1


async def test_many_unknown_keys_cost_one_question_in_half_a_minute(town):
    app, peer, clock, keys, _ = town
    await keys.key("ed")
    app.answer = App.keys("ed", "ec")
    assert await keys.key("ec") is None, "the address was asked a moment ago"
    clock.now += key_sources.AGAIN_S
    for number in range(50):
        assert await keys.key(f"made-up-{number}") is None
    assert await keys.key("ec") is not None
    assert peer.connections == 2


async def test_a_key_that_was_taken_back_stops_counting(town):
    app, _, clock, keys, _ = town
    assert await keys.key("ed") is not None
    app.answer = App.keys("ec")
    clock.now += key_sources.FRESH_S
    await keys.look()
    assert await keys.key("ed") is None


async def test_who_names_a_key_that_is_there_waits_for_no_address_that_hangs(town):
    app, peer, clock, keys, _ = town
    await keys.key("ed")
    app.gate = asyncio.Event()
    clock.now += key_sources.FRESH_S
    async with asyncio.timeout(1):
        assert all([await keys.key("ed") for _ in range(3)])
    await eventually(lambda: peer.connections == 2)
    app.gate.set()


async def test_the_last_good_keys_are_kept_while_the_address_fails(town):
    app, peer, clock, keys, notes = town
    await keys.key("ed")
    app.answer = App.keys()
    clock.now += key_sources.FRESH_S
    await keys.look()
    for _ in range(5):
        assert await keys.key("ed") is not None
    assert peer.connections == 2
    assert [event for event, _, _ in notes.heard] == ["dependency.up", "dependency.down"]


@pytest.mark.parametrize(
    "answer",
    [http(b"", "302 Found", "Location: /other"), http(b"", "500 Oops"), http(b"{}"), http(b" " * 70_000)],
)
async def test_without_any_keys_nothing_can_be_known(town, answer):
    app, peer, clock, keys, _ = town
    app.answer = answer
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await keys.key("ed")
    assert peer.connections == 1
    app.answer = App.keys("ed")
    clock.now += key_sources.FIRST_AGAIN_S
    assert await keys.key("ed") is not None


async def test_statements_that_come_together_share_one_question_and_who_leaves_does_not_end_it(town):
    app, peer, _, keys, _ = town
    app.gate = asyncio.Event()
    asking = [asyncio.create_task(keys.key("ed")) for _ in range(5)]
    await peer.read.wait()
    asking[0].cancel()
    await asyncio.sleep(0)
    app.gate.set()

    assert all(key is not None for key in await asyncio.gather(*asking[1:]))
    assert peer.connections == 1


async def test_a_source_that_failed_is_looked_at_without_any_statement(town):
    app, _, clock, keys, notes = town
    app.answer = App.keys()
    await keys.look()
    app.answer = App.keys("ed")
    clock.now += key_sources.FIRST_AGAIN_S
    await keys.look()
    assert [event for event, _, _ in notes.heard] == ["dependency.down", "dependency.up"]
