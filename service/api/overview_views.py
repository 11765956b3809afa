"""What the operator page is told, as models: figures, reasons and advice. No token has a field here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from service.api.views import UpstreamId, View, upstream_id
from service.broker.attention import Order, advise
from service.broker.model import GrantState
from service.broker.overview import Sight
from service.broker.ports.overview import Concern, Count, Happened, Troubled


class CallerView(View):
    """Who calls."""

    name: str
    scopes: list[str]
    clients: list[str] = Field(description="the OAuth clients it may act for, by name")


class UsersStanding(View):
    """A client's users by where their pair stands; each is counted once."""

    fresh: int = Field(description="in use, and not due to be replaced yet")
    stale: int = Field(description="in use, and being replaced about now")
    overdue: int = Field(description="due for longer than a replacement may take to come")
    idle: int = Field(
        description="nobody was given the pair: it is only kept alive, and replaced when asked for"
    )
    paused: int
    dead: int


class MarksStanding(View):
    """What is the matter with users; one may bear several marks."""

    refused: int = Field(description="upstream refused the current access token")
    distrusted: int = Field(description="a force-refresh of unknown outcome may still land")
    force_pending: int = Field(description="a revoke or a force is not carried out upstream yet")
    failing: int = Field(description="the last try to replace the pair failed, or its refresh token is spent")
    without_token: int = Field(description="no live token for over two minutes in spite of trying")


class Horizon(View):
    """How many pairs in use come due to be replaced in each step from the count on."""

    step_seconds: float
    due: list[int]


class StandingView(View):
    """The worker's last count."""

    counted_at: datetime
    users: UsersStanding
    marks: MarksStanding
    overdue_seconds: float
    expired_claims: int
    horizon: Horizon


class BudgetView(View):
    """The client's budget of upstream calls, shared by all replicas."""

    per_minute: float
    capacity: float
    ready: float = Field(description="calls that may be made now; below zero while callers wait for theirs")
    paused_seconds: float = Field(description="how long upstream has asked for rest")


class CircuitView(View):
    """Whether calls are held because upstream refuses the client itself."""

    open: bool
    reason: str | None


class SweepView(View):
    """The last sweep of any worker."""

    at: datetime
    claimed: int
    parked: int
    seconds: float


class OverviewView(View):
    """How everything stands; null is what cannot be known now."""

    client: str
    standing: StandingView | None = Field(description="null until a worker has counted")
    budget: BudgetView | None
    circuit: CircuitView
    sweep: SweepView | None
    queued_ticks: int | None = Field(description="ticks that wait in the queue for a worker")
    dependencies: dict[str, Literal["up", "down"]]


class HappenedView(View):
    """What happened in one step."""

    at: datetime
    rotated: int
    failed: int
    recovered: int
    died: int


class HistoryView(View):
    """What happened over time; steps that nobody counted are missing."""

    step_seconds: int
    steps: list[HappenedView]


class AttentionUser(View):
    """A user who needs attention."""

    id: str
    cal_user_id: UpstreamId
    email: str | None
    concern: str
    state: GrantState
    reason: str
    advice: str
    orders: list[Order] = Field(description="what may be ordered and helps, the first one first")
    has_token: bool = Field(description="whether a live token can be handed out")
    failures: int
    expires_at: datetime
    due_at: datetime | None
    retry_at: datetime | None
    distrusted_until: datetime | None
    last_error: str | None
    last_error_at: datetime | None


class AttentionView(View):
    """A page of users who need attention, the worst first."""

    users: list[AttentionUser]
    cursor: str | None = Field(description="the cursor of the next page, null on the last one")


def overview_view(client: str, sight: Sight, dependencies: Mapping[str, str]) -> OverviewView:
    """Return the overview."""
    budget, seen = sight.budget, sight.seen
    sweep = seen.sweep if seen is not None else None
    return OverviewView.model_validate(
        {
            "client": client,
            "standing": None if sight.count is None else _standing(sight.count),
            "budget": None
            if budget is None
            else {name: getattr(budget, name) for name in ("per_minute", "capacity", "ready")}
            | {"paused_seconds": budget.paused_s},
            "circuit": {"open": sight.circuit is not None, "reason": sight.circuit},
            "sweep": None
            if sweep is None
            else {name: getattr(sweep, name) for name in SweepView.model_fields},
            "queued_ticks": None if seen is None else seen.ticks,
            "dependencies": dict(dependencies),
        }
    )


def _standing(count: Count) -> StandingView:
    return StandingView(
        counted_at=count.at,
        users=UsersStanding(**count.users),
        marks=MarksStanding(**count.marks),
        overdue_seconds=count.overdue_s,
        expired_claims=count.expired_claims,
        horizon=Horizon(step_seconds=count.step_s, due=list(count.horizon)),
    )


def history_view(happened: Sequence[Happened], step_seconds: int) -> HistoryView:
    """Return what happened."""
    steps = [
        HappenedView(**{name: getattr(one, name) for name in HappenedView.model_fields}) for one in happened
    ]
    return HistoryView(step_seconds=step_seconds, steps=steps)


def attention_view(users: Sequence[Troubled], limit: int, concern: Concern | None) -> AttentionView:
    """Return the page of at most `limit`; what was found beyond it says that there is a next one."""
    shown = users[:limit]
    cursor = _cursor(shown[-1], concern) if len(users) > limit else None
    return AttentionView(users=[_attention_user(user) for user in shown], cursor=cursor)


def _cursor(last: Troubled, concern: Concern | None) -> str | None:
    """Return the place of a page's last user; the overdue have none, and all go on with the dead."""
    if last.concern is not Concern.OVERDUE:
        return f"{last.concern.value}-{last.key.user_id}"
    return None if concern is Concern.OVERDUE else f"{Concern.DEAD.value}-"


def _attention_user(user: Troubled) -> AttentionUser:
    advice = advise(user)
    same = ("email", "state", "reason", "has_token", "failures", "expires_at", "due_at", "retry_at")
    more = ("distrusted_until", "last_error", "last_error_at")
    return AttentionUser(
        id=user.key.user_id,
        cal_user_id=upstream_id(user.upstream_id),
        concern=user.concern.name.lower(),
        advice=advice.words,
        orders=list(advice.orders),
        **{name: getattr(user, name) for name in (*same, *more)},
    )
