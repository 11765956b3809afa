"""A client's secret is changed upstream, at any instant: with both in hand no call is refused for it."""

import pytest

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from service.adapters.upstream import open_session
from service.broker.model import HELD_BACK, Confirmed, Created, Denial, Denied, Profile, Rotated
from tests.support.calcom_platform import Notes, platform

OLD, NEW = "the-old-secret", "the-new-secret"
CONFIG = SandboxConfig(clients=(SandboxClient(id="cl1", secret=OLD),))


class Spoken(Notes):
    """What was said of the calls; `then` is done after each."""

    def __init__(self, then):
        super().__init__()
        self._then = then

    def note(self, event, key=None, **facts):
        super().note(event, key, **facts)
        if event == "upstream.call":
            self._then()

    def of(self, event, fact):
        return [facts[fact] for name, _, facts in self.heard if name == event]


@pytest.fixture
async def upstream():
    async with serve(CONFIG) as served:
        yield served


@pytest.fixture
async def speak(upstream):
    """Speaks to upstream with these secrets, the new one first."""
    async with open_session() as session:

        def speaker(*secrets, then=lambda: None):
            notes = Spoken(then)
            provider = platform(session, upstream.url, notes, lambda: secrets)
            provider.tries = lambda: notes.of("upstream.call", "outcome")
            provider.told = lambda: notes.of("client_secret.refused", "sends")
            return provider

        yield speaker


def a_refresh_token(upstream):
    return upstream.sandbox.create_user("cl1", "ann@example.com")[1].refresh.secret


async def test_before_upstream_has_changed_over_the_old_one_is_taken_and_comes_first_from_then_on(speak):
    provider = speak(NEW, OLD)
    assert isinstance(await provider.probe(), Confirmed)
    assert isinstance(await provider.probe(), Confirmed)
    assert provider.tries() == ["denied", "confirmed", "confirmed"]
    assert provider.told() == ["old"]


async def test_once_it_has_the_new_one_is_taken_without_a_call_more(speak, upstream):
    provider = speak(NEW, OLD)
    await provider.probe()
    upstream.sandbox.rotate_secret("cl1", NEW)
    assert [type(await provider.probe()) for _ in range(2)] == [Confirmed, Confirmed]
    assert provider.tries() == ["denied", "confirmed", "denied", "confirmed", "confirmed"]
    assert provider.told() == ["old", "new"]


async def test_it_may_change_over_between_the_two_tries(speak, upstream):
    provider = speak(NEW, OLD, then=lambda: upstream.sandbox.rotate_secret("cl1", NEW))
    assert isinstance(await provider.probe(), Confirmed)
    assert provider.tries() == ["denied", "denied", "confirmed"]


async def test_a_refresh_token_that_came_with_a_wrong_secret_is_not_spent(speak, upstream):
    token = a_refresh_token(upstream)
    refused = await speak("a-wrong-secret").refresh(token)
    assert isinstance(refused, Denied)
    assert upstream.sandbox.is_usable(token)
    assert isinstance(await speak(NEW, OLD).refresh(token), Rotated)


async def test_a_create_with_a_wrong_secret_first_makes_one_user(speak, upstream):
    assert isinstance(await speak(NEW, OLD).create_user(Profile("ann@example.com", "Ann")), Created)
    assert len(upstream.sandbox.users("cl1")) == 1


async def test_the_second_try_is_not_sent_when_it_may_not_be_any_more(speak, upstream):
    token, asked = a_refresh_token(upstream), []
    provider = speak(NEW, OLD)
    held = await provider.refresh(token, may_send=lambda: asked.append(1) or len(asked) <= 2)
    assert held == HELD_BACK
    assert upstream.sandbox.is_usable(token)


async def test_with_both_refused_it_is_the_clients_fault(speak):
    refused = await speak("wrong-1", "wrong-2").probe()
    assert isinstance(refused, Denied)
    assert refused.code is Denial.CLIENT_FAULT


async def test_one_that_is_refused_alone_is_tried_once(speak):
    provider = speak("wrong-1")
    await provider.probe()
    assert provider.tries() == ["denied"]


async def test_another_fault_of_the_client_is_not_tried_again(speak, upstream):
    upstream.sandbox.change_client("cl1", platform=False)
    provider = speak(NEW, OLD)
    await provider.probe()
    await provider.create_user(Profile("ann@example.com", "Ann"))
    assert provider.tries() == ["denied", "confirmed", "denied"]
