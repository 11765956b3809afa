"""A client's circuit: opened by its first fault, probed now and then, closed by a probe that is accepted."""

import asyncio
from collections import deque

import pytest

from service.broker.circuits import Circuits
from service.broker.errors import UpstreamUnavailable
from service.broker.model import Confirmed, Denial, Denied, Unavailable, Unknown
from tests.support.cached import Notes, StoppedClock

FAULT = Denied(Denial.CLIENT_FAULT, "platform_status_lost")


class Upstream:
    """A provider that answers probes as listed, or when its gate is opened, and counts them."""

    def __init__(self):
        self.answers = deque()
        self.probes = 0
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def probe(self):
        self.probes += 1
        self.asked.set()
        await self.gate.wait()
        return self.answers.popleft()


class World:
    """Circuits of two clients over a stopped clock."""

    def __init__(self):
        self.clock = StoppedClock()
        self.notes = Notes()
        self.upstream = Upstream()
        providers = {"first": self.upstream, "second": Upstream()}
        self.circuits = Circuits(providers, self.notes, self.clock)

    def allows(self, client="first"):
        return self.circuits.allows(client)

    async def probe(self, answer):
        """Let the time of a probe come and have it answered; returns whether calls may be made then."""
        self.clock.advance(10)
        self.upstream.answers.append(answer)
        return await self.allows()


@pytest.fixture
def closed():
    return World()


@pytest.fixture
def world(closed):
    """The world with the first client's circuit open."""
    closed.circuits.open("first", "credentials_refused")
    return closed


async def test_a_closed_circuit_lets_calls_through_and_asks_nothing(closed):
    assert await closed.allows()
    await closed.circuits.require("first")
    assert closed.upstream.probes == 0


async def test_an_open_circuit_lets_nothing_through(world):
    assert not await world.allows()
    with pytest.raises(UpstreamUnavailable, match="No user's grant was touched"):
        await world.circuits.require("first")


async def test_an_open_circuit_says_when_to_ask_again(world):
    with pytest.raises(UpstreamUnavailable) as refused:
        await world.circuits.require("first")
    assert refused.value.retry_after_s == 10.0


async def test_one_clients_circuit_is_not_anothers(world):
    assert await world.allows("second")


async def test_no_probe_is_made_before_ten_seconds_have_passed(world):
    world.clock.advance(9.999)
    assert not await world.allows()
    assert world.upstream.probes == 0


async def test_an_accepted_probe_closes_the_circuit(world):
    assert await world.probe(Confirmed())
    assert await world.allows()
    assert world.upstream.probes == 1


@pytest.mark.parametrize(
    "answer", [FAULT, Denied(Denial.INVALID), Unavailable("not_reached"), Unknown("timeout")]
)
async def test_any_other_answer_keeps_it_open_for_ten_seconds_more(world, answer):
    assert not await world.probe(answer)
    world.clock.advance(9.999)
    assert not await world.allows()
    assert world.upstream.probes == 1


async def test_it_is_probed_again_and_again_until_it_closes(world):
    assert not await world.probe(FAULT)
    assert not await world.probe(Unavailable("not_reached"))
    assert await world.probe(Confirmed())


async def test_one_probe_serves_all_who_ask_at_the_same_time(world):
    world.upstream.gate.clear()
    probing = asyncio.create_task(world.probe(Confirmed()))
    await world.upstream.asked.wait()
    assert [await world.allows() for _ in range(5)] == [False] * 5
    world.upstream.gate.set()
    assert await probing
    assert world.upstream.probes == 1


async def test_a_fault_while_it_is_open_puts_the_next_probe_off(world):
    world.clock.advance(9)
    world.circuits.open("first", "credentials_refused")
    world.clock.advance(9)
    assert not await world.allows()
    assert world.upstream.probes == 0


async def test_opening_and_closing_are_noted_once_with_the_reason(world):
    facts = {"client": "first", "reason": "credentials_refused"}
    assert world.notes.heard == [("circuit.opened", None, facts)]
    world.circuits.open("first", "credentials_refused")
    await world.probe(Confirmed())
    await world.allows()
    assert world.notes.heard == [("circuit.opened", None, facts), ("circuit.closed", None, facts)]


async def test_the_reason_is_the_last_one_that_upstream_gave(world):
    await world.probe(FAULT)
    await world.probe(Denied(Denial.CLIENT_FAULT))
    await world.probe(Confirmed())
    assert world.notes.heard[-1][2]["reason"] == "platform_status_lost"
