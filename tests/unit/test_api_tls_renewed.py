"""The internal listener's certificates while it serves: renewed, taken away, unusable; and its end."""

import asyncio
from types import SimpleNamespace

import aiohttp
import pytest

from service.api.rescue import Rescue
from service.api.sites import Taker
from service.api.sockets import bind
from service.settings import Caller
from tests.support.certificates import Authority
from tests.support.certified import BACKEND, Village, call, is_refused
from tests.support.doors import CURRENT, AnswersScript, current_token
from tests.support.waiting import eventually


@pytest.fixture
async def village(tmp_path):
    """A village in which nothing goes wrong unheard."""
    built = Village(tmp_path)
    yield built
    assert built.uncaught == []


async def served_name(house, context):
    """The name in the certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", house.port("internal"), ssl=context)
    shown = writer.get_extra_info("peercert")
    writer.close()
    return shown["subjectAltName"][0][1]


async def test_a_renewed_certificate_is_shown_from_then_on_and_ends_no_connection(village):
    context = village.caller(f"URI:{BACKEND}")
    async with (
        village.house() as house,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=1)) as http,
    ):
        url = f"https://127.0.0.1:{house.port('internal')}/v1/users/u-1"
        async with http.get(url) as before:
            assert before.status == 200
        assert await served_name(house, context) == "broker.test"
        village.mount.put(village.served("renewed.test"), village.authority.certificate)
        await village.tls.look()
        async with http.get(url) as after:
            assert after.status == 200
        assert await served_name(house, context) == "renewed.test"


async def test_an_authority_that_is_taken_away_lets_nobody_in_any_more(village):
    other = Authority("other")
    async with village.house() as house:
        ours, theirs = village.caller(f"URI:{BACKEND}"), village.caller(shows=False)
        other.shown(theirs, village.folder, other.issue(f"URI:{BACKEND}"))
        await is_refused(house, theirs)
        village.mount.put(village.served(), other.certificate)
        await village.tls.look()
        await is_refused(house, ours)
        assert await call(house, theirs) == (200, None)


SPOILT = {
    "another key": ("key", "is not the private key of the certificate"),
    "no key": ("key", "holds no private key in PEM"),
    "a certificate that is none": ("certificate", "holds no certificate in PEM"),
    "no authorities": ("ca", "cannot be read (No such file or directory)"),
}


def spoil(village, how):
    good, other = village.served(), village.served()
    changes = {"another key": {"key": other.key}, "no key": {"key": b"x"}}
    changes["a certificate that is none"] = {"certificate": b"x"}
    parts = {"certificate": good.certificate, "key": good.key} | changes.get(how, {})
    ca = None if how == "no authorities" else village.authority.certificate
    village.mount.put(SimpleNamespace(**parts), ca)


@pytest.mark.parametrize("how", SPOILT)
async def test_what_cannot_be_used_changes_nothing_and_is_told_of_once(village, how):
    async with village.house() as house:
        spoil(village, how)
        await village.tls.look()
        await village.tls.look()
        assert await call(house, village.caller(f"URI:{BACKEND}")) == (200, None)
    part, reason = SPOILT[how]
    name = f"TOKEN_BROKER_INTERNAL_TLS_{part.upper()}_FILE"
    assert village.heard("secret.kept") == [{"name": name, "reason": reason, "key": None}]


async def test_renewals_under_load_fail_nobody(village):
    renewals, callers = 30, 4
    asked, going = [], True

    async def keep_calling(context):
        while going:
            asked.append(await call(house, context))

    async with village.house() as house:
        contexts = [village.caller(f"URI:{BACKEND}") for _ in range(callers)]
        calling = [asyncio.create_task(keep_calling(context)) for context in contexts]
        for number in range(renewals):
            village.mount.put(village.served(f"n{number}.test"), village.authority.certificate)
            await village.tls.look()
            target = len(asked) + callers  # each renewal is met by connections of its own
            await eventually(lambda target=target: len(asked) >= target, 10, 0)
        going = False
        await asyncio.gather(*calling)
    assert len(asked) >= renewals * callers
    assert set(asked) == {(200, None)}
    assert len(village.heard("certificate.loaded")) == 1 + renewals


async def test_a_call_under_way_is_answered_while_closing_and_an_idle_caller_holds_nothing_up(village):
    answers = AnswersScript(for_service=asyncio.Event(), for_service_after=current_token())
    reads_tokens = [Caller(BACKEND, frozenset({"tokens:read"}))]
    async with village.house(answers=answers, certified=reads_tokens) as house:
        context = village.caller(f"URI:{BACKEND}")
        idle = await asyncio.open_connection("127.0.0.1", house.port("internal"), ssl=context)
        asking = asyncio.create_task(token_of(house, context))
        await answers.called.wait()
        closing = asyncio.create_task(house.listeners.close())
        answers.results["for_service"].set()
        assert await asking == CURRENT
        await asyncio.wait_for(closing, 4)
        idle[1].transport.abort()


async def token_of(house, context):
    url = f"https://127.0.0.1:{house.port('internal')}/v1/users/u-1/token"
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http, http.get(url) as answer:
        return (await answer.json())["accessToken"]


async def test_who_was_left_waiting_by_another_process_is_served_also_behind_one_who_says_nothing(village):
    async with village.house() as house:
        other = bind(SimpleNamespace(host="127.0.0.1", port=0))
        server = house.listeners.open["internal"].runner.server
        left = SimpleNamespace(port=lambda _: other.getsockname()[1])
        _, silent = await asyncio.open_connection("127.0.0.1", left.port("internal"))
        rescue = Rescue(Taker(server, village.tls.context), [other])
        assert await call(left, village.caller(f"URI:{BACKEND}")) == (200, None)
        async with asyncio.timeout(4):
            await rescue.end()
        silent.close()
        other.close()
