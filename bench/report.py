"""Writes the tables that people read. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.contestants import Contestant
from bench.figures import Figure, Results
from bench.samples import Summary

_HEAD = (
    f"{'contestant':<38} {'req/s p90':>9} {'median':>8} {'x bare':>7} {'us/req':>7} {'core':>5} {'rest':>5} "
    f"{'p50 ms':>7} {'p99 ms':>7} {'bursts':>7}"
)


def contestants_table(results: Results, titles: Mapping[str, str]) -> list[str]:
    """Return a line for each contestant; one without a figure says why."""
    bare = results.get("bare")
    base = bare.rate if isinstance(bare, Summary) and bare.bursts else None
    lines = [_HEAD, "-" * len(_HEAD)]
    for name, found in results.items():
        title = titles.get(name, name)
        if isinstance(found, Summary):
            lines += _row(title, found, base)
        else:
            lines.append(f"{title:<38} missing: {found.why}")
    return lines


def _row(title: str, found: Summary, base: float | None) -> list[str]:
    if not found.bursts:
        return [f"{title:<38} {found.why}"]
    rest = f"{'-':>5}" if found.rest_share is None else f"{found.rest_share:5.2f}"
    times = f"{found.rate / base:7.2f}" if base else f"{'-':>7}"
    line = (
        f"{title:<38} {found.rate:9.0f} {found.usual_rate:8.0f} {times} {found.cpu_us:7.1f} "
        f"{found.core_share:5.2f} {rest} {found.p50_ms:7.2f} {found.p99_ms:7.2f} "
        f"{len(found.bursts):>3}/{len(found.bursts) + (found.refused if found.stands else 0):<3}"
    )
    return [line] if found.stands else [line, f"{'':<38} no figure: {found.why}"]


def figures_table(figures: Mapping[str, Figure], bounds: Mapping[str, str]) -> list[str]:
    """Return a line for each figure: the value, how far it went to both sides, what it is to show."""
    head = f"{'figure':<26} {'value':>9} {'spread':>17}  {'to show':<12}"
    return [head, "-" * len(head), *(_figure(name, one, bounds[name]) for name, one in figures.items())]


def _figure(name: str, one: Figure, bound: str) -> str:
    if one.value is None:
        return f"{name:<26} {'null':>9} {'':>17}  {bound:<12} {one.why}"
    between = f"{one.low:.2f} .. {one.high:.2f}" if one.low is not None and one.high is not None else ""
    return f"{name:<26} {one.value:9.2f} {between:>17}  {bound:<12}"


def titles_of(contestants: Sequence[Contestant]) -> dict[str, str]:
    """Return what each contestant is called in a table."""
    return {one.name: one.title for one in contestants}
