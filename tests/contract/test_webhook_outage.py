"""A receiver that fails for ten minutes gets everything once it is back, in order, each verifiable."""

import asyncio
import socket
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from service.broker.deliveries import AWAY_AFTER, LONGEST_REST
from tests.support.receivers import receiving
from tests.support.sending import sending
from tests.support.stored import open_stores

PEOPLE = [f"u{number}" for number in range(12)]
TEN_MINUTES = 600
BACK_WITHIN = LONGEST_REST.total_seconds() * 1.25 + 1


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


@asynccontextmanager
async def answering(status, **headers):
    """A receiver that answers so until it is told to do better."""
    async with receiving() as receiver:
        receiver.status, receiver.headers = status, headers

        def mend():
            receiver.status, receiver.headers = 204, {}

        yield receiver, mend


@asynccontextmanager
async def hanging():
    """A receiver that says nothing."""
    async with receiving() as receiver:
        receiver.gate.clear()
        receiver.forgets = True
        yield receiver, receiver.gate.set


async def ten_minutes_of_trouble(worker):
    """Ten minutes in which every user dies and comes back again and again."""
    await worker.tell(*PEOPLE)
    for _ in range(10):
        await worker.tell(*PEOPLE[:4], PEOPLE[-1], of="grant.recovered")
        await worker.goes_on(TEN_MINUTES / 10)


def numbers(receiver, user_id):
    return [message["data"]["number"] for message in receiver.of(user_id)]


async def everything_in_order(worker, receiver):
    """Hold what came against what was written: all of it, nothing twice, each user's in its order."""
    for user_id in PEOPLE:
        came = numbers(receiver, user_id)
        assert came == list(range(len(came))), user_id
    assert set(await worker.outcomes()) == {"delivered"}
    assert len(receiver.taken) == len(await worker.outcomes()) == len(PEOPLE) + 50
    assert len({message_id for message_id, _ in receiver.taken}) == len(receiver.taken)


@pytest.mark.parametrize(
    ("trouble", "timeout_s"),
    [
        (lambda: answering(503), 5.0),
        (lambda: answering(400), 5.0),
        (lambda: answering(302, Location="/hooks"), 5.0),
        (hanging, 0.05),
    ],
    ids=["503", "400", "redirect", "hangs"],
)
async def test_a_receiver_that_fails_for_ten_minutes_gets_all_of_it_once_it_is_back(
    stores, trouble, timeout_s
):
    async with trouble() as (receiver, mend), sending(stores, receiver.url, timeout_s=timeout_s) as worker:
        await ten_minutes_of_trouble(worker)
        assert (receiver.taken, len(receiver.tries) < 60) == ([], True)
        receiver.tries.clear()
        mend()
        worker.deliveries._receiver._timeout_s = 5.0
        await worker.goes_on(BACK_WITHIN)
        await everything_in_order(worker, receiver)


async def test_one_that_was_not_there_at_all_gets_all_of_it_when_it_begins_to_listen(stores):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    async with sending(stores, f"http://127.0.0.1:{port}/hooks") as worker:
        await ten_minutes_of_trouble(worker)
        assert {facts["reason"] for facts in worker.heard("webhook.failed")} == {"ClientConnectorError"}
        async with receiving(port) as receiver:
            await worker.goes_on(BACK_WITHIN)
            await everything_in_order(worker, receiver)


async def test_that_it_is_away_and_that_it_is_back_is_told_once(stores):
    async with answering(500) as (receiver, mend), sending(stores, receiver.url) as worker:
        await worker.tell(*PEOPLE)
        await worker.goes_on(TEN_MINUTES)
        down = worker.heard("dependency.down")
        assert (down[0]["dependency"], down[0]["reason"]) == ("webhook", "status 500")
        assert worker.heard("dependency.up") == []
        mend()
        await worker.goes_on(BACK_WITHIN)
        assert worker.heard("dependency.up") == [{"dependency": "webhook"}]


async def test_two_workers_share_what_waits_and_keep_each_users_order(stores):
    async with (
        receiving() as receiver,
        sending(stores, receiver.url) as one,
        sending(stores, receiver.url) as two,
    ):
        two.deliveries._owner = "another-worker"
        for _ in range(4):
            await one.tell(*PEOPLE)
        while None in await one.outcomes():
            await asyncio.gather(one.deliveries.run(), two.deliveries.run())
        assert [numbers(receiver, user_id) for user_id in PEOPLE] == [[0, 1, 2, 3]] * len(PEOPLE)
        assert len(receiver.taken) == 4 * len(PEOPLE)


async def test_a_message_that_is_refused_alone_holds_up_its_own_user_and_nobody_else(stores):
    async with receiving() as receiver, sending(stores, receiver.url) as worker:
        receiver.refuses = lambda message: message["data"]["userId"] == "u0" and not message["data"]["number"]
        await worker.tell("u0", "u1", "u0", "u2", "u1")
        await worker.goes_on(60)
        assert [numbers(receiver, user_id) for user_id in ("u0", "u1", "u2")] == [[], [0, 1], [0]]
        assert await worker.outcomes() == [None, "delivered", None, "delivered", "delivered"]
        assert AWAY_AFTER < len(worker.heard("webhook.failed")) < 10


async def test_it_is_given_up_in_the_end_and_what_waited_behind_it_goes_out(stores):
    give_up = timedelta(minutes=2)
    async with receiving() as receiver, sending(stores, receiver.url, give_up=give_up) as worker:
        receiver.refuses = lambda message: not message["data"]["number"]
        await worker.tell("u0", "u0")
        await worker.goes_on(400)
        assert await worker.outcomes() == ["given_up", "delivered"]
        (given_up,) = worker.heard("webhook.given_up")
        assert (given_up["type"], given_up["reason"]) == ("grant.died", "status 400")


async def test_how_long_a_receiver_asks_to_be_left_alone_is_heeded(stores):
    busy = answering(429, **{"Retry-After": "120"})
    async with busy as (receiver, mend), sending(stores, receiver.url) as worker:
        await worker.tell("u0", "u1")
        await worker.goes_on(2)
        mend()
        await worker.goes_on(115)
        assert len(receiver.tries) == 2
        await worker.goes_on(10)
        assert await worker.outcomes() == ["delivered", "delivered"]


async def test_a_message_whose_answer_was_lost_comes_again_under_the_id_it_had(stores):
    async with hanging() as (receiver, mend), sending(stores, receiver.url, timeout_s=0.05) as worker:
        receiver.forgets = False
        await worker.tell("u0")
        await worker.goes_on(1)
        mend()
        await worker.goes_on(5)
        (first, told), (second, again) = receiver.taken
        assert (first, told) == (second, again)
        assert await worker.outcomes() == ["delivered"]


async def test_a_receiver_that_says_it_is_gone_is_left_alone_for_an_hour(stores):
    async with answering(410) as (receiver, _), sending(stores, receiver.url) as worker:
        await worker.tell("u0")
        await worker.goes_on(3500, step=10)
        assert len(receiver.tries) == 1
        await worker.goes_on(200, step=10)
        assert len(receiver.tries) == 2


async def test_what_is_being_sent_when_the_worker_ends_is_waited_for_and_nothing_more_begun(stores):
    async with receiving() as receiver, sending(stores, receiver.url) as worker:
        receiver.gate.clear()
        await worker.tell("u0", "u0")
        running = asyncio.create_task(worker.deliveries.run())
        await receiver.came.wait()
        draining = asyncio.create_task(worker.deliveries.drain(5.0))
        receiver.gate.set()
        await asyncio.gather(running, draining)
        assert await worker.outcomes() == ["delivered", None]
