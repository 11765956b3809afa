"""The command `import`: takes over the users of an app that has refreshed their tokens by hand until now.

Keeps no state: what was taken over stands in the database, so a run that was killed is begun again. Reads,
takes over and tells a batch at a time, and holds no more than that.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from service.broker.errors import StorageUnavailable, UpstreamUnavailable
from service.broker.imports import Fate, Imports, Order, Told
from service.broker.imports import Row as Pair
from service.broker.model import Event, EventKind, Fact, Recorded
from service.moving.columns import NoSuchColumn, parse_map
from service.moving.progress import Progress, summary_json, summary_text
from service.moving.rejects import Rejects
from service.moving.rows import Reader, Reject, words_of
from service.moving.sources import Row, Unreadable, open_file, query_rows
from service.roles import FAILED, FINE, WRONG_USAGE
from service.settings import load_settings
from service.wiring import open_broker

if TYPE_CHECKING:
    from service.settings import Settings
    from service.settings.whole import ClientSettings

SOURCE_URL = "TOKEN_BROKER_SOURCE_URL"
ACTOR = "token-broker import"
BATCH, VERIFIED_BATCH = 500, 50
TRIES, AGAIN_S = 6, 1.0
_GO_ON = (
    "What was taken over stands, nothing is half done: run the same command again, it goes on from there."
)


class WrongUsage(Exception):
    """The command line does not fit together, or does not fit the source."""


@dataclass(frozen=True, slots=True)
class Source:
    """An open source: its rows, its columns if they are known beforehand, and how much of it was read."""

    rows: AsyncIterator[Row]
    columns: tuple[str, ...] | None = None
    size: int = 0
    read: partial[int] | None = None

    def share(self) -> float | None:
        """Return how much of it was read, from 0 to 1; None where nobody knows."""
        return min(1.0, self.read() / self.size) if self.size and self.read else None


def run_import(arguments: Namespace) -> int:
    """Run the command; returns its exit code."""
    settings = load_settings(role="work")
    try:
        return asyncio.run(_import(arguments, settings))
    except (WrongUsage, NoSuchColumn) as wrong:
        sys.stderr.write(f"token-broker import: {wrong}\n")
        return WRONG_USAGE
    except Unreadable as wrong:
        sys.stderr.write(f"token-broker import: the source cannot be read: {wrong}. {_GO_ON}\n")
    except KeyboardInterrupt:
        sys.stderr.write(f"\nStopped. {_GO_ON}\n")
    return FAILED


async def _import(arguments: Namespace, settings: Settings) -> int:
    client = _client(settings, arguments.client)
    heard = _Heard()
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(_opened(arguments, settings))
        broker = await stack.enter_async_context(open_broker(settings, heard))
        wanted, owner_of = _wanted(arguments), partial(broker.imports.owner_of, client.name)
        reader = Reader(client.name, len(client.id) + 1, owner_of, wanted)
        if source.columns is not None:
            reader.columns(source.columns, header=True)
        progress = Progress(sys.stderr, source.share)
        rejects = _rejects(arguments.rejects, progress)
        stack.callback(rejects.close)
        order = Order(ACTOR, arguments.replace, not arguments.no_vouch, arguments.verify, arguments.dry_run)
        importing = Importing(broker.imports, client.name, order, reader, progress, rejects)
        try:
            await importing.run(source.rows)
            if not order.dry_run:
                await broker.imports.note(_event(client.name, progress))
        except (StorageUnavailable, UpstreamUnavailable) as trouble:
            progress.clear()
            sys.stderr.write(f"{trouble}{heard.because()} {_GO_ON}\n")
            return FAILED
        finally:
            progress.close()
    say = summary_json if arguments.json else summary_text
    sys.stdout.write(say(progress.counts, rejects.reasons, dry_run=order.dry_run))
    return FAILED if progress.counts[Fate.REJECTED] else FINE


class Importing:
    """One run: takes rows over a batch at a time, and tells what became of each."""

    def __init__(
        self,
        imports: Imports,
        client: str,
        order: Order,
        reader: Reader,
        progress: Progress,
        rejects: Rejects,
    ) -> None:
        self._imports = imports
        self._client = client
        self._order = order
        self._reader = reader
        self._progress = progress
        self._rejects = rejects
        self._most = VERIFIED_BATCH if order.verify else BATCH

    async def run(self, rows: AsyncIterator[Row]) -> None:
        """Take over all rows; of two about one user the second is looked at when the first is done."""
        batch: dict[str, tuple[int, Pair]] = {}
        try:
            async for row in rows:
                read = self._reader.read(row)
                if isinstance(read, Reject):
                    self._reject(read)
                    continue
                user_id = read[0].user_id
                if user_id in batch or len(batch) >= self._most:
                    await self._take(batch)
                    batch = {}
                batch[user_id] = (row.number, read)
        except Unreadable:
            await self._take(batch)
            raise
        await self._take(batch)

    async def _take(self, batch: dict[str, tuple[int, Pair]]) -> None:
        told = await self._told([pair for _, pair in batch.values()]) if batch else []
        for (number, (key, _)), one in zip(batch.values(), told, strict=True):
            if one.error is not None:
                self._reject(Reject(number, key.user_id, one.error.code, words_of(one.error)))
            else:
                self._progress.add(one.fate)
        self._rejects.flush()
        self._progress.tell()

    async def _told(self, pairs: list[Pair]) -> list[Told]:
        """Take a batch over, again when the database was away meanwhile: what was done then is recognised."""
        for again in range(TRIES):
            try:
                return await self._imports.take(self._client, pairs, self._order)
            except StorageUnavailable:
                if again == TRIES - 1:
                    raise
                await asyncio.sleep(AGAIN_S * 2**again)
        raise AssertionError

    def _reject(self, reject: Reject) -> None:
        self._progress.add(Fate.REJECTED)
        self._rejects.tell(reject)


@asynccontextmanager
async def _opened(arguments: Namespace, settings: Settings) -> AsyncIterator[Source]:
    if (arguments.query is None) == (arguments.file is None):
        raise WrongUsage("name a file (- for standard input), or a --query, and not both")
    if arguments.query is None:
        file = open_file(arguments.file, arguments.format)
        columns = None if file.columns is None else tuple(file.columns)
        try:
            yield Source(_in_a_thread(file.rows), columns, file.size, partial(getattr, file, "read"))
        finally:
            file.close()
        return
    url = arguments.source_url or os.environ.get(SOURCE_URL) or settings.database_url.value
    async with query_rows(url, arguments.query) as (columns, rows):
        yield Source(rows, columns)


async def _in_a_thread(rows: Iterator[Row]) -> AsyncIterator[Row]:
    """Read where waiting for a slow source holds up nothing else."""
    broken: Unreadable | None = None
    batch: list[Row] = [Row(0, {})]
    while batch and broken is None:
        batch, broken = await asyncio.to_thread(_some, rows)
        for row in batch:
            yield row
    if broken is not None:
        raise broken


def _some(rows: Iterator[Row]) -> tuple[list[Row], Unreadable | None]:
    """Read a batch, and what it broke off at: the rows before that are good."""
    batch: list[Row] = []
    try:
        batch.extend(islice(rows, BATCH))
    except Unreadable as broken:
        return batch, broken
    return batch, None


def _client(settings: Settings, name: str | None) -> ClientSettings:
    names = [client.name for client in settings.clients]
    if name is None and len(names) > 1:
        raise WrongUsage(f"there are several OAuth clients: choose one with --client ({', '.join(names)})")
    for client in settings.clients:
        if name in (None, client.name):
            return client
    raise WrongUsage(f"there is no OAuth client {name!r}; there are {', '.join(names)}")


def _wanted(arguments: Namespace) -> dict[str, str]:
    try:
        return parse_map(arguments.map)
    except ValueError as wrong:
        raise WrongUsage(f"--map {wrong}") from None


def _rejects(path: str | None, progress: Progress) -> Rejects:
    try:
        return Rejects(path, sys.stderr, progress.clear)
    except OSError as error:
        raise WrongUsage(f"--rejects {path} cannot be written: {error.strerror}") from None


class _Heard:
    """Hears why something does not answer."""

    def __init__(self) -> None:
        self._reason: object = None

    def note(self, event: str, key: object = None, **facts: object) -> None:  # noqa: ARG002 the port's signature
        if event in ("dependency.down", "circuit.opened", "schema.behind"):
            self._reason = facts.get("reason") or self._reason

    def because(self) -> str:
        """Return the last reason, to be put behind a sentence."""
        return f" ({self._reason})" if self._reason else ""


def _event(client: str, progress: Progress) -> Recorded:
    """Return what is kept of the run among the events, about no user."""
    facts: dict[str, Fact] = {"client": client, **{fate.value: progress.counts[fate] for fate in Fate}}
    now = datetime.now(UTC)
    return Recorded(
        uuid.uuid4(), None, Event(now, "import.done", kind=EventKind.ACT, actor=ACTOR, facts=facts)
    )
