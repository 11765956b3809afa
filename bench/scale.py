"""`python -m bench.scale`: what ten thousand to ten million grants cost, and a day of a million users.

Starts everything itself. Saves what it measured in bench/results/scale.json, which `make bench` reads, and
writes the tables and pictures of docs/scale.md anew. With `--quick` it only shows that it runs.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from bench.machine import describe
from bench.programs import ROOT
from bench.saved import SCALE
from bench.scaling import growth, page
from bench.scaling.day import Day, Scene
from bench.scaling.growth import Say
from bench.scaling.site import site

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
DAYS = {
    "5 % come, 450 a minute": Scene(seen=0.05),
    "10 % come, 450 a minute": Scene(seen=0.10),
    "10 % come, 500 a minute": Scene(seen=0.10, rate_a_minute=500),
    "10 % come, one of two clients": Scene(seen=0.10, users=500_000),
    "5 % come, 120 a minute": Scene(seen=0.05, rate_a_minute=120),
}
"""Two clients have a budget each and half of the users: one of them is lived through."""
_MEASURED = ("service", "worker", "sql")
_QUICK_DAY = Scene(users=2_000, seen=0.2, rate_a_minute=9, warm_up_s=3600.0, lasts_s=6 * 3600.0)

Results = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code."""
    told = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything that was started is ended
    say = _sayer()
    results: Results = json.loads(SCALE.read_text()) if SCALE.exists() and not told.quick else {}
    if told.only in (None, "sizes"):
        _measure_sizes(told, results, say)
    if told.only in (None, "days"):
        _live_days(told, results, say)
    if not told.quick and {"sizes", "days"} <= results.keys():
        page.write(results)
    sys.stdout.write(f"{json.dumps(results)}\n")
    return 1 if any("missing" in line for line in results.get("sizes", {}).values()) else 0


def _measure_sizes(told: argparse.Namespace, results: Results, say: Say) -> None:
    sizes = [growth.BASE] if told.quick else told.sizes
    effort = growth.QUICK if told.quick else growth.FULL
    lines = results.setdefault("sizes", {})
    with site(small=told.quick) as where:
        for name, line in growth.measure(where, sizes, effort, say):
            lines[name] = _rounded(line) | _made_by()
            results["sizes"] = lines = dict(sorted(lines.items(), key=lambda item: int(item[0])))
            results |= due_growth(lines)
            _save(told, results)


def due_growth(lines: Results) -> Results:
    """Return the figure that the benchmark reads, once ten million grants were measured."""
    largest = lines.get(str(SIZES[-1]), {})
    return {"due_10m_vs_10k": largest["due_vs_10k"]} if "due_vs_10k" in largest else {}


def _live_days(told: argparse.Namespace, results: Results, say: Say) -> None:
    scenes = {"a quick one": _QUICK_DAY} if told.quick else DAYS
    days: list[Results] = []
    gc.disable()  # a million users are no cycles, and to look for some took a quarter of the time
    for name, scene in scenes.items():
        began = time.monotonic()
        figures = _rounded(Day(replace(scene, seed=told.seed)).run())
        days.append({"name": name, "scene": asdict(scene)} | figures)
        say(f"{name}: lived through in {time.monotonic() - began:.0f} s")
    gc.enable()
    results["days"] = days
    results["days_made_by"] = _made_by()
    _save(told, results)


def _save(told: argparse.Namespace, results: Results) -> None:
    if not told.quick:
        SCALE.parent.mkdir(exist_ok=True)
        SCALE.write_text(json.dumps(results, indent=1) + "\n")


def _made_by() -> Results:
    """Say on which machine and with which code it was measured, by git's own names for its folders."""
    command = ["git", "rev-parse", *(f"HEAD:{folder}" for folder in _MEASURED)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - no shell
    except (FileNotFoundError, subprocess.CalledProcessError):
        return {"machine": _machine(), "code": None}
    names = (name[:12] for name in done.stdout.split())
    return {"machine": _machine(), "code": dict(zip(_MEASURED, names, strict=True))}


def _machine() -> str:
    memory_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{describe().partition(', Linux')[0]}, {memory_gb:.0f} GB"


def _rounded(line: dict[str, object]) -> Results:
    return {name: float(f"{v:.4g}") if isinstance(v, float) else v for name, v in line.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument(
        "--quick", action="store_true", help="ten thousand grants and a short day; saves nothing"
    )
    parser.add_argument("--sizes", type=_sizes, default=list(SIZES), help="such as 10000,1000000")
    parser.add_argument("--only", choices=("sizes", "days"), help="one half; the other stays as it was saved")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated days")
    return parser


def _sizes(text: str) -> list[int]:
    sizes = [int(part) for part in text.split(",")]
    if any(size % growth.FULL.due for size in sizes):
        raise argparse.ArgumentTypeError(f"each is a multiple of {growth.FULL.due:,}")
    return sizes


def _sayer() -> Say:
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:6.0f} s  {text}\n")
        sys.stdout.flush()

    return say


if __name__ == "__main__":
    sys.exit(main())
