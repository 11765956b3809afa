"""Decides what helps a user who needs attention: a sentence for people, and the orders that may be given.

Pure functions of a grant's standing. Imports the model and the ports only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service.broker.ports.overview import Concern, Troubled


class Order(StrEnum):
    """What an operator may order for a user."""

    REFRESH = "refresh"
    FORCE = "force"
    REVOKE = "revoke"
    RECOVER = "recover"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Advice:
    """What is the matter and what comes of it, and which orders help, the first one first."""

    words: str
    orders: tuple[Order, ...] = ()


_GONE = Advice(
    "Upstream has no such user any more. Have your app create the user again: it keeps its id here and gets "
    "a new one upstream."
)
_DEAD = Advice(
    "Upstream refuses the refresh token for good. Recover replaces all tokens of the user, once upstream has "
    "confirmed its id and address; or have your app enrol a new pair.",
    (Order.RECOVER,),
)
_SPENT = Advice(
    "The refresh token is spent. The access token is served while it lives, then the worker replaces all of "
    "the user's tokens. Force does so now.",
    (Order.FORCE,),
)
_BY_CONCERN = {
    Concern.FORCE_PENDING: Advice(
        "A revoke or a force is not carried out upstream yet, and no token is handed out. The worker keeps "
        "trying; revoke tries at once.",
        (Order.REVOKE,),
    ),
    Concern.REFUSED: Advice(
        "Upstream refused the access token, so nobody is given it. It is replaced when somebody asks; "
        "refresh does so now.",
        (Order.REFRESH, Order.FORCE),
    ),
    Concern.DISTRUSTED: Advice(
        "A force-refresh whose answer was lost may still land. Until upstream has confirmed the token, every "
        "answer is checked there first. It heals by itself.",
        (Order.REFRESH,),
    ),
    Concern.FAILING: Advice(
        "The last try to replace the pair failed. The worker tries again, less often each time; refresh "
        "tries now. Force does without the refresh token.",
        (Order.REFRESH, Order.FORCE),
    ),
    Concern.OVERDUE: Advice(
        "The pair is due and the worker has not come to it. If there are many, look at the worker, the "
        "budget and the circuit first.",
        (Order.REFRESH,),
    ),
    Concern.PAUSED: Advice("Somebody paused all work on this user; resume takes it up.", (Order.RESUME,)),
}


def advise(user: Troubled) -> Advice:
    """Return what is the matter with a user and what helps."""
    if user.concern is Concern.DEAD:
        return _GONE if user.reason == "user_gone" else _DEAD
    if user.concern is Concern.FAILING and user.refresh_token_dead:
        return _SPENT
    return _BY_CONCERN[user.concern]
