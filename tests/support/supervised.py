"""Runs the supervisor over a program of the test's own: `python -m tests.support.supervised SOURCE`.

As in a container, orphans become its children.
"""

import asyncio
import ctypes
import sys
import tempfile

from service.listening import bind_all_for_each
from service.roles import prepare
from service.supervisor import Supervisor

PR_SET_CHILD_SUBREAPER = 36


async def main(source):
    settings, telemetry = prepare("serve")
    sockets = bind_all_for_each(settings)
    with tempfile.TemporaryDirectory() as folder:
        return await Supervisor(settings, telemetry, sockets, folder, ("-c", source)).run()


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    raise SystemExit(asyncio.run(main(sys.argv[1])))
