"""Reads rows of users from a file, from standard input or from an app's own table, a few at a time.

A row is what its source calls it: a number for people, and its columns. Never holds more than a batch.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import orjson
from asyncpg.prepared_stmt import PreparedStatement

LONGEST_LINE = 1_000_000
_FETCHED_AT_ONCE = 500
_CONNECT_WITHIN_S = 10.0
_NOT_UTF8 = "is not UTF-8 (iconv -f latin1 -t utf-8 may help)"
_OTHERS_WORDS = frozenset(
    {"connection_limit", "pool_timeout", "pgbouncer", "socket_timeout", "connect_timeout"}
)
"""What object mappers put into a PostgreSQL address for themselves."""


class Unreadable(Exception):
    """The source cannot be read on; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it stands, and its columns, or what is wrong with it."""

    number: int
    record: Mapping[str, object]
    wrong: str | None = None


class FileRows:
    """The rows of a CSV or JSON Lines file, told apart by how it begins."""

    def __init__(self, binary: BinaryIO, form: str | None = None) -> None:
        self._binary = binary
        self.size = _size(binary)
        text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._text = text
        first = _line(text)
        form = form or ("jsonl" if first.lstrip()[:1] in ("{", "[") else "csv")
        if form == "jsonl" and first.lstrip().startswith("["):
            raise Unreadable(
                "it is one JSON array; JSON Lines has an object in each line (jq -c '.[]' makes them)"
            )
        lines = itertools.chain([first] if first else [], iter(lambda: _line(text), ""))
        self.columns: list[str] | None = None
        self.rows = self._csv(lines, first) if form == "csv" else _json(lines)

    @property
    def read(self) -> int:
        """How many bytes were read."""
        return self._binary.tell() if self.size else 0

    def close(self) -> None:
        """Read no more."""
        self._text.close()

    def _csv(self, lines: Iterator[str], first: str) -> Iterator[Row]:
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        self.columns = [name.strip() for name in next(reader, [])]
        if len(set(self.columns)) != len(self.columns):
            raise Unreadable("two columns have the same name")
        return _cells(reader, self.columns)


def _cells(reader: Iterable[list[str]], columns: list[str]) -> Iterator[Row]:
    iterator, number = iter(reader), 1
    while True:
        begins, wrong = number + 1, None
        cells: list[str] | None = []
        try:
            cells = next(iterator, None)
        except csv.Error as error:  # the next row is read as if this one had been well
            wrong = f"is not CSV ({error})"
        number = max(begins, getattr(reader, "line_num", begins))
        if wrong is not None:
            yield Row(begins, {}, wrong)
            continue
        if cells is None:
            return
        if not all(map(_is_utf8, cells)):
            yield Row(begins, {}, _NOT_UTF8)
        elif cells and len(cells) != len(columns):
            yield Row(begins, {}, f"has {len(cells)} cells, and the header has {len(columns)}")
        elif cells:
            yield Row(begins, dict(zip(columns, cells, strict=True)))


def _json(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except ValueError:
            yield Row(number, {}, "is not JSON" if _is_utf8(line) else _NOT_UTF8)
            continue
        yield Row(number, value) if isinstance(value, dict) else Row(number, {}, "is not a JSON object")


def _is_utf8(text: str) -> bool:
    """Whether there was no byte in it that UTF-8 does not have: those stand in it as lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _line(text: io.TextIOWrapper) -> str:
    line = text.readline(LONGEST_LINE + 1)
    if len(line) > LONGEST_LINE:
        raise Unreadable(f"a line has more than {LONGEST_LINE} characters")
    return line


def _size(binary: BinaryIO) -> int:
    try:
        return os.fstat(binary.fileno()).st_size if binary.seekable() else 0
    except (OSError, io.UnsupportedOperation):
        return 0


def open_file(name: str, form: str | None) -> FileRows:
    """Open a file, or standard input for `-`; raises Unreadable."""
    try:
        binary = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - read to the end
    except OSError as error:
        raise Unreadable(f"{name} cannot be opened: {error.strerror}") from None
    return FileRows(binary, form)


@asynccontextmanager
async def query_rows(url: str, query: str) -> AsyncIterator[tuple[tuple[str, ...], AsyncIterator[Row]]]:
    """Give the columns and the rows of a query over somebody's PostgreSQL: one read-only transaction."""
    dsn, settings = cleaned(url)
    try:
        connection = await asyncpg.connect(dsn, timeout=_CONNECT_WITHIN_S, server_settings=settings)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unreadable(
            f"the database does not let us in ({type(error).__name__}): check --source-url"
        ) from None
    try:
        async with connection.transaction(readonly=True):
            prepared = await connection.prepare(query)
            columns = tuple(attribute.name for attribute in prepared.get_attributes())
            yield columns, _fetched(prepared)
    except asyncpg.PostgresError as error:
        # What the server says is about the query, which whoever runs this has written.
        raise Unreadable(f"the query failed: {error}") from None
    finally:
        connection.terminate()


async def _fetched(prepared: PreparedStatement[asyncpg.Record]) -> AsyncIterator[Row]:
    number = 0
    async for record in prepared.cursor(prefetch=_FETCHED_AT_ONCE):
        number += 1
        yield Row(number, dict(record))


def cleaned(url: str) -> tuple[str, dict[str, str]]:
    """Return the address without what an object mapper put into it for itself, and the server's settings."""
    parts = urlsplit(url)
    said = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in said if name not in _OTHERS_WORDS and name != "schema"]
    schemas = [value for name, value in said if name == "schema"]
    settings = {"application_name": "token-broker import"}
    if schemas:
        settings["search_path"] = schemas[-1]
    return urlunsplit(parts._replace(query=urlencode(kept))), settings
