"""The stand-in's fault switches, thrown from the run's own thread, and what a campaign switches on."""

from __future__ import annotations

import urllib.request

import orjson

from tests.chaos.setup import HOST

_SLOW = {"delay_s": 0.0, "delay_to_s": 2.5}
_LATE = {"delay_s": 0.3, "delay_to_s": 4.0}
CAMPAIGN = (
    ("refresh", "drop_before", 0.005, {}),
    ("refresh", "drop_after", 0.015, {}),
    ("refresh", "zombie", 0.01, _LATE),
    ("refresh", "duplicate", 0.005, {"variant": "second"}),
    ("refresh", "error_before", 0.015, {}),
    ("refresh", "error_after", 0.005, {}),
    ("refresh", "database_error", 0.005, {}),
    ("refresh", "html_before", 0.005, {"status": 502}),
    ("refresh", "html_after", 0.005, {"status": 502}),
    ("refresh", "throttled", 0.0007, {"reset_s": 1.0}),
    ("refresh", "delay_before", 0.015, _SLOW),
    ("refresh", "delay_after", 0.015, _SLOW),
    ("refresh", "malformed", 0.002, {"variant": "not_json"}),
    ("force", "drop_before", 0.01, {}),
    ("force", "drop_after", 0.03, {}),
    ("force", "zombie", 0.05, _LATE),
    ("force", "duplicate", 0.01, {"variant": "second"}),
    ("force", "error_before", 0.02, {}),
    ("force", "error_after", 0.01, {}),
    ("force", "html_after", 0.01, {"status": 502}),
    ("force", "throttled", 0.003, {"reset_s": 1.0}),
    ("force", "delay_before", 0.03, _SLOW),
    ("force", "delay_after", 0.03, _SLOW),
    ("check", "error_before", 0.01, {}),
    ("check", "drop_after", 0.01, {}),
    ("check", "delay_after", 0.01, _SLOW),
)
"""Route, kind, probability, options. Zombies and slow calls land within the distrust window."""


class Switches:
    """What can be thrown."""

    def __init__(self, port):
        self._url = f"http://{HOST}:{port}/_sandbox/faults"

    def on(self, route, kind, probability=1.0, options=()):
        """Switch one fault on."""
        fault = {"route": route, "kind": kind, "probability": probability, **dict(options)}
        self._ask("POST", orjson.dumps(fault))

    def all_off(self):
        """Switch every fault off; what was to land late still lands."""
        self._ask("DELETE")

    def answers(self):
        """Whether the stand-in is there."""
        try:
            self._ask("GET")
        except OSError:
            return False
        return True

    def _ask(self, method, body=None):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url, body, headers, method=method)
        urllib.request.urlopen(request, timeout=5).close()
