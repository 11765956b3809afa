"""`python -m bench`: the whole benchmark, or with `--quick` a check that all of it runs.

Starts everything itself. Prints a table, and as its last line one JSON object. Exit code 0 when every figure
that could be measured was measured, 1 when one could not be trusted, 2 when this machine cannot run it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from bench import ahead, bursts, others, ours, people, report, saved, stampede
from bench.figures import MEASURED, Figure, Missing, Results, failures, figures, line
from bench.machine import Cores, NotFit, describe
from bench.peers import Ready, make_ready
from bench.programs import NotUp
from bench.samples import Rules, Summary
from bench.stand import Stand, stand

BOUNDS = {
    "near_vs_bare": ">= 1.0",
    "redis_vs_bare": ">= 0.8",
    "redis_vs_ioredis": ">= 0.85",
    "near_vs_ioredis": ">= 1.2",
    "redis_vs_node_pg": ">= 2",
    "redis_vs_next_prisma": ">= 20",
    "redis_vs_handwritten": ">= 40",
    "rotation_vs_handwritten": ">= 2",
    "scaling_2": ">= 0.85",
    "stampede_upstream_calls": "1",
    "stampede_added_p99_ms": "<= 100",
    "ahead_per_s": ">= 1000",
    "ahead_core_share_at_278": "<= 0.4",
    "due_10m_vs_10k": "<= 3",
    "observed_vs_bare_path": ">= 0.85",
}

_HURRIED = ("ahead_core_share_at_278",)
"""What a machine that has other work may not reach in a quick run."""

Say = Callable[[str], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    told = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything that was started is ended
    say = _sayer()
    try:
        cores = Cores.of_this_machine()
        say(f"{describe()}; server on core {cores.server}, the rest on core {cores.rest}")
        made = _measure(cores, told, say)
    except (NotFit, NotUp) as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, NotFit) else 1
    sys.stdout.write("\n" + "\n".join(report.figures_table(made, BOUNDS)) + "\n")
    if told.quick:
        sys.stdout.write("A quick run shows that everything runs; none of its figures is one to quote.\n")
    wrong = failures(made, but=_HURRIED if told.quick else ())
    for why in wrong:
        sys.stdout.write(f"no figure for {why}\n")
    sys.stdout.write(f"{json.dumps(line(made))}\n")
    return 1 if wrong else 0


def _measure(cores: Cores, told: argparse.Namespace, say: Say) -> dict[str, Figure]:
    ready = make_ready(install=not told.quick)
    say("the peers are ready")
    with stand(cores, people.QUICK if told.quick else people.FULL) as standing:
        say("the stores are filled")
        results = _play(standing, ready, told, say)
        measured = _besides(standing, told, say)
    return figures(results, measured | saved.due_growth())


def _besides(standing: Stand, told: argparse.Namespace, say: Say) -> dict[str, Figure]:
    """Measure what is no race of contestants."""
    measured = {name: Figure(None, why="it was left out", missing=True) for name in MEASURED}
    if _takes_part("stampede", told):
        measured |= stampede.measure(standing, stampede.QUICK if told.quick else stampede.FULL)
        say("stampedes played")
    if _takes_part("ahead", told):
        measured |= ahead.measure(standing, ahead.QUICK if told.quick else ahead.FULL)
        say("worker measured")
    return measured


def _takes_part(name: str, told: argparse.Namespace) -> bool:
    return told.only is None or name in told.only


def _play(standing: Stand, ready: Ready, told: argparse.Namespace, say: Say) -> Results:
    with ExitStack() as stack:
        broker = ours.contestants(stack, standing)
        bare = others.limits(stack, standing, broker)
        peers = others.peers(stack, standing, ready)
        missing = {name: one for name, one in peers.items() if isinstance(one, Missing)}
        here = [*bare, *broker, *(one for one in peers.values() if not isinstance(one, Missing))]
        here = [one for one in here if _takes_part(one.name, told)]
        say(f"{len(here)} contestants are up")
        played: dict[str, Summary | Missing] = {**bursts.play(here, standing.load, _plan(told), say)}
        say("bursts played")
        results = played | missing
    sys.stdout.write("\n" + "\n".join(report.contestants_table(results, report.titles_of(here))) + "\n\n")
    return results


def _plan(told: argparse.Namespace) -> bursts.Plan:
    if told.quick:
        return bursts.QUICK
    rounds = told.rounds or bursts.FULL.rounds
    rules = Rules(busy=told.busy, least=min(Rules().least, rounds))
    return replace(bursts.FULL, rounds=rounds, most_rounds=8 * rounds, rules=rules)


def _sayer() -> Say:
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - began:6.1f} s] {text}\n")
        sys.stdout.flush()

    return say


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only check that everything runs")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="measure these only, such as near redis bare bare_user; stampede and ahead are names, too",
    )
    parser.add_argument("--rounds", type=int, help="how many rounds of bursts (25)")
    parser.add_argument(
        "--busy",
        type=float,
        default=Rules().busy,
        help="the share of its core that a server must have used for a burst to count (0.95); "
        "figures of a run with less show what the generator or the stores could do, not the server",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
