"""`python -m tests.chaos`: the fault campaign. Its last line is one JSON object of figures.

Exit code 0 when every invariant held, 1 when one broke or the campaign could not be carried out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from random import SystemRandom

from sandbox.dev.signals import interrupt_on_all
from sandbox.embedded import EmbeddedError, folder
from tests.chaos.campaign import run_campaign
from tests.chaos.fleet import ROOT
from tests.chaos.folder import BLOWS
from tests.chaos.world import Failed


def main(argv=None):
    """Run a campaign and have it checked; returns the exit code."""
    arguments = _parser().parse_args(argv)
    started_at = time.monotonic()

    def say(text):
        sys.stdout.write(f"[{time.monotonic() - started_at:5.1f} s] {text}\n")
        sys.stdout.flush()

    interrupt_on_all()
    say(f"seed {arguments.seed}, {arguments.duration:.0f} s of faults")
    with _place(arguments.keep) as place:
        try:
            run_campaign(place, arguments.seed, arguments.duration, say)
        except (Failed, EmbeddedError, OSError) as failed:
            sys.stderr.write(f"seed {arguments.seed}: {failed}\n")
            return 1
        code = check(place)
        if code != 0:
            sys.stderr.write(f"seed {arguments.seed} failed; what was done:\n{(place / BLOWS).read_text()}")
        return code


def check(place):
    """Have the checker, a program of its own, judge a run; its figures are our last line."""
    sys.stdout.flush()
    command = [sys.executable, "-m", "tests.chaos.check", str(place)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def _place(keep):
    if keep is None:
        return folder()
    keep.mkdir(mode=0o711)
    return nullcontext(keep.absolute())


def _parser():
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--duration", type=float, default=300.0, help="seconds of faults (%(default)s)")
    parser.add_argument(
        "--seed", type=int, default=SystemRandom().randrange(10**6), help="of all that is drawn (random)"
    )
    parser.add_argument("--keep", type=Path, help="keep the run's files in this new folder")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
