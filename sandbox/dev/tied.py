"""Runs one command of the broker as a child that cannot outlive the process that started it.

Started as `python -m sandbox.dev.tied PARENT serve`; the production command itself knows nothing of this.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tie_to(parent: int) -> None:
    """Have Linux send us SIGTERM when the parent dies; elsewhere only the parent's own end reaches us."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(1)


if __name__ == "__main__":
    tie_to(int(sys.argv[1]))
    from service.cli import main

    raise SystemExit(main(sys.argv[2:]))
