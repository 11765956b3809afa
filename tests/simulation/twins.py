"""The simulated tables and a real PostgreSQL, told the same things and compared in what they answer.

Instants count to the second, and generations by the order in which they came: both go by two clocks here.
"""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from datetime import datetime, timedelta

from service.broker.errors import BrokerError
from tests.simulation.claims import Claims
from tests.simulation.grants import Grants
from tests.simulation.tables import Tables
from tests.simulation.users import Users
from tests.support.stored import DEADLINE, WINDOW

_SHIFT_GRANT = "UPDATE grants SET claimed_at = claimed_at - $1::interval"
_SHIFT_USER = "UPDATE users SET intent_at = intent_at - $1::interval"


class Simulated:
    """The ports of one process over simulated tables that nothing comes between."""

    def __init__(self, clock):
        self.tables = Tables(clock, claim_deadline=DEADLINE, distrust_window=WINDOW)
        self._parts = Claims(self.tables), Grants(self.tables), Users(self.tables)

    async def ask(self, name, *arguments):
        part = next(part for part in self._parts if hasattr(part, name))
        return getattr(part, name)(*arguments)

    async def let_pass(self, time):
        for row in self.tables.grants.values():
            row.claimed_at = row.claimed_at and row.claimed_at - time
        for row in self.tables.users.values():
            row.intent_at = row.intent_at and row.intent_at - time


class Real:
    """The same questions for PostgreSQL, in the words of the ports."""

    def __init__(self, stores):
        self._stores = stores
        self._parts = stores.claims, stores.grants, stores.users

    async def ask(self, name, *arguments):
        part = next(part for part in self._parts if hasattr(part, name))
        return await _WORDS.get(name, _as_it_is)(getattr(part, name), *arguments)

    async def let_pass(self, time):
        for statement in (_SHIFT_GRANT, _SHIFT_USER):
            await self._stores.raw.execute(statement, time)


async def _as_it_is(method, *arguments):
    return await method(*arguments)


async def _settle(method, settlement, _):
    return await method(settlement)


async def _link(method, grant, profile, replace, _):
    return await method(grant, profile, replace=replace)


async def _request_force(method, key, revoke):
    return await method(key, revoke=revoke, actor="a-test")


async def _set_state(method, key, state, reason, due_at):
    return await method(key, state, reason, due_at=due_at, actor="a-test")


async def _forget(method, key):
    return await method(key, actor="a-test")


async def _abandon_create(method, key, intent, uncertain):
    return await method(key, intent, uncertain=uncertain)


_WORDS = {
    "settle": _settle,
    "link": _link,
    "request_force": _request_force,
    "set_state": _set_state,
    "abandon_create": _abandon_create,
    "forget": _forget,
}


class Pair(list):
    """What belongs to the simulated side, and to the real one."""

    def map(self, part):
        return Pair(part(one) for one in self)

    def both(self):
        """Whether there is something on either side."""
        return all(one is not None for one in self)


class Twins:
    """Both at once; what they answer must be the same."""

    def __init__(self, simulated, real):
        self._sides = simulated, real
        self._generations = {}, {}

    async def ask(self, name, *arguments):
        """Ask both, each in its own words; returns both answers, None for an error both have raised."""
        answers, told = Pair(), []
        for side, one in enumerate(self._sides):
            own = [argument[side] if isinstance(argument, Pair) else argument for argument in arguments]
            try:
                answers.append(await one.ask(name, *own))
                told.append(self._plain(answers[side], self._generations[side]))
            except BrokerError as error:
                answers.append(None)
                told.append(error.code)
        assert _alike(*told), f"{name} {arguments}:\nsimulated  {told[0]}\nPostgreSQL {told[1]}"
        return answers

    async def let_pass(self, time):
        for side in self._sides:
            await side.let_pass(time)

    def _plain(self, value, generations):
        """Write a value without its tokens, each generation as the how-manyth of its user it is."""
        if is_dataclass(value):
            value = asdict(value)
        if hasattr(value, "_asdict"):
            value = value._asdict()
        if isinstance(value, (list, tuple)):
            return [self._plain(one, generations) for one in value]
        if not isinstance(value, dict):
            return value
        known = generations.setdefault(str(value.get("key")), [0])
        return {
            name: _ordinal(one, known) if "generation" in name else self._plain(one, generations)
            for name, one in value.items()
            if name not in {"access_token", "refresh_token"}
        }


def _ordinal(generation, known):
    if generation not in known:
        known.append(generation)
    return known.index(generation)


def _alike(one, other):
    """Whether two values are the same, instants to two seconds."""
    if isinstance(one, datetime) and isinstance(other, datetime):
        return abs(one - other) < timedelta(seconds=2)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)
