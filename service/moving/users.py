"""The command `users`: lists and shows users, has their pairs refreshed or revoked. Never shows a token."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from service.moving.remote import Refused, Remote, Unreachable, WrongUsage, open_remote, user_path
from service.roles import FAILED, FINE, WRONG_USAGE

_EVENTS = 10
_HEAD = ("ID", "CAL USER", "E-MAIL", "STATE", "REASON", "EXPIRES", "LAST USED", "LAST ERROR")


def run_users(arguments: Namespace) -> int:
    """Run the command; returns its exit code."""
    return running("users", _run(arguments))


def running(name: str, work: Awaitable[int]) -> int:
    """Run what asks a service, and tell in words what is in its way."""

    async def run() -> int:
        return await work

    try:
        return asyncio.run(run())
    except WrongUsage as wrong:
        sys.stderr.write(f"token-broker {name}: {wrong}\n")
        return WRONG_USAGE
    except (Unreachable, Refused) as trouble:
        sys.stderr.write(f"token-broker {name}: {trouble}\n")
    except BrokenPipeError:
        # Who read the output has gone; else Python would tell of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


async def _run(arguments: Namespace) -> int:
    async with open_remote(arguments) as remote:
        act: Callable[[Remote, Namespace], Awaitable[int]] = _ACTS[arguments.act]
        return await act(remote, arguments)


async def _list(remote: Remote, arguments: Namespace) -> int:
    asked = {"state": arguments.state, "email": arguments.email, "calUserId": arguments.cal_user_id}
    found: list[dict[str, Any]] = []
    more = False
    async for user in remote.users(**{name: value for name, value in asked.items() if value}):
        more = len(found) == arguments.limit
        if more:
            break
        found.append(user)
    if arguments.json:
        sys.stdout.write("".join(f"{json.dumps(user)}\n" for user in found))
    else:
        sys.stdout.write(table([_HEAD, *map(_cells, found)]) if found else "no such users\n")
    if more:
        sys.stderr.write(f"The first {arguments.limit} of more: --limit shows more of them, export all.\n")
    return FINE


def _cells(user: dict[str, Any]) -> tuple[str, ...]:
    pair = user["pair"] or {}
    values = (user["id"], user["calUserId"], user["email"], user["state"] or "creating", user["reason"])
    return tuple(map(_shown, (*values, pair.get("expiresAt"), pair.get("lastUsedAt"), pair.get("lastError"))))


async def _show(remote: Remote, arguments: Namespace) -> int:
    user = await remote.get(user_path(arguments.id))
    events = (await remote.get(user_path(arguments.id, "/events"), limit=str(_EVENTS)))["events"]
    if arguments.json:
        sys.stdout.write(f"{json.dumps({**user, 'events': events})}\n")
        return FINE
    facts = {**user, **(user["pair"] or {})}
    facts.pop("pair")
    rows = [(name, _shown(value)) for name, value in facts.items() if value is not None]
    sys.stdout.write(table(rows))
    sys.stdout.write("\nwhat happened, newest first:\n")
    names = ("at", "event", "outcome", "reason", "trigger", "actor")
    sys.stdout.write(table([[_shown(event[name]) for name in names] for event in events]))
    return FINE


async def _refresh(remote: Remote, arguments: Namespace) -> int:
    async def one(user_id: str) -> dict[str, object]:
        answer = await remote.post(user_path(user_id, "/refresh"), {"force": arguments.force})
        # The answer is a token as well: of that nothing is kept.
        return {"id": user_id, "refreshed": True, "generation": answer["generation"]}

    return await _each(arguments, one)


async def _revoke(remote: Remote, arguments: Namespace) -> int:
    async def one(user_id: str) -> dict[str, object]:
        user = await remote.post(user_path(user_id, "/revoke"), {})
        return {"id": user_id, "revoked": True, "state": user["state"]}

    return await _each(arguments, one)


async def _each(arguments: Namespace, one: Callable[[str], Awaitable[dict[str, object]]]) -> int:
    """Do it for one user after the other; what one is refused does not keep the next from it."""
    code = FINE
    for user_id in arguments.ids:
        try:
            done = await one(user_id)
        except Refused as refused:
            sys.stderr.write(f"{user_id}: {refused}\n")
            code = FAILED
            continue
        facts = {name: value for name, value in done.items() if name != "id"}
        words = ", ".join(name if value is True else f"{name} {value}" for name, value in facts.items())
        sys.stdout.write(f"{json.dumps(done)}\n" if arguments.json else f"{user_id}: {words}\n")
    return code


_ACTS = {"list": _list, "show": _show, "refresh": _refresh, "revoke": _revoke}


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as columns under each other."""
    rows = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _shown(value: object) -> str:
    """Return a value for a terminal: what is not printable does nothing to it."""
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value)
    return "".join(character if character.isprintable() else "?" for character in text)
