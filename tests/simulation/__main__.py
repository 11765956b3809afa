"""`python -m tests.simulation`: many schedules, or one again with everything that happens in it."""

import argparse
import sys

from tests.simulation.campaign import PROCESSES, run_campaign, told
from tests.simulation.schedule import Schedule


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=20_000, help="how many to run")
    parser.add_argument("--seconds", type=float, help="run for so long instead")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--replay", type=int, metavar="SEED", help="run this one and tell every step")
    wanted = parser.parse_args()
    if wanted.replay is not None:
        return _replay(wanted.replay)
    schedules = None if wanted.seconds else wanted.schedules
    tally, seconds = run_campaign(
        wanted.seed, schedules=schedules, seconds=wanted.seconds, processes=wanted.processes
    )
    print("\n".join(told(tally, seconds)))  # noqa: T201 - this is a command
    return 1 if tally.findings else 0


def _replay(seed):
    schedule = Schedule(seed, trace=print)
    findings = schedule.run()
    print(schedule.profile, *findings, sep="\n")  # noqa: T201 - this is a command
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
