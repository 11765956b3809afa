"""The strict stand-in as a process of its own: `python -m tests.chaos.upstream <folder>`, until SIGTERM.

Journals every call, raw tokens included, into the run's folder. Its switches are thrown over HTTP.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import orjson

from sandbox.calcom import SandboxClient, SandboxConfig, serve
from tests.chaos.folder import JOURNAL, RUN


async def main(folder):
    """Serve until SIGTERM."""
    run = orjson.loads((folder / RUN).read_bytes())
    config = SandboxConfig(
        clients=(SandboxClient(run["client_id"], run["secrets"]["client_secret"]),),
        lifetime_s=run["lifetime_s"],
        journal_path=folder / JOURNAL,
        journal_memory=1,
        journal_tokens=True,
        seed=run["seed"],
        throttle=False,
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve(config, port=run["upstream_port"]):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
