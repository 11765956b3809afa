"""The sandbox Cal.com of a run: in this process, so that the demo can show what it saw.

Its rows are kept from run to run where the run's folder is. Must import nothing of the broker.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from sandbox.calcom import Sandbox, SandboxClient, SandboxConfig
from sandbox.dev import memory
from sandbox.dev.environment import CLIENT_ID
from sandbox.dev.home import write_private

if TYPE_CHECKING:
    from sandbox.dev.home import Home
    from sandbox.dev.plan import Plan

_SAVE_EVERY_S = 1.0
_JOURNAL_MEMORY = 5000


def sandbox_of(plan: Plan, home: Home) -> Sandbox:
    """Return the run's sandbox, with the users and tokens of earlier runs on the same folder."""
    client = SandboxClient(CLIENT_ID, home.keys.client_secret, name="Demo client")
    sandbox = Sandbox(
        SandboxConfig(
            clients=(client,),
            lifetime_s=plan.lifetime_s,
            journal_path=plan.journal,
            journal_memory=_JOURNAL_MEMORY,
            seed=secrets.randbits(32),
        )
    )
    if home.sandbox_file.exists():
        memory.load(sandbox.state, CLIENT_ID, home.sandbox_file.read_bytes())
    return sandbox


@asynccontextmanager
async def remembered(sandbox: Sandbox | None, home: Home, *, keep: bool) -> AsyncIterator[None]:
    """Write the sandbox's rows to the run's folder, every second and at the end, where that is kept."""
    if sandbox is None or not keep:
        yield
        return
    saving = asyncio.create_task(_save_again_and_again(sandbox, home))
    try:
        yield
    finally:
        saving.cancel()
        with suppress(asyncio.CancelledError):
            await saving
        _save(sandbox, home)


async def _save_again_and_again(sandbox: Sandbox, home: Home) -> None:
    saved_for = -1
    while True:
        written = sum(sandbox.journal.calls.values())
        if written != saved_for:
            _save(sandbox, home)
            saved_for = written
        await asyncio.sleep(_SAVE_EVERY_S)


def _save(sandbox: Sandbox, home: Home) -> None:
    write_private(home.sandbox_file, memory.dump(sandbox.state, CLIENT_ID))
