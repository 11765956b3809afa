"""The options of the commands that move and look after users. Light: the work is imported when it is done."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Commands = argparse._SubParsersAction  # noqa: SLF001 - what argparse has no public name for

_IMPORT = """\
Take over users with the pairs of tokens that an app holds, by the rules of PUT /v1/users/{id}/tokens.
Nothing is asked upstream (unless --verify) and nobody is logged out: the refresh endpoint accepts every
imported access token from then on, an expired one too, until SUPERSEDED_WINDOW (24h) after its end.

The rows come from a CSV file with a header, from JSON Lines, or from a query. Needed are the columns id (the
app's own user id), accessToken and refreshToken; calUserId is read from the token where there is no column
for it. Usual spellings (user_id, cal_access_token, ...) are found by themselves; others are named with --map.

It may be killed at any time and run again: what is there already is recognised. Of two pairs of one user the
one that was issued later counts. Exit code 0: every row is there; 1: some were rejected, or it did not come
to its end; 2: wrong usage."""

_IMPORT_MORE = """\
examples:
  token-broker import users.csv --dry-run
  token-broker import users.csv --map id=customer_no --rejects rejects.jsonl
  token-broker import --source-url "$APP_DATABASE_URL" \\
      --query 'SELECT id, access_token, refresh_token FROM cal_users'

It wants the environment of `token-broker work`; its help lists the settings."""


def add_moving(commands: Commands[argparse.ArgumentParser]) -> None:
    """Mount the commands."""
    _add_import(commands)


def _command(
    commands: Commands[argparse.ArgumentParser], name: str, text: str, description: str, epilog: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=text,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_import(commands: Commands[argparse.ArgumentParser]) -> None:
    command = _command(
        commands,
        "import",
        "take over users with the pairs of tokens that an app holds",
        _IMPORT,
        _IMPORT_MORE,
    )
    command.set_defaults(run=_lately("service.moving.importing", "run_import"))
    command.add_argument("file", nargs="?", metavar="FILE", help="CSV or JSON Lines; - is standard input")
    command.add_argument(
        "--format", choices=("csv", "jsonl"), help="what the file is (default: as it begins)"
    )
    command.add_argument("--query", metavar="SQL", help="rows of this query in place of a file")
    command.add_argument(
        "--source-url",
        metavar="URL",
        help="PostgreSQL that the query is put to, read only (default: $TOKEN_BROKER_SOURCE_URL, which other "
        "users of this machine do not see, else the broker's own database)",
    )
    command.add_argument(
        "--map",
        metavar="FIELD=COLUMN",
        action="append",
        default=[],
        help="which column holds a field, as often as needed, like --map id=customer_no",
    )
    command.add_argument(
        "--client", metavar="NAME", help="the OAuth client of these users, if there are several"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="say what would come of each row, store nothing"
    )
    command.add_argument(
        "--verify",
        action="store_true",
        help="ask upstream about each pair first, with what callers leave of UPSTREAM_RATE (at 450/min, "
        "100,000 users take nearly four hours)",
    )
    command.add_argument(
        "--replace", action="store_true", help="let a pair that was issued later replace a live one"
    )
    command.add_argument(
        "--no-vouch",
        action="store_true",
        help="do not count as the app's word that these users are signed in: the refresh endpoint refuses "
        "them until the app asks for their token",
    )
    command.add_argument(
        "--rejects", metavar="FILE", help="write rejected rows there as JSON Lines (default: standard error)"
    )
    command.add_argument("--json", action="store_true", help="say what came of it as one JSON object")


def _lately(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """Return a function that is imported when it is called."""

    def run(arguments: argparse.Namespace) -> int:
        from importlib import import_module

        work: Any = getattr(import_module(module), function)
        return int(work(arguments))

    return run
