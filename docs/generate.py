"""Makes docs/configuration.md, has docs/http.md and docs/pictures made: `make docs`. Tests hold them to it.

The words that belong to no one setting are in docs/configuration.md.in; what a setting means stands beside
its field, and figures are those the code runs with.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from docs import reference, sequences
from docs.forms import table
from service import callers, sessions, wiring
from service.adapters import key_sources, queue, wakeups, webhook
from service.adapters.postgres import Database
from service.adapters.redis_link import RedisLink
from service.adapters.upstream import classify, wire
from service.broker import circuits, deliveries, persistence, policy
from service.settings.clients import Entry
from service.settings.fields import env_name
from service.settings.reference import Described, described_settings
from worker import main as worker

PAGE = Path(__file__).parent / "configuration.md"
SOURCE = Path(__file__).parent / "configuration.md.in"
PLACE = re.compile(r"\{([a-z -]+)(?:: ([A-Z_ ]+))?\}")
HEAD = ("setting", "written as", "default", "meaning", "example", "acted on by")


def render() -> str:
    """Return the whole page; fails when a place in it cannot be filled, or a setting is left out."""
    text = SOURCE.read_text()
    named = [env_name(name) for _, names in PLACE.findall(text) for name in names.split()]
    if sorted(named) != sorted(described_settings()):
        raise ValueError(f"{SOURCE.name} must name every setting once")
    return PLACE.sub(lambda place: _filled(place[1], place[2]), text)


def _filled(what: str, names: str | None) -> str:
    if names:
        settings = described_settings()
        return table([HEAD, *(_row(settings[env_name(name)]) for name in names.split())])
    return table(_client_rows()) if what == "fields of a client" else _figure(what)


def _row(setting: Described) -> tuple[str, ...]:
    name = f"`{setting.name}`" + (", or `..._FILE`" if setting.secret else "")
    default = f"`{setting.default}`" if setting.default else "none"
    return name, setting.form, default, setting.meaning, f"`{setting.example}`", ", ".join(setting.roles)


def _client_rows() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("field", "needed", "meaning")]
    for name, field in Entry.model_fields.items():
        needed = "yes" if field.is_required() else "one of the two" if name.startswith("secret") else "no"
        rows.append((f"`{name}`", needed, field.description or ""))
    return rows


def _default(built: Callable[..., object], name: str) -> float:
    """Return a parameter's default: what the program leaves as it is."""
    return float(inspect.signature(built).parameters[name].default)


def _figure(what: str) -> str:
    value = FIGURES[what]
    if isinstance(value, int):
        return str(value)
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    return f"{seconds / 3600:g} h" if seconds % 3600 == 0 else f"{seconds:g} s"


FIGURES: dict[str, float | timedelta] = {
    "recheck": wiring._RECHECK_EVERY_S,
    "certificates recheck": callers.LOOK_EVERY_S,
    "database connections": int(_default(Database, "connections")),
    "commit again": persistence._AGAIN_S,
    "commit again at most": persistence._AGAIN_AT_MOST_S,
    "redis deadline": _default(RedisLink, "deadline_s"),
    "redis rest": _default(RedisLink, "rest_s"),
    "wake-ups again": wakeups._AGAIN_S,
    "wake-ups again at most": wakeups._AGAIN_AT_MOST_S,
    "queue connect": queue._CONNECT_WITHIN_S,
    "queue answer": queue._ANSWER_WITHIN_S,
    "worker again": worker._AGAIN_S,
    "worker again at most": worker._AGAIN_AT_MOST_S,
    "upstream connections": wire.MOST_CONNECTIONS,
    "upstream connect": wire.MOST_CONNECT_S,
    "app answer": sessions.LONGEST_S,
    "keys fresh": key_sources.FRESH_S,
    "keys again": key_sources.AGAIN_S,
    "back-off": policy._BACK_OFF,
    "longest back-off": policy._LONGEST_BACK_OFF,
    "least rest": classify.LEAST_RETRY_S,
    "longest rest": classify.MOST_RETRY_S,
    "probe": circuits._PROBE_EVERY,
    "webhook at once": deliveries.AT_ONCE,
    "webhook connect": webhook.MOST_CONNECT_S,
    "webhook again": deliveries.FIRST_AGAIN,
    "webhook again at most": deliveries.LONGEST_AGAIN,
    "webhook rest": deliveries.LONGEST_REST,
}

if __name__ == "__main__":
    made = {PAGE: render(), reference.PAGE: reference.render()} | sequences.drawn()
    for path, text in made.items():
        path.write_text(text)
        sys.stdout.write(f"made {path.name}\n")
