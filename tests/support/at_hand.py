"""The short way for tests: what a cache has at hand, and answers of the long way that tell the same."""

import asyncio
from datetime import timedelta
from hashlib import sha256

from service.broker.asking import showed, was_given
from service.broker.model import Fingerprint, LineageEntry, UserKey
from service.broker.ports import CacheHit
from tests.support.doors import HELD, KEY, NOW, AnswersScript, current_token

PRESENTED = LineageEntry(KEY, 4, NOW + timedelta(days=1))


def fingerprint(access_token):
    """What a token is looked for by."""
    return Fingerprint("f1", sha256(access_token.encode()).digest())


def hit_of(look):
    """What a cache holds of HELD, and of every user."""
    if isinstance(look, UserKey):
        return CacheHit(LineageEntry(look, 5, NOW), current_token(look))
    return CacheHit(PRESENTED, current_token()) if look == fingerprint(HELD) else None


def nothing(_):
    """What a cache holds that is empty."""


class AtHandScript:
    """Remembers what `near` says, finds what `far` says; once it `waits`, look-ups stay open, in `asked`.

    Keeps what it was told of: all that was `noted`, and what was `given`: to whom, or on whose word. Who
    follows another waits in `led`, if that is a list.
    """

    def __init__(self, near=nothing, far=nothing):
        self.near = near
        self.far = far
        self.waits = False
        self.asked = []
        self.given = []
        self.noted = []
        self.fails = None
        self.led = None
        self.refuses = False

    def fingerprint(self, access_token):
        return fingerprint(access_token)

    def clock(self):
        return NOW

    def ask(self, look, found):
        answer = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda ended: found(_what_came_of(ended)))
        self.asked.append(answer)
        if not self.waits:
            answer.set_result(self.far(look))

    def follow(self, look, found):
        if self.led is not None:
            self.led.append(found)
        return self.led is not None

    def find(self, place=-1, look=None):
        """Answer a look-up that is open."""
        self.asked[place].set_result(hit_of(look or fingerprint(HELD)))

    def for_browser(self, hit, now):
        return self._give(hit, now)

    def for_service(self, hit, now, *, vouch):
        current = self._give(hit, now)
        self.given.append(vouch)
        return current

    def note(self, given):
        self.noted.append(given)
        if given.entry is not None:
            self.given.append(given.address)

    def _give(self, hit, now):
        if self.fails is not None:
            raise self.fails
        assert now == NOW
        return None if self.refuses else hit.current


def _what_came_of(look_up):
    """What is told of a look-up that ended: what it found, and nothing where it failed."""
    failed = look_up.cancelled() or look_up.exception() is not None
    return None if failed else look_up.result()


class TellingAnswers(AnswersScript):
    """Says of each exchange what the broker says of it, and asks as it was asked."""

    def __init__(self, **results):
        super().__init__(**results)
        self.given = []

    async def for_browser(self, access_token, admit=None, *, address=None):
        answer = await super().for_browser(access_token, admit, address=address)
        showed(fingerprint(access_token), PRESENTED)
        was_given(answer.generation)
        self.given.append(address)
        return answer

    async def for_service(self, key, *, min_ttl_s, vouch):
        answer = await super().for_service(key, min_ttl_s=min_ttl_s, vouch=vouch)
        was_given(answer.generation)
        self.given.append(vouch)
        return answer
