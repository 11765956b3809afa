"""What a span may say: a fixed list of facts, each under the name it has there.

Nothing else of an event reaches a span: no user, no address, no text that came from outside. What is
text goes through the log's redaction all the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.logs import redacted

Value = str | bool | int | float

_OURS = "token_broker."
_NAMES = {
    "route": "http.route",
    "status": "http.response.status_code",
    **{
        name: _OURS + name
        for name in (
            "client", "trigger", "outcome", "reason", "generation", "call", "source", "kind", "code",
            "lead_s", "listener", "held", "busy", "result",
        )
    },
}  # fmt: skip
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# These say what became of the request, the call or the answer that is running: they are its attributes.
_OF_THE_SPAN = frozenset({"request.done", "upstream.call", "answer"})
_HEARD = (
    "refresh.",
    "grant.",
    "lease.",
    "claim.",
    "pair.",
    "expiry.",
    "cache.",
    "token.",
    "circuit.",
    "vouch.",
)
_OUTCOMES = {
    f"refresh.{outcome}": outcome for outcome in ("rotated", "denied", "unavailable", "unknown", "fenced_out")
} | {"grant.died": "died"}


def attributes(facts: Mapping[str, object]) -> dict[str, Value]:
    """Return those of the facts that a span may carry."""
    return {
        _NAMES[name]: redacted(value) if isinstance(value, str) else value
        for name, value in facts.items()
        if name in _NAMES and isinstance(value, str | bool | int | float)
    }


def known_method(method: object) -> str:
    """Return the method, or what stands for one that a caller made up."""
    return method if isinstance(method, str) and method in _METHODS else "_OTHER"


def belongs_to_span(event: str) -> bool:
    """Whether the event's facts are those of the span itself."""
    return event in _OF_THE_SPAN


def is_told(event: str) -> bool:
    """Whether a span tells that this happened while it ran."""
    return event.startswith(_HEARD)


def outcome_of(event: str) -> str | None:
    """Return how the work ended, if the event says so."""
    return _OUTCOMES.get(event)
