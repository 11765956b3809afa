"""The command `rewrap`: seals every stored pair under the first encryption key, however often it is begun.

Keeps no state: what is left to do stands in the rows. Decides how fast, and says how far it is.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from service.adapters.postgres import Database, PostgresEvents
from service.adapters.postgres.rewrap import START, Noted, PostgresRewrap
from service.adapters.vault import Vault
from service.broker.errors import StorageUnavailable
from service.broker.model import Event, EventKind, Fact, Recorded
from service.roles import FAILED, FINE
from sql.files import newest_version

if TYPE_CHECKING:
    from service.settings import Settings
    from service.settings.grammar import Rate

LARGEST_PAGE = 250
PAGES_A_SECOND = 4
MOST_PASSES = 10
BETWEEN_PASSES_S = 1.0
LINE_EVERY_S = 10.0
BAR_WIDTH = 30


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it: rows sealed anew, rows left by key, and of those how many do not open."""

    first: str
    resealed: int
    left: Mapping[str, int]
    unknown: tuple[str, ...]
    broken: int


async def rewrap(settings: Settings, rate: Rate, *, dry_run: bool, as_json: bool) -> int:
    """Seal anew, or with `dry_run` only say what would be; returns the exit code."""
    silent = _Reason()
    try:
        async with _opened(settings, silent) as (store, vault, events):
            if dry_run:
                sealed, noted = await store.sealed(), await store.noted()
                _print(_counts_json(vault, sealed, noted) if as_json else _counts_text(vault, sealed, noted))
                return FINE
            done = await _reseal(store, vault, rate)
            await events.write([_event(done)])
    except StorageUnavailable:
        sys.stderr.write(
            f"The database did not answer ({silent.reason}). Nothing is half done: run the command again, it "
            "goes on with what is left.\n"
        )
        return FAILED
    _print(_done_json(done) if as_json else _done_text(done))
    return FAILED if done.left else FINE


@asynccontextmanager
async def _opened(
    settings: Settings, heard: _Reason
) -> AsyncIterator[tuple[PostgresRewrap, Vault, PostgresEvents]]:
    vault = Vault.on(settings.encryption_keys)
    database = Database(
        settings.database_url.value,
        heard,
        timeout_s=settings.database_timeout.total_seconds(),
        connections=1,
        schema=newest_version(),
    )
    await database.start()
    try:
        yield PostgresRewrap(database, vault), vault, PostgresEvents(database)
    finally:
        await database.aclose()


async def _reseal(store: PostgresRewrap, vault: Vault, rate: Rate) -> Done:
    """Go through the table until nothing was missed; others hold a row for milliseconds."""
    sealed = await store.sealed()
    first = vault.writes_with
    total = sum(n for key_id, n in sealed.items() if key_id != first and vault.holds(key_id))
    with Progress(total, sys.stderr) as progress:
        broken = 0
        for _ in range(MOST_PASSES):
            missed, broken = await _pass(store, rate, progress)
            if not missed:
                break
            await asyncio.sleep(BETWEEN_PASSES_S)
    left = {key_id: n for key_id, n in (await store.sealed()).items() if key_id != first}
    unknown = tuple(key_id for key_id in left if not vault.holds(key_id))
    return Done(first, progress.done, left, unknown, broken)


async def _pass(store: PostgresRewrap, rate: Rate, progress: Progress) -> tuple[int, int]:
    """Go through the table once; returns (missed, broken)."""
    size = max(1, min(LARGEST_PAGE, int(rate.per_second / PAGES_A_SECOND)))
    missed = broken = 0
    after = START
    while True:
        began = time.monotonic()
        page = await store.page(after, size)
        progress.add(page.resealed)
        missed, broken = missed + page.missed, broken + page.broken
        if page.after is None:
            return missed, broken
        after = page.after
        rest_s = page.resealed / rate.per_second - (time.monotonic() - began)
        await asyncio.sleep(max(0.0, rest_s))


class Progress:
    """How far it is: a bar that is drawn again on a terminal, else a line now and then."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self.done = 0
        self._total = total
        self._stream = stream
        self._on_terminal = stream.isatty()
        self._told_at = time.monotonic()

    def __enter__(self) -> Progress:
        self._tell()
        return self

    def __exit__(self, *failure: object) -> None:
        self._tell("\n" if self._on_terminal else "")

    def add(self, count: int) -> None:
        """Count rows that were sealed anew."""
        self.done += count
        now = time.monotonic()
        if count and (self._on_terminal or now - self._told_at >= LINE_EVERY_S):
            self._told_at = now
            self._tell()

    def _tell(self, end: str = "") -> None:
        # Rows that came under an old key meanwhile are counted as well.
        total = max(self._total, self.done)
        share = self.done / total if total else 1.0
        words = f"{self.done} of {total} rows sealed anew"
        if self._on_terminal:
            full = int(share * BAR_WIDTH)
            self._stream.write(f"\r[{'#' * full}{'.' * (BAR_WIDTH - full)}] {share:4.0%}  {words}{end}")
        else:
            self._stream.write(f"{words}\n")
        self._stream.flush()


class _Reason:
    """Hears why the database does not answer."""

    reason: object = "unknown"

    def note(self, event: str, key: object = None, **facts: object) -> None:  # noqa: ARG002 the port's signature
        self.reason = facts.get("reason") or self.reason


def _event(done: Done) -> Recorded:
    """Return what is kept of it among the events, about no user."""
    facts: dict[str, Fact] = {"first": done.first, "resealed": done.resealed, "left": sum(done.left.values())}
    now = datetime.now(UTC)
    event = Event(now, "rewrap.done", kind=EventKind.ACT, actor="token-broker rewrap", facts=facts)
    return Recorded(uuid.uuid4(), None, event)


def _done_text(done: Done) -> str:
    lines = [f"sealed anew under {done.first}: {done.resealed} rows"]
    for key_id, count in done.left.items():
        why = "its key is not in ENCRYPTION_KEYS" if key_id in done.unknown else "held, changed or altered"
        lines.append(f"left as they are, under {key_id}: {count} rows ({why})")
    if done.broken:
        lines.append(f"{done.broken} of them do not open with the key they name: altered, or of another row")
    return "\n".join(lines if done.left else [*lines, "no row is left under another key"])


def _done_json(done: Done) -> str:
    return json.dumps(
        {
            "first": done.first,
            "resealed": done.resealed,
            "left": dict(done.left),
            "unknown": list(done.unknown),
            "broken": done.broken,
        }
    )


def _counts_text(vault: Vault, sealed: Mapping[str, int], noted: Mapping[str, Noted]) -> str:
    what = {
        True: "would be sealed anew",
        False: "its key is not in ENCRYPTION_KEYS: would be left as they are",
    }
    lines = ["pairs, by the key that sealed them:"]
    for key_id, count in sealed.items():
        state = "the first key" if key_id == vault.writes_with else what[vault.holds(key_id)]
        lines.append(f"  {key_id}: {count} rows ({state})")
    lines.append("fingerprints that still count, by their key:")
    lines += [
        f"  {key_id}: {one.count}, the last until {one.until:%Y-%m-%dT%H:%MZ}"
        for key_id, one in noted.items()
    ]
    return "\n".join(lines)


def _counts_json(vault: Vault, sealed: Mapping[str, int], noted: Mapping[str, Noted]) -> str:
    fingerprints = {
        key_id: {"count": one.count, "until": one.until.isoformat()} for key_id, one in noted.items()
    }
    return json.dumps({"first": vault.writes_with, "sealed": dict(sealed), "fingerprints": fingerprints})


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
