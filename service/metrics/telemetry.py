"""Hears what happens and makes of each event its log line and the figures it moves, by the table in `rules`.

Decides nothing, and what goes wrong here stays here. Must import nothing of this program but the broker's
words, the logs and the metrics. Where work is traced, its spans hear the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from structlog.contextvars import bind_contextvars

from service.broker.model import UserKey
from service.logs import error_facts, get_log
from service.metrics.figures import Metrics
from service.metrics.rules import (
    CACHES,
    NEVER,
    RULES,
    UNLISTED,
    AccessLog,
    State,
    begin_request,
    request_rule,
)

if TYPE_CHECKING:
    from service.tracing.spans import Tracing


class Telemetry:
    """Implements the port `Observer` for one process."""

    def __init__(self, metrics: Metrics, access_log: AccessLog = "misses") -> None:
        """Move these figures, and write lines as the logs are configured now."""
        self.metrics = metrics
        self._access_log = access_log
        self._state = State(metrics, set(), set())
        self._log = get_log()
        self._threshold = self._log.get_effective_level()
        self._rules = {**RULES, "request.done": request_rule(access_log)}
        self.tracing: Tracing | None = None

    def note(self, event: str, key: UserKey | None = None, **facts: object) -> None:
        """Note a dotted event with its facts; never raises, never keeps them."""
        try:
            if self.tracing is not None:
                self.tracing.hear(event, key, facts)
            self._note(event, key, facts)
        except Exception as error:  # noqa: BLE001 hearing of what happened must never undo what happened
            with contextlib.suppress(Exception):
                self._log.error("telemetry.failed", about=event, **error_facts(error))

    def tally(self, route: str) -> Callable[[str, float], None] | None:
        """Return what counts a good answer of this route that a cache gave, by its source and seconds.

        It moves what `request.done` moves, a little later; None where that has more to do than count.
        """
        if self._access_log == "all" or self.tracing is not None:
            return None
        return self.metrics.tally(route, sorted(CACHES))

    def enter_request(self, request_id: str) -> None:
        """Begin a request in the context it runs in: its lines carry this id, its answers are its own."""
        bind_contextvars(request_id=request_id)
        begin_request()

    def _note(self, event: str, key: UserKey | None, facts: dict[str, Any]) -> None:
        rule = self._rules.get(event, UNLISTED)
        level = rule.level if isinstance(rule.level, int) else rule.level(self._state, facts)
        if rule.update is not None:
            rule.update(self._state, key.client if key else facts.get("client", ""), facts)
        if level == NEVER or level < self._threshold:
            return
        facts.pop("source", None)  # counted only: a line says the same whichever way its answer came
        named = {"client": key.client, "user_id": key.user_id} if key else {}
        self._log.log(level, event, **{**named, **facts})
