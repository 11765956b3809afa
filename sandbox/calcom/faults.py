"""Faults: what can be switched on, for which calls, and which of them a call draws.

Decides only; `pipeline` and the routes carry a drawn fault out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from sandbox.calcom.tally import Tally


class FaultKind(StrEnum):
    """What goes wrong. `*_before`: nothing was executed; `*_after`: executed, then the answer suffers."""

    DELAY_BEFORE = "delay_before"
    DELAY_AFTER = "delay_after"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    HTML_BEFORE = "html_before"
    HTML_AFTER = "html_after"
    DATABASE_ERROR = "database_error"
    THROTTLED = "throttled"
    ZOMBIE = "zombie"
    DUPLICATE = "duplicate"
    MALFORMED = "malformed"
    WRONG_OWNER = "wrong_owner"
    RACE = "race"
    REPLICA_LAG = "replica_lag"
    CRASH_UNLINKED = "crash_unlinked"
    CRASH_TOKENLESS = "crash_tokenless"
    ROUTE_REMOVED = "route_removed"

    @classmethod
    def _missing_(cls, value: object) -> FaultKind:
        raise ValueError(f"unknown fault {value!r}; known are {', '.join(cls)}")


MALFORMED_VARIANTS = (
    "missing_tokens", "empty_tokens", "number_tokens", "no_expiry", "null_data", "array", "not_json",
    "empty_body",
)  # fmt: skip
DUPLICATE_VARIANTS = ("second", "first")
_VARIANTS = {FaultKind.MALFORMED: MALFORMED_VARIANTS, FaultKind.DUPLICATE: DUPLICATE_VARIANTS}


@with_config(ConfigDict(extra="forbid", strict=True))
class FaultOptions(TypedDict, total=False):
    """The fields of `Fault` that its giver may set."""

    client: str
    user: int
    count: int
    probability: float
    delay_s: float
    delay_to_s: float
    status: int
    variant: str
    reset_s: float


@dataclass(slots=True, eq=False)
class Fault:
    """One switched-on fault; None in a filter matches everything, `count` None lasts until cleared.

    `delay_s` (or a draw between it and `delay_to_s`) is how long delays, zombies, races and replica lag
    last; `status` replaces the fault's usual one; `variant` is of `malformed` or `duplicate`;
    `reset_s` is what a 429 states.
    """

    kind: FaultKind
    route: str = "*"
    client: str | None = None
    user: int | None = None
    count: int | None = None
    probability: float = 1.0
    delay_s: float = 0.0
    delay_to_s: float | None = None
    status: int | None = None
    variant: str | None = None
    reset_s: float = 60.0
    id: int = 0
    struck_calls: Tally = field(default_factory=Tally, repr=False)
    cleared: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def __post_init__(self) -> None:
        known = _VARIANTS.get(self.kind)
        if self.variant is None and known:
            self.variant = known[0]
        if self.variant is not None and self.variant not in (known or ()):
            raise ValueError(f"unknown variant {self.variant!r} of fault {self.kind.value}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability must lie in [0, 1], not {self.probability}")

    @property
    def hits(self) -> int:
        """How many calls it has struck."""
        return self.struck_calls.value

    async def struck(self, count: int = 1, timeout_s: float = 10.0) -> None:
        """Wait until so many calls have drawn the fault; raises TimeoutError."""
        await self.struck_calls.reached(count, timeout_s)

    @property
    def shown(self) -> dict[str, object]:
        """Return what was switched on and how often it has hit."""
        names = ("id", "kind", "route", *FaultOptions.__annotations__, "hits")
        return {name: getattr(self, name) for name in names}

    def matches(self, route: str, client: str | None, user: int | None) -> bool:
        """Whether the fault concerns a call like this."""
        return (
            self.route in {route, "*"}
            and self.client in {client, None}
            and (self.user is None or self.user == user)
        )


@dataclass(frozen=True, slots=True)
class Drawn:
    """A fault one call has drawn, with the delay that was drawn for it."""

    fault: Fault
    delay_s: float


Draws = dict[FaultKind, Drawn]


class Faults:
    """The faults switched on now; draws come from one seeded generator."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"faults-{seed}")  # noqa: S311 - repeatable runs, no secrecy
        self._faults: dict[int, Fault] = {}
        self._last_id = 0

    def add(self, fault: Fault) -> Fault:
        """Switch a fault on."""
        self._last_id += 1
        fault.id = self._last_id
        self._faults[fault.id] = fault
        return fault

    def clear(
        self, *, fault_id: int | None = None, kind: str | None = None, route: str | None = None,
        client: str | None = None,
    ) -> int:  # fmt: skip
        """Switch off the faults that match all that is given (nothing given: all); returns how many."""
        gone = [
            fault
            for fault in self._faults.values()
            if fault_id in {fault.id, None}
            and kind in {fault.kind, None}
            and route in {fault.route, None}
            and client in {fault.client, None}
        ]
        for fault in gone:
            del self._faults[fault.id]
            fault.cleared.set()
        return len(gone)

    def draw(self, route: str, client: str | None, user: int | None) -> Draws:
        """Return what this call suffers, at most one fault of a kind, and use up their counts."""
        drawn: Draws = {}
        for fault in list(self._faults.values()):
            if fault.kind not in drawn and fault.matches(route, client, user) and self._hits(fault):
                drawn[fault.kind] = Drawn(fault, self._delay(fault))
        return drawn

    def _hits(self, fault: Fault) -> bool:
        if fault.count is not None and fault.hits >= fault.count:
            return False
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        fault.struck_calls.add()
        return True

    def _delay(self, fault: Fault) -> float:
        if fault.delay_to_s is None:
            return fault.delay_s
        return self._random.uniform(fault.delay_s, fault.delay_to_s)

    def __bool__(self) -> bool:
        return bool(self._faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._faults.values()))
