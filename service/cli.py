"""The `token-broker` command: parses the command line and hands over to the room that does the work.

Exit codes: 0 fine, 1 the work failed, 2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from service.moving.arguments import add_moving
from service.roles import FAILED, FINE, prepare, reporting, run
from service.settings import load_settings
from service.settings.grammar import Rate, parse_duration, parse_rate
from service.settings.reference import settings_text
from service.webhooks import add_webhook_options

if TYPE_CHECKING:
    from service.settings import Role

_DEVELOPMENT = {
    "sandbox": "a strict Cal.com stand-in with fault switches, alone",
    "dev": "everything on embedded servers, with a demo page (what `make run` calls)",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = _parser(argv[0] if argv else None).parse_args(argv)
    return reporting(partial(arguments.run, arguments))


def _parser(wanted: str | None) -> argparse.ArgumentParser:
    """Return the command line's parser; of the sandbox only the wanted command has its options."""
    parser = argparse.ArgumentParser(
        prog="token-broker",
        description="Keeps the tokens of Cal.com managed users fresh. Settings come from the environment; "
        "the help of each command lists those it acts on.",
    )
    parser.add_argument("--version", action="version", version=version("token-broker"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    ours: tuple[tuple[Role, str, Callable[[argparse.Namespace], int]], ...] = (
        ("serve", "answer refresh requests and the app's own services", _serve),
        ("work", "refresh tokens ahead of their expiry (the arq worker)", _work),
        ("migrate", "bring the database's schema to this release, once, under a lock", _migrate),
        ("rewrap", "seal every stored token anew under the first encryption key", _rewrap),
        ("webhooks", "show the messages of the webhook, or have some sent again", _webhooks),
    )
    for role, text, command_of in ours:
        command = commands.add_parser(
            role,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=settings_text(role),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=command_of)
        if role in _OPTIONS:
            _OPTIONS[role](command)
    add_moving(commands)
    _add_doctor(commands)
    _add_development(commands, wanted)
    return parser


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "doctor",
        help="say what is wrong with the settings, the stores, upstream and the clocks, and how to mend it",
        description="Look at settings, PostgreSQL, Redis, upstream, clocks, keys and listeners, and\n"
        "say what is wrong and how to mend it. Changes nothing, spends no refresh token, shows no secret.\n"
        "Ends with 0 when nothing is wrong, with 1 when something is, and with 2 when the settings are.",
        epilog=settings_text("serve"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--json", action="store_true", help="say it as one JSON object")
    command.add_argument(
        "--role", choices=["serve", "work"], default="serve", help="whose settings these are (default: serve)"
    )
    command.add_argument(
        "--within",
        type=_duration,
        default=timedelta(seconds=15),
        metavar="DURATION",
        help="how long it may take in all (default: 15s)",
    )
    command.set_defaults(run=_doctor)


def _add_migration_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--dry-run", action="store_true", help="name what would be applied, and change nothing"
    )
    command.add_argument(
        "--wait",
        type=_duration,
        default=timedelta(minutes=2),
        metavar="DURATION",
        help="how long to wait in all for a table that somebody holds, for each migration (default: 2m)",
    )
    command.add_argument(
        "--stopped",
        action="store_true",
        help="every service and worker is stopped: take away also what an older release still uses",
    )


def _add_rewrap_options(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Seal every stored token anew under the first encryption key. Safe beside everything that runs, once "
        "every process has that key; killed or begun twice, it goes on with what is left. Ends with 0 when "
        "no row is left under another key, and with 1 when some are: those whose key is not in the list "
        "are counted and never written."
    )
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="count rows and fingerprints by key, and change nothing: an old fingerprint key is needed while "
        "any under it counts",
    )
    command.add_argument("--json", action="store_true", help="say what came of it as one JSON object")
    command.add_argument(
        "--rate",
        type=_rate,
        default="1000/s",
        metavar="RATE",
        help="how many rows may be written in a time (default: 1000/s)",
    )


_OPTIONS = {"migrate": _add_migration_options, "rewrap": _add_rewrap_options, "webhooks": add_webhook_options}


def _rate(text: str) -> Rate:
    """Read a rate of the command line; argparse shows this error's text."""
    try:
        return parse_rate(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(f"{wrong}, like 200/s") from None


def _duration(text: str) -> timedelta:
    """Read a duration of the command line; argparse shows this error's text."""
    try:
        return parse_duration(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(f"{wrong}, like 90s or 5m") from None


def _add_development(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], wanted: str | None
) -> None:
    """Mount the commands of the sandbox where it is installed; only the wanted one is loaded."""
    if find_spec("sandbox") is None:
        return
    for name, text in _DEVELOPMENT.items():
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        if name == wanted:
            module = _development(name)
            module.add_arguments(command)
            command.set_defaults(run=module.main)


def _development(name: str) -> Any:  # noqa: ANN401 - a module with add_arguments and main
    if name == "dev":
        from sandbox import dev

        return dev
    from sandbox.calcom import cli

    return cli


def _serve(_: argparse.Namespace) -> int:
    settings, telemetry = prepare("serve")
    if settings.workers > 1:
        from service.supervisor import supervise

        return asyncio.run(supervise(settings, telemetry))
    from service.serving import serve

    return run(serve(settings, telemetry))


def _work(_: argparse.Namespace) -> int:
    from service.delivering import delivering
    from service.watching import watched
    from worker.main import work

    settings, telemetry = prepare("work")
    watch = partial(watched, settings, telemetry)
    return run(work(settings, telemetry, watch, tracing=telemetry.tracing, beside=delivering))


def _migrate(arguments: argparse.Namespace) -> int:
    from sql.migrate import MigrationError, migrate, pending

    dsn = load_settings(role="migrate").database_url.value
    patience_s = arguments.wait.total_seconds()
    verb, work = "applied", partial(migrate, dsn, say=_say, patience_s=patience_s, stopped=arguments.stopped)
    if arguments.dry_run:
        verb, work = "would apply", partial(pending, dsn)
    try:
        names = asyncio.run(work())
    except MigrationError as error:
        _say(f"{error}")
        return FAILED
    sys.stdout.write("".join(f"{verb} {name}\n" for name in names) or "nothing to apply\n")
    return FINE


def _rewrap(arguments: argparse.Namespace) -> int:
    from service.rewrap import rewrap

    settings = load_settings(role="rewrap")
    dry_run, as_json = arguments.dry_run, arguments.json
    return asyncio.run(rewrap(settings, arguments.rate, dry_run=dry_run, as_json=as_json))


def _webhooks(arguments: argparse.Namespace) -> int:
    from service.webhooks import webhooks

    return asyncio.run(webhooks(load_settings(role="webhooks"), arguments))


def _doctor(arguments: argparse.Namespace) -> int:
    from service.doctor import doctor

    return doctor(arguments.role, as_object=arguments.json, within_s=arguments.within.total_seconds())


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())
