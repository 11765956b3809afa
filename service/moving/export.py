"""The command `export`: every user with the state of its pair, for other programs. No secret is in it."""

from __future__ import annotations

import csv
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TextIO

from service.moving.remote import WrongUsage, open_remote
from service.moving.users import running
from service.roles import FINE

_USER = ("client", "id", "calUserId", "email", "name", "timeZone", "timeFormat", "weekStart", "locale",
         "avatarUrl", "bio", "metadata", "createdAt", "state", "reason")  # fmt: skip
_PAIR = ("generation", "issuedAt", "expiresAt", "refreshAt", "lastUsedAt", "lastError", "lastErrorAt",
         "refused", "distrusted")  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def run_export(arguments: Namespace) -> int:
    """Run the command; returns its exit code."""
    return running("export", _export(arguments))


async def _export(arguments: Namespace) -> int:
    count = 0
    with ExitStack() as stack:
        stream = _opened(arguments.output, stack)
        write = _as_csv(stream) if arguments.format == "csv" else _as_jsonl(stream)
        async with open_remote(arguments) as remote:
            async for user in remote.users(**({"state": arguments.state} if arguments.state else {})):
                write(user)
                count += 1
    sys.stderr.write(f"{count:,} users\n")
    return FINE


def _opened(path: str | None, stack: ExitStack) -> TextIO:
    if path is None:
        return sys.stdout
    try:
        # Addresses and names are nobody else's business, although no secret is among them.
        return stack.enter_context(
            open(path, "w", encoding="utf-8", newline="", opener=lambda name, how: os.open(name, how, 0o600))
        )
    except OSError as error:
        raise WrongUsage(f"--output {path} cannot be written: {error.strerror}") from None


def _as_jsonl(stream: TextIO) -> Callable[[dict[str, Any]], None]:
    def write(user: dict[str, Any]) -> None:
        stream.write(f"{json.dumps(user)}\n")

    return write


def _as_csv(stream: TextIO) -> Callable[[dict[str, Any]], None]:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow((*_USER, *_PAIR))

    def write(user: dict[str, Any]) -> None:
        pair = user["pair"] or {}
        values = [user[name] for name in _USER] + [pair.get(name) for name in _PAIR]
        writer.writerow([cell_of(value) for value in values])

    return write


def cell_of(value: object) -> object:
    """Return a value as a cell; truths and objects as JSON has them.

    Names and addresses are what strangers wrote; a spreadsheet carries out what begins like a formula.
    """
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return json.dumps(value) if isinstance(value, bool | dict) else value
