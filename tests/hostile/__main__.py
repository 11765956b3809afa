"""`python -m tests.hostile`: hostile and bad input against real processes; its last line is one JSON object.

Exit code 0 when every case got exactly its answer, none was a 5xx, no process wrote a trace, nothing leaked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from sandbox.embedded import folder
from tests.hostile import evidence
from tests.hostile.people import settle_in
from tests.hostile.play import play_all
from tests.hostile.suite import cases, odd_clients
from tests.hostile.timing import SAMPLES, timed
from tests.hostile.town import town


async def play_in(place, chosen, say):
    """Play these cases in a town of their own; returns the town, what was wrong with each, the exit codes."""
    async with town(place, odd_clients()) as it:
        say("everything is up")
        await settle_in(it)
        say(f"{len(chosen)} cases")
        played = await play_all(it, chosen)
        say("played")
        return it, played, await it.end()


def main(argv=None):
    """Run the suite; returns the exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.timing:
        return asyncio.run(timed(arguments.timing))
    began = time.monotonic()

    def say(text):
        sys.stdout.write(f"[{time.monotonic() - began:5.1f} s] {text}\n")
        sys.stdout.flush()

    with _place(arguments.keep) as place:
        figures = evidence.weigh(*asyncio.run(play_in(place, _chosen(arguments.only), say)))
    say("done")
    sys.stdout.write(f"{json.dumps(figures)}\n")
    return 0 if not any(figures[name] for name in figures if name != "cases") else 1


def _chosen(only):
    return [case for case in cases() if only is None or case.row in only]


def _place(keep):
    if keep is None:
        return folder()
    keep.mkdir(mode=0o711)
    return nullcontext(keep.absolute())


def _parser():
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", metavar="ROW", help="play the cases of these rows only, such as H12"
    )
    parser.add_argument("--keep", type=Path, help="keep the run's files in this new folder")
    parser.add_argument(
        "--timing",
        type=int,
        nargs="?",
        const=SAMPLES,
        metavar="SAMPLES",
        help="measure instead whether refusals can be told apart by the time they take",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
