"""The command itself: looks at everything at once, each area within a time, prints, and returns an exit code.

0: nothing is wrong. 1: something is. 2: the settings are, and the broker would not start with them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import threading
import time
from collections.abc import Awaitable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from service.doctor.clocks import Offset, Wall, judge_clocks
from service.doctor.configuration import judge_settings
from service.doctor.findings import Finding, State, has_any, wrong
from service.doctor.listeners import examine_listeners
from service.doctor.postgres import examine_postgres
from service.doctor.redis import examine_redis
from service.doctor.report import as_json, as_table
from service.doctor.upstream import examine_upstream
from service.doctor.witnesses import examine_witnesses
from service.logs.redaction import REDACTED, SHORTEST_SECRET
from service.roles import FAILED, FINE, WRONG_USAGE
from service.settings import inspect_settings

if TYPE_CHECKING:
    from service.settings import Problem, Role, Settings

T = TypeVar("T")

WITHIN_S = 15.0
_THREADS = "doctor"
_THREADS_END_WITHIN_S = 0.5


def this_machines() -> datetime:
    """Return this machine's time."""
    return datetime.now(UTC)


def doctor(role: Role, *, as_object: bool = False, within_s: float = WITHIN_S) -> int:
    """Examine what this role of this machine would run with, print what was found, return the exit code."""
    settings, problems = inspect_settings(os.environ, role=role)
    findings = _to_its_end(examine(settings, problems, within_s))
    code = exit_code(findings, problems)
    text = as_json(findings, code) if as_object else as_table(findings, shutil.get_terminal_size().columns)
    sys.stdout.write(f"{without_secrets(text, settings)}\n")
    sys.stdout.flush()
    if _still_resolving():
        os._exit(
            code
        )  # a name that no server resolves keeps its thread, and with it the program, for a minute
    return code


def exit_code(findings: Sequence[Finding], problems: Sequence[Problem]) -> int:
    """Return what the command ends with."""
    if problems:
        return WRONG_USAGE
    return FAILED if has_any(State.WRONG, findings) else FINE


async def examine(
    settings: Settings, problems: Sequence[Problem], within_s: float = WITHIN_S, wall: Wall = this_machines
) -> list[Finding]:
    """Return every finding; takes `within_s` at most, whatever is down."""
    offsets: dict[str, Offset] = {}
    areas = {
        "postgres": examine_postgres(settings, offsets, wall),
        "redis": examine_redis(settings, offsets, wall),
        **{
            f"upstream.{one.name}": examine_upstream(settings, one, offsets, wall) for one in settings.clients
        },
        "listeners": examine_listeners(settings),
        "app": examine_witnesses(settings),
    }
    found = await asyncio.gather(*(_within(area, work, within_s) for area, work in areas.items()))
    clocks = [judge_clocks(offsets)]
    return [*judge_settings(settings, problems), *(one for some in found for one in some), *clocks]


async def _within(area: str, work: Awaitable[list[Finding]], within_s: float) -> list[Finding]:
    """Look at one area; what hangs or breaks there is a finding, and no other area's affair."""
    try:
        async with asyncio.timeout(within_s):
            return await work
    except TimeoutError:
        mend = f"See what keeps {area} busy, or ask with more patience: token-broker doctor --within 60s"
        return [wrong(area, f"the examination did not end within {within_s:g} s", mend)]
    except Exception as error:  # noqa: BLE001 - an examination that breaks must not hide the others
        what = f"the examination broke off ({type(error).__name__})"
        return [wrong(area, what, "Please report this, with the release (token-broker --version).")]


def without_secrets(text: str, settings: Settings) -> str:
    """Return the text with every secret blotted out: none is in it, and this is the second net."""
    for secret in sorted(settings.sensitive_texts(), key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, REDACTED)
    return text


def _to_its_end(work: Coroutine[object, object, T]) -> T:
    """Run it without waiting at the end for threads that resolve names: they may take minutes."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix=_THREADS))
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(_end_the_rest())
        loop.close()


async def _end_the_rest() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _still_resolving() -> bool:
    """Whether a thread is held up that the interpreter would wait for; those that are not end at once."""
    ends_at = time.monotonic() + _THREADS_END_WITHIN_S
    ours = [thread for thread in threading.enumerate() if thread.name.startswith(_THREADS)]
    for thread in ours:
        thread.join(max(0.0, ends_at - time.monotonic()))
    return any(thread.is_alive() for thread in ours)
