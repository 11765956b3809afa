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
    """Remembers what `near` says, finds what `far` says; once it `waits`, look-ups stay open, in `asked`."""

    def __init__(self, near=nothing, far=nothing):
        self.near = near
        self.far = far
        self.waits = False
        self.asked = []
        self.given = []
        self.fails = None

    def fingerprint(self, access_token):
        return fingerprint(access_token)

    def ask(self, look):
        answer = asyncio.get_running_loop().create_future()
        self.asked.append(answer)
        if not self.waits:
            answer.set_result(self.far(look))
        return answer

    def find(self, place=-1, look=None):
        """Answer a look-up that is open."""
        self.asked[place].set_result(hit_of(look or fingerprint(HELD)))

    def for_browser(self, hit, address):
        return self._give(hit, address)

    def for_service(self, hit, *, vouch):
        return self._give(hit, vouch)

    def _give(self, hit, asked):
        if self.fails is not None:
            raise self.fails
        self.given.append(asked)
        return hit.current


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
