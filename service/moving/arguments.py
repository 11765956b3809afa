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


_STATES = ("LIVE", "DEAD", "PAUSED")

_USERS = """\
List and show users, and have their pairs refreshed or revoked, by a service that runs: over its internal
listener, with an API key. No token is ever shown. Exit code 0: done; 1: some of it was refused, or the
service did not answer; 2: wrong usage."""

_EXPORT = """\
Write every user with the state of its pair, as JSON Lines or CSV, in the order of their ids. No token and no
secret is in it, so it cannot be imported again: back up the database for that. Asks a service that runs, over
its internal listener, with an API key of scope users:read."""

_SERVICE_MORE = """\
The API key is read from TOKEN_BROKER_API_KEY, or from a file named by --key-file or by
TOKEN_BROKER_API_KEY_FILE: as an option of its own, others on this machine would see it."""


def add_moving(commands: Commands[argparse.ArgumentParser]) -> None:
    """Mount the commands."""
    _add_import(commands)
    _add_export(commands)
    _add_users(commands)


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
    _add_source(command)
    _add_manner(command)


def _add_source(command: argparse.ArgumentParser) -> None:
    """Add where the rows come from, and whose they are."""
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


def _add_manner(command: argparse.ArgumentParser) -> None:
    """Add how they are taken over, and how that is told."""
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


def _add_export(commands: Commands[argparse.ArgumentParser]) -> None:
    command = _command(
        commands, "export", "write every user with the state of its pair; no secret", _EXPORT, _SERVICE_MORE
    )
    command.set_defaults(run=_lately("service.moving.export", "run_export"))
    command.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="default: jsonl")
    command.add_argument("--state", choices=_STATES, help="only users whose grant is in this state")
    command.add_argument("--output", metavar="FILE", help="write there (default: standard output)")
    _add_service(command)


def _add_users(commands: Commands[argparse.ArgumentParser]) -> None:
    command = _command(
        commands, "users", "list and show users, have their pairs refreshed or revoked", _USERS, _SERVICE_MORE
    )
    command.set_defaults(run=_lately("service.moving.users", "run_users"))
    acts = command.add_subparsers(dest="act", required=True, metavar="ACT")
    listing = acts.add_parser("list", help="list users with the state of their pairs (scope users:read)")
    listing.add_argument("--state", choices=_STATES, help="only users whose grant is in this state")
    listing.add_argument("--email", help="only the user with this e-mail address")
    listing.add_argument("--cal-user-id", metavar="NUMBER", help="only the user with this id upstream")
    listing.add_argument("--limit", type=_count, default=100, help="how many at most (default: 100)")
    showing = acts.add_parser("show", help="show one user and what happened to it (scope users:read)")
    showing.add_argument("id", metavar="ID", help="the app's own user id")
    text = "replace users' pairs now; their tabs go on (scope tokens:read)"
    refreshing = acts.add_parser("refresh", help=text)
    refreshing.add_argument(
        "--force", action="store_true", help="replace every token, also those still good (scope users:write)"
    )
    text = "let no token that users have count any more, here and upstream (scope users:write)"
    revoking = acts.add_parser("revoke", help=text)
    for each in (refreshing, revoking):
        each.add_argument("ids", nargs="+", metavar="ID", help="the app's own user ids")
    for each in (listing, showing, refreshing, revoking):
        each.add_argument("--json", action="store_true", help="JSON: an object a line")
        _add_service(each)


def _add_service(command: argparse.ArgumentParser) -> None:
    """Add where the service is, and who asks."""
    command.add_argument("--client", metavar="NAME", help="the OAuth client, if there are several")
    command.add_argument(
        "--url",
        help="the service's internal listener (default: $TOKEN_BROKER_URL, else "
        "$TOKEN_BROKER_INTERNAL_ADDRESS, else http://127.0.0.1:8081)",
    )
    command.add_argument(
        "--key-file",
        metavar="FILE",
        help="holds the API key (default: $TOKEN_BROKER_API_KEY_FILE, else the key is $TOKEN_BROKER_API_KEY)",
    )
    command.add_argument("--ca-file", metavar="FILE", help="authorities of the listener's certificate (PEM)")
    command.add_argument("--certificate-file", metavar="FILE", help="ours (PEM), if it wants one")
    command.add_argument("--certificate-key-file", metavar="FILE", help="its private key (PEM)")


def _count(text: str) -> int:
    """Read a whole number above 0; argparse shows this error's text."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number above 0")
    return int(text)


def _lately(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """Return a function that is imported when it is called."""

    def run(arguments: argparse.Namespace) -> int:
        from importlib import import_module

        work: Any = getattr(import_module(module), function)
        return int(work(arguments))

    return run
