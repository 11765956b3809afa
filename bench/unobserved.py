"""The service with all observability off: `python -m bench.unobserved` instead of `token-broker serve`.

There is no such setting, for nobody should run it so: it is here to measure what observing costs. Nothing is
counted and no line is written but that it has started.
"""

from __future__ import annotations

from collections.abc import Callable

from service import metrics
from service.broker.model import UserKey


def _nothing(_: str, __: float) -> None:
    """Do nothing with an answer."""


class Deaf(metrics.Telemetry):
    """Takes in nothing of what happens."""

    def note(self, event: str, key: UserKey | None = None, **facts: object) -> None:
        """Let everything pass but the start, which whoever started it waits for."""
        if event == "service.started":
            super().note(event, key, **facts)

    def tally(self, route: str) -> Callable[[str, float], None]:  # noqa: ARG002 - whichever it is
        """Count nothing."""
        return _nothing

    def enter_request(self, request_id: str) -> None:
        """Begin nothing."""


if __name__ == "__main__":
    metrics.Telemetry = Deaf  # type: ignore[misc]
    from service.cli import main

    raise SystemExit(main(["serve"]))
