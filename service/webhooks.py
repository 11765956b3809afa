"""The command `token-broker webhooks`: shows the messages that are kept, and has some sent again.

Light to import: what reaches the database is imported when the command runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from service.broker.errors import StorageUnavailable
from service.broker.model import Event, EventKind, Recorded
from service.broker.model.notice import Chosen, Kept, NoticeOutcome, NoticeType
from service.roles import FAILED, FINE, WRONG_USAGE

if TYPE_CHECKING:
    from service.adapters.postgres import Database
    from service.settings import Settings

_STATES = ("waiting", *(one.value for one in NoticeOutcome))
_ABOUT = (
    "Show how the messages of the webhook stand, newest first; with --replay have those sent, given "
    "up or not wanted sent again by the worker, each user's in their order and under the ids they had: a "
    "receiver that keeps ids takes none twice."
)


def add_webhook_options(command: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    command.description = _ABOUT
    command.add_argument("--replay", action="store_true", help="have the chosen messages sent again")
    command.add_argument("--all", action="store_true", help="with --replay: all of them, nothing chosen")
    command.add_argument("--dry-run", action="store_true", help="with --replay: only say how many")
    choose = command.add_argument_group("which messages (those that fit everything that is given)")
    choose.add_argument("--id", action="append", type=_id, default=[], help="msg_...; may be given again")
    choose.add_argument("--type", action="append", choices=[*NoticeType], default=[], metavar="TYPE")
    choose.add_argument("--state", action="append", choices=_STATES, default=[], metavar="STATE",
                        help=f"one of {', '.join(_STATES)}")  # fmt: skip
    choose.add_argument("--client", help="the client's name")
    choose.add_argument("--user", help="the app's user id")
    choose.add_argument("--since", type=_instant, help="happened at or after this instant (RFC 3339)")
    choose.add_argument("--until", type=_instant, help="happened before this instant")
    command.add_argument("--limit", type=int, default=50, help="show at most so many (default: 50)")
    command.add_argument("--json", action="store_true", help="say it as JSON, a message a line")


async def webhooks(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show messages or have them sent again; returns the exit code."""
    chosen = _chosen(arguments)
    if arguments.replay and chosen == Chosen() and not arguments.all:
        sys.stderr.write(
            "Say which messages to send again (--since, --state given_up, --user, ...), or --all.\n"
        )
        return WRONG_USAGE
    try:
        async with _opened(settings) as database:
            return await _replay(database, chosen, arguments) if arguments.replay else await _show(
                database, chosen, arguments
            )  # fmt: skip
    except StorageUnavailable:
        sys.stderr.write("The database did not answer, or has no notices yet (token-broker migrate).\n")
        return FAILED


async def _show(database: Database, chosen: Chosen, arguments: argparse.Namespace) -> int:
    from service.adapters.postgres.notices import PostgresNotices

    for one in await PostgresNotices(database).page(chosen, arguments.limit):
        sys.stdout.write((_line_json(one) if arguments.json else _line(one)) + "\n")
    return FINE


async def _replay(database: Database, chosen: Chosen, arguments: argparse.Namespace) -> int:
    from service.adapters.postgres import PostgresEvents
    from service.adapters.postgres.notices import PostgresNotices

    count = await PostgresNotices(database).replay(chosen, dry_run=arguments.dry_run)
    if not arguments.dry_run:
        event = Event(
            datetime.now(UTC), "webhooks.replayed", kind=EventKind.ACT, actor="token-broker webhooks",
            facts={"count": count},
        )  # fmt: skip
        await PostgresEvents(database).write([Recorded(uuid.uuid4(), None, event)])
    words = "would be sent again" if arguments.dry_run else "will be sent again"
    said = json.dumps({"replayed": count, "dryRun": arguments.dry_run})
    sys.stdout.write((said if arguments.json else f"{count} messages {words}") + "\n")
    return FINE


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    from service.adapters.postgres import Database

    timeout_s = settings.database_timeout.total_seconds()
    database = Database(settings.database_url.value, _Silent(), timeout_s=timeout_s, connections=1)
    await database.start()
    try:
        yield database
    finally:
        await database.aclose()


class _Silent:
    """Hears what the command itself says."""

    def note(self, event: str, key: object = None, **facts: object) -> None:
        """Keep it to itself."""


def _chosen(arguments: argparse.Namespace) -> Chosen:
    return Chosen(
        ids=tuple(arguments.id),
        types=tuple(arguments.type),
        client=arguments.client,
        user_id=arguments.user,
        states=tuple(arguments.state),
        since=arguments.since,
        until=arguments.until,
    )


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(hex=text.removeprefix("msg_"))
    except ValueError:
        raise argparse.ArgumentTypeError("must be a message's id, msg_ and 32 hex digits") from None


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be an instant like 2026-03-01T00:00:00Z") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _line(one: Kept) -> str:
    about = f"{one.client}/{one.user_id}" if one.user_id else one.client
    tries = f", {one.attempts} tries" if one.attempts > 1 else ""
    why = f" ({one.last_error})" if one.last_error else ""
    return f"{_told(one.at)}  msg_{one.id.hex}  {one.type}  {about}  {one.state}{tries}{why}"


def _line_json(one: Kept) -> str:
    told: dict[str, object] = {
        "id": f"msg_{one.id.hex}",
        "at": _told(one.at),
        "type": one.type,
        "client": one.client,
        "userId": one.user_id or None,
        "data": json.loads(one.facts),
        "state": one.state,
        "attempts": one.attempts,
        "lastError": one.last_error,
        "nextAt": _told(one.next_at) if one.state == "waiting" else None,
        "settledAt": _told(one.settled_at) if one.settled_at else None,
    }
    return json.dumps(told)


def _told(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
