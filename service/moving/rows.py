"""Turns a row of a source into what the broker takes over, by the rules of `PUT /v1/users/{id}/tokens`.

Says in words what is wrong with a row, and never repeats a value of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from service.api.body import as_model
from service.api.complaints import complaints
from service.api.fields import UserId
from service.api.schemas import Body, PairToEnrol
from service.broker.errors import Invalid
from service.broker.imports import Row as Pair
from service.broker.model import UserKey
from service.moving.columns import fields_of, find_columns
from service.moving.sources import Row

_TOKENS = ("accessToken", "refreshToken")


class _Named(Body):
    """Who a row is about."""

    id: UserId


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken over: where it stands, whom it is about if that is known, why."""

    number: int
    user_id: str | None
    code: str
    reason: str


class Reader:
    """Reads the rows of one client."""

    def __init__(
        self, client: str, email_suffix: int, owner_of: Callable[[str], str | None], wanted: Mapping[str, str]
    ) -> None:
        """`owner_of` tells whose an access token says it is."""
        self._client = client
        self._context = {"email_suffix": email_suffix}
        self._owner_of = owner_of
        self._wanted = wanted
        self._columns: dict[tuple[str, ...], dict[str, str]] = {}

    def columns(self, names: tuple[str, ...], *, header: bool = False) -> dict[str, str]:
        """Return which column is which field; raises NoSuchColumn; of a `header` more is asked."""
        if names not in self._columns:
            self._columns = {names: find_columns(names, self._wanted, header=header)}
        return self._columns[names]

    def read(self, row: Row) -> Pair | Reject:
        """Return the pair that stands in a row, or why there is none."""
        if row.wrong is not None:
            return Reject(row.number, None, "invalid", row.wrong)
        user_id = None
        try:
            fields = fields_of(row.record, self.columns(tuple(row.record)))
            user_id = self._user_id(fields)
            if "calUserId" not in fields:
                self._take_owner(fields)
            enrolment = as_model(fields, PairToEnrol, self._context).enrolment()
        except Invalid as wrong:
            return Reject(row.number, user_id, wrong.code, words_of(wrong))
        except ValueError as wrong:  # NoSuchColumn: rows of JSON need not have all the same columns
            return Reject(row.number, None, "invalid", str(wrong))
        return UserKey(self._client, user_id), enrolment

    def _user_id(self, fields: dict[str, object]) -> str:
        value = fields.pop("id", None)
        if value is None:
            raise Invalid(fields={"id": "is missing"})
        if value in [fields.get(name) for name in _TOKENS]:
            raise Invalid(fields={"id": "is one of the tokens: check --map"})
        try:
            return _Named.model_validate({"id": value}).id
        except ValidationError as error:
            raise Invalid(fields=complaints(error)) from None

    def _take_owner(self, fields: dict[str, object]) -> None:
        """Take the upstream user from the token where there is no column for it."""
        token = fields.get("accessToken")
        owner = self._owner_of(token) if isinstance(token, str) else None
        if owner is not None:
            fields["calUserId"] = int(owner)


def words_of(error: Exception) -> str:
    """Return an error in one line, each wrong field named."""
    if isinstance(error, Invalid) and error.fields:
        return "; ".join(f"{name} {words}" for name, words in sorted(error.fields.items()))
    return str(error)
