"""What a run says on the terminal: the addresses, then one readable line for each thing worth knowing.

The page shows more; this is for who has only the terminal. Writes to standard output.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from sandbox.demo.heard import Heard
from sandbox.demo.notes import Tally
from sandbox.dev.ports import HOST

if TYPE_CHECKING:
    from sandbox.dev.child import Facts
    from sandbox.dev.home import Keys
    from sandbox.dev.plan import Plan

_LOUD = frozenset({"warning", "error", "critical"})
_QUIET = frozenset(
    {
        "refresh.joined", "worker.started", "service.started", "service.stopped", "worker.stopped",
        "session.mode",  # the demo has nobody who signs in
    }
)  # fmt: skip


def say(text: str) -> None:
    """Print a line at once; a reader who has left is no reason to stop."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        return


def greet(plan: Plan, keys: Keys) -> None:
    """Say where everything is, and the key with which the operator page may be looked at."""
    ports = plan.ports
    upstream = plan.real.api_url if plan.real else f"http://{HOST}:{ports.demo}/v2 (sandbox)"
    for what, where in (
        ("demo page", f"http://{HOST}:{ports.demo}/"),
        ("refresh endpoint", f"http://{HOST}:{ports.public}/refresh"),
        ("operator page", f"http://{HOST}:{ports.internal}/  key: {keys.operator}"),
        ("internal listener", f"http://{HOST}:{ports.internal}/docs"),
        ("metrics", f"http://{HOST}:{ports.observe}/metrics  http://{HOST}:{ports.worker}/metrics"),
        ("Cal.com", upstream),
    ):
        say(f"  {what:<18} {where}")
    if plan.real is not None:
        say("  The page makes one managed user at the real Cal.com when it is opened.")
    kept = f"The data stays in {plan.keep}." if plan.keep else "Nothing is kept."
    say(f"  Ctrl-C stops everything. {kept}\n")


class Teller:
    """Tells on the terminal what service and worker say."""

    def __init__(self) -> None:
        self._heard = Heard(Tally())

    def hear(self, who: str, facts: Facts) -> None:
        """Tell it if it is worth knowing; what is no log line is told as it is."""
        text = self._text(who, facts)
        if text is not None:
            say(f"{time.strftime('%H:%M:%S')}  {who:<8} {text}")

    def _text(self, who: str, facts: Facts) -> str | None:
        if "event" not in facts:
            return str(facts.get("text", facts))
        if facts["event"] in _QUIET:
            return None
        note = self._heard.of_line("worker" if who == "worker" else "service", facts)
        if note is not None:
            return note.text
        if facts.get("level") not in _LOUD:
            return None
        known = {name: value for name, value in facts.items() if name not in {"ts", "level", "event"}}
        return " ".join([str(facts["event"]), *(f"{name}={value}" for name, value in known.items())])
