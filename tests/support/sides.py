"""A broker over a cache that holds one hit, what is at hand beside it, and what both wrote behind."""

from dataclasses import dataclass
from types import SimpleNamespace

from service.adapters.vault import FingerprintRing
from service.broker.answers import Answers
from service.broker.at_hand import AtHand
from service.broker.behind import Behind, Given
from service.broker.crowds import Crowds
from service.broker.errors import BrokerError
from service.broker.policy import Terms
from service.broker.reuse import FAR_BEHIND
from tests.support.builders import NOON
from tests.support.cached import Notes

TERMS = Terms()


class Weighty(Exception):
    """The answer would take more than the cache: the database, upstream, or work behind the caller."""


class Store:
    """The database: takes what is written behind, and is asked nothing on a caller's time."""

    def __init__(self):
        self.uses = []

    async def note_uses(self, uses):
        self.uses += uses

    async def behind(self, tokens):
        return [FAR_BEHIND + 1] * len(tokens)

    def __getattr__(self, name):
        async def asked(*_, **__):
            raise Weighty(name)

        return asked


class Kicks:
    """Refreshes and confirmations: to begin one is weighty."""

    def running(self, *_):
        return True

    def __getattr__(self, name):
        def begun(*_):
            raise Weighty(name)

        return begun


class Cached:
    """A cache that holds one hit, for whoever asks."""

    def __init__(self, hit):
        self.hit = hit

    async def find(self, _):
        return self.hit

    async def current(self, _):
        return self.hit

    async def recently_confirmed(self, *_):
        return False


class Unaudited:
    """An audit that keeps nothing: the doors tell it of what goes the long way."""

    def exchanged(self, *_):
        pass


@dataclass
class Side:
    """A broker over a cache with one hit, what is at hand beside it, and what both wrote behind."""

    answers: Answers
    at_hand: AtHand
    behind: Behind
    notes: Notes
    store: Store
    ring: FingerprintRing

    def for_browser(self, hit, address):
        """Give what is at hand, and note it as the door does."""
        now = self.at_hand.clock()
        return self._noted(self.at_hand.for_browser(hit, now), hit.presented, address, now)

    def for_service(self, hit, *, vouch):
        now = self.at_hand.clock()
        return self._noted(self.at_hand.for_service(hit, now, vouch=vouch), None, None, now)

    def _noted(self, current, entry, address, now):
        if current is not None:
            self.at_hand.note(Given(current, entry, None, address, "token.given", now))
        return current

    async def written(self):
        """What was noted of the exchanges so far but for where they were answered from."""
        await self.behind.flush()
        await self.answers.uses.flush()
        await self.answers.reuses.flush()
        return [noted for noted in self.notes.heard if noted[0] != "answer"], self.store.uses


def a_side(hit, *, now=NOON, terms=TERMS, keys=1):
    notes, store = Notes(), Store()
    ring = FingerprintRing([(f"f{number}", b"%d" % number * 32) for number in range(keys)])
    ports = SimpleNamespace(
        cache=Cached(hit), grants=store, observer=notes, clock=lambda: now, fingerprints=ring
    )
    answers = Answers(ports, terms, Kicks(), Kicks(), None)
    behind = Behind(answers.reuses, answers.uses, Unaudited())
    at_hand = AtHand(ports, SimpleNamespace(near=None, ask=None), terms, behind, Crowds())
    return Side(answers, at_hand, behind, notes, store, ring)


async def asked(coroutine):
    """What the broker gives of what is cached; None when it would have to do more, or refuses."""
    try:
        return await coroutine
    except (Weighty, BrokerError):
        return None
