"""Asks the stores whatever comes, in any order, to compare the simulated tables with PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from service.broker.model import ClaimKind, GrantState, Marks, Profile, Trigger, UserKey
from service.broker.ports import Aftermath, Settlement, Use
from tests.simulation.twins import Pair
from tests.support.builders import a_new_grant, a_pair
from tests.support.stored import DEADLINE, RING

_KEYS = tuple(UserKey("first-client", name) for name in ("anna", "bert"))
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class Dialogue:
    """One seed's questions to both stores; what they have answered is asked about again."""

    def __init__(self, twins, seed):
        self._twins = twins
        self._random = Random(seed)
        self._pairs = 0
        self._generations = {key: Pair((0, 0)) for key in _KEYS}
        self._claims = []
        self._intents = []

    async def go_on(self, questions):
        """Ask so many questions."""
        for _ in range(questions):
            question = self._random.choice(_QUESTIONS)
            await question(self, self._random.choice(_KEYS))
            for key in _KEYS:
                self._learn(await self._twins.ask("load", key))

    async def _create(self, key):
        user = await self._twins.ask("begin_create", key, self._profile(), self._owner())
        if user.both():
            intents = user.map(lambda one: one.intent)
            self._intents += [(key, intents)] if intents.both() else []

    async def _attempt(self, _):
        if self._intents:
            key, intents = self._random.choice(self._intents)
            await self._twins.ask("note_attempt", key, intents)

    async def _abandon(self, _):
        if self._intents:
            key, intents = self._random.choice(self._intents)
            await self._twins.ask("abandon_create", key, intents, self._odds(0.5))

    async def _link(self, key):
        facts = {"distrust": self._odds(0.3), "vouch": self._odds(0.5)}
        grants = Pair(self._new_grant(key, **facts) for _ in range(1)) * 2
        if self._odds(0.4) and self._intents:
            key, intents = self._random.choice(self._intents)
            made = self._new_grant(key, **facts)
            grants = intents.map(lambda intent: _with_intent(made, intent))
        profile = self._profile() if self._odds(0.7) else None
        fingerprint = RING.of(grants[0].pair.access_token)[0]
        await self._twins.ask("link", Pair(grants), profile, self._odds(0.5), fingerprint)

    async def _claim(self, key):
        claimed = await self._twins.ask("claim", key, self._generations[key], self._owner())
        if claimed.both():
            self._claims.append(claimed.map(lambda grant: grant.claim))

    async def _claim_due(self, _):
        now = datetime.now(UTC) + self._random.choice((timedelta(0), _HOUR, 400 * _DAY))
        due = await self._twins.ask("claim_due", _KEYS[0].client, 10, now, self._owner())
        for number in range(len(due[0])):
            self._claims.append(due.map(lambda found, at=number: found[at].grant.claim))

    async def _restamp(self, _):
        if self._claims:
            await self._twins.ask("restamp", self._claimed(), self._random.choice(list(ClaimKind)))

    async def _settle(self, _):
        if self._claims:
            claims, pair, used = self._claimed(), self._pair(), self._odds(0.5)
            settlements = claims.map(
                lambda claim: Settlement(
                    claim, pair, used, pair.expires_at + _DAY, pair.refresh_at, Trigger.REQUEST
                )
            )
            await self._twins.ask("settle", settlements, RING.of(pair.access_token)[0])

    async def _end(self, _):
        if self._claims:
            dead = self._odds(0.2)
            aftermath = Aftermath(
                keep_claim=self._odds(0.3),
                failed="throttled" if self._odds(0.5) else None,
                retry_at=self._sometime(),
                due_at=self._sometime(),
                refresh_token_dead=self._random.choice((None, True)),
                distrust=self._odds(0.3),
                known=Marks(refused=self._odds(0.5), force_pending=self._odds(0.5)),
                state=GrantState.DEAD if dead else None,
                reason=self._random.choice(("user_gone", "refused")) if dead else None,
            )
            await self._twins.ask("end_claim", self._claimed(), aftermath)

    async def _mark(self, key):
        await self._twins.ask("mark_refused", key, self._generations[key])

    async def _distrust(self, key):
        await self._twins.ask("distrust", key)

    async def _trust(self, key):
        confirmed_at = datetime.now(UTC) + self._random.choice((timedelta(0), _HOUR))
        await self._twins.ask("clear_distrust", key, self._generations[key], confirmed_at)

    async def _use(self, key):
        at, by_browser = datetime.now(UTC), self._odds(0.5)
        uses = self._generations[key].map(lambda generation: [Use(key, generation, at, by_browser)])
        await self._twins.ask("note_uses", uses)

    async def _vouch(self, key):
        await self._twins.ask("vouch", key, datetime.now(UTC))

    async def _order(self, key):
        await self._twins.ask("request_force", key, self._odds(0.5))

    async def _move(self, key):
        state = self._random.choice((GrantState.LIVE, GrantState.LIVE, GrantState.PAUSED))
        await self._twins.ask("set_state", key, state, state.lower(), self._sometime())

    async def _find(self, _):
        name = f"pair-{self._random.randint(0, self._pairs)}"
        await self._twins.ask("find", RING.of(f"{name}.access-token.of-a-user"))

    async def _read(self, key):
        await self._twins.ask("load_user", key)

    async def _forget(self, key):
        if self._odds(0.3):
            await self._twins.ask("forget", key)

    async def _wait(self, _):
        await self._twins.let_pass(DEADLINE)

    def _learn(self, grants):
        if grants.both():
            self._generations[grants[0].key] = grants.map(lambda grant: grant.generation)

    def _odds(self, share):
        return self._random.random() < share

    def _owner(self):
        return self._random.choice(("this-process", "another-process"))

    def _profile(self):
        return Profile(email=self._random.choice(("anna@app.test", "bert@app.test")), name="Somebody")

    def _sometime(self):
        return self._random.choice((None, datetime.now(UTC), datetime.now(UTC) + _HOUR))

    def _claimed(self):
        return self._random.choice(self._claims[-3:])

    def _pair(self):
        self._pairs += 1
        return a_pair(f"pair-{self._pairs}", issued_at=datetime.now(UTC))

    def _new_grant(self, key, **facts):
        pair, upstream_id = self._pair(), self._random.choice(("up-anna", "up-bert"))
        until, due_at = pair.expires_at + _DAY, self._sometime()
        return a_new_grant(
            key=key, pair=pair, upstream_id=upstream_id, counts_until=until, due_at=due_at, **facts
        )


def _with_intent(grant, intent):
    return grant.__class__(**{**{name: getattr(grant, name) for name in grant.__slots__}, "intent": intent})


_QUESTIONS = tuple(
    getattr(Dialogue, name)
    for name, weight in {
        "_create": 3, "_attempt": 2, "_abandon": 1, "_link": 5, "_claim": 6, "_claim_due": 3, "_restamp": 3,
        "_settle": 4, "_end": 7, "_mark": 2, "_distrust": 1, "_trust": 2, "_use": 2, "_vouch": 1, "_order": 2,
        "_move": 2, "_find": 2, "_read": 1, "_forget": 1, "_wait": 3,
    }.items()
    for _ in range(weight)
)  # fmt: skip
