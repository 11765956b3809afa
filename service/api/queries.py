"""The query strings that the internal listener accepts, as models: named, single, in the right form.

An unknown or repeated parameter is refused like an unknown field of a body: it is a caller's mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

from pydantic import BeforeValidator, Field, WithJsonSchema

from service.api.body import as_model
from service.api.fields import USER_ID_PATTERN, CalUserId, Email, UserId
from service.api.schemas import ABSENT, Body
from service.broker.errors import Invalid
from service.broker.model import Place

MAX_PAGE = 200
MAX_EVENTS = 500
MAX_MIN_TTL_S = 604800

Q = TypeVar("Q", bound="Query")


def _reader(pattern: str, read: Callable[[str], object], words: str) -> BeforeValidator:
    """Return a reader of text in a fixed form; Python's own conversions accept far more spellings."""
    form = re.compile(pattern)

    def convert(text: str) -> object:
        if not form.fullmatch(text):
            raise ValueError(words)
        return read(text)

    return BeforeValidator(convert)


_WHOLE = _reader(r"0|[1-9][0-9]{0,9}", int, "must be a whole number")
_SECONDS = _reader(r"[0-9]{1,6}(\.[0-9]{1,3})?", float, "must be a number of seconds")
_INSTANT_WORDS = "must be an instant like 2026-03-01T12:00:00Z"
_INSTANT_FORM = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_CURSOR_FORM = r"([0-9]{1,17})-([0-9a-f]{32})"


def _instant(text: str) -> datetime:
    """Read an instant; one at either end of the calendar that UTC cannot hold is that end."""
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        end = date.min if text.startswith("0") else date.max
        return datetime(end.year, end.month, end.day, tzinfo=UTC)
    except ValueError:
        raise ValueError(_INSTANT_WORDS) from None


def _place(text: str) -> Place:
    micros, _, digits = text.partition("-")
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))
    return Place(at, UUID(digits))


_INSTANT = _reader(_INSTANT_FORM, _instant, _INSTANT_WORDS)
_PLACE = _reader(_CURSOR_FORM, _place, "must be the cursor of a page before it")
_TROUBLE_PLACE = _reader(
    rf"[1-6]-(?:{USER_ID_PATTERN})?",
    lambda text: (int(text[0]), text[2:]),
    "must be the cursor of a page before it",
)
_FLAG = _reader(r"true|false", lambda text: text == "true", "must be true or false")


class Query(Body):
    """The parameters of any call: which OAuth client it is about, when there are several."""

    client: str = ABSENT
    """name of the OAuth client; needed where the caller has several"""


class EnrolQuery(Query):
    """Whether a live pair may be replaced."""

    replace: Annotated[bool, _FLAG] = False
    """put this pair in the place of a live one"""


class TokenQuery(Query):
    """How much life the token must have left, in seconds."""

    min_ttl: Annotated[float, Field(ge=0, le=MAX_MIN_TTL_S, alias="min_ttl"), _SECONDS] = ABSENT
    """seconds of life that the token must have left; half a lifetime at most"""


class PageQuery(Query):
    """Which users, and how many of them."""

    cursor: UserId = ABSENT
    """that of the page before"""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE), _WHOLE] = 50
    """users in a page"""
    state: Literal["LIVE", "DEAD", "PAUSED"] = ABSENT
    """only users whose grant is in this state"""
    cal_user_id: Annotated[CalUserId, _WHOLE] = ABSENT
    email: Email = ABSENT
    """the whole address"""


class EventsQuery(Query):
    """Which events, and how many of them; `since` and `until` are instants (RFC 3339)."""

    cursor: Annotated[Place, _PLACE, WithJsonSchema({"type": "string", "pattern": f"^{_CURSOR_FORM}$"})] = (
        ABSENT
    )
    """that of the page before"""
    kind: Literal["exchange", "change", "act", "signal"] = ABSENT
    """only events of this kind"""
    since: Annotated[datetime, _INSTANT] = ABSENT
    """only from this instant on"""
    until: Annotated[datetime, _INSTANT] = ABSENT
    """only before this instant"""
    limit: Annotated[int, Field(ge=1, le=MAX_EVENTS), _WHOLE] = 50
    """events in a page"""


class HistoryQuery(Query):
    """How far back."""

    span: Literal["hour", "day", "week"] = "hour"
    """the time shown, up to now"""


class AttentionQuery(Query):
    """Which users, and how many of them."""

    cursor: Annotated[tuple[int, str], _TROUBLE_PLACE, WithJsonSchema({"type": "string"})] = ABSENT
    """that of the page before"""
    reason: Literal["dead", "force_pending", "refused", "distrusted", "failing", "paused", "overdue"] = ABSENT
    """only users with this trouble"""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE), _WHOLE] = 50
    """users in a page"""


def read_query(raw: str, model: type[Q]) -> Q:
    """Return the query string as this model; Invalid names every parameter that does not fit."""
    pairs = parse_qsl(raw, keep_blank_values=True)
    value = dict(pairs)
    if len(value) != len(pairs):
        repeated = {name for name, _ in pairs if [other for other, _ in pairs].count(name) > 1}
        raise Invalid(
            fields={name[:64]: "stands more than once" for name in sorted(repeated) if name.isprintable()}
        )
    return as_model(value, model, {})
