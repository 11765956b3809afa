"""The fifteen figures: how each comes of what was measured. Decides; measures nothing.

A figure that cannot be had is None with a reason, never a guess.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bench.samples import Summary, ratio, spread

RATIOS = {
    "near_vs_bare": ("near", "bare_user"),
    "redis_vs_bare": ("redis", "bare"),
    "redis_vs_ioredis": ("redis", "node_ioredis"),
    "near_vs_ioredis": ("near", "node_ioredis"),
    "redis_vs_node_pg": ("redis", "node_pg"),
    "redis_vs_next_prisma": ("redis", "next_prisma"),
    "redis_vs_handwritten": ("redis", "next_handwritten"),
    "rotation_vs_handwritten": ("rotation", "next_handwritten"),
    "observed_vs_bare_path": ("redis", "redis_unobserved"),
}
SCALING = ("redis", "redis_two", "bare", "bare_two")
MEASURED = (
    "stampede_upstream_calls", "stampede_added_p99_ms", "ahead_per_s", "ahead_core_share_at_278",
    "due_10m_vs_10k",
)  # fmt: skip
KEYS = (
    "near_vs_bare", "redis_vs_bare", "redis_vs_ioredis", "near_vs_ioredis", "redis_vs_node_pg",
    "redis_vs_next_prisma", "redis_vs_handwritten", "rotation_vs_handwritten", "scaling_2",
    "stampede_upstream_calls", "stampede_added_p99_ms", "ahead_per_s", "ahead_core_share_at_278",
    "due_10m_vs_10k", "observed_vs_bare_path",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, how far it went to both sides, or why there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str | None = None
    missing: bool = False
    """Whether what it needs is not there, which is no failure of the run."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that could not be started, such as a peer that is not installed."""

    why: str


Results = Mapping[str, Summary | Missing]


def figures(results: Results, measured: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return every figure under its name, in their order."""
    made = {name: _ratio(results, *pair) for name, pair in RATIOS.items()}
    made["scaling_2"] = _scaling(results)
    for name in MEASURED:
        made[name] = measured.get(name, Figure(None, why="it was not measured"))
    return {name: made[name] for name in KEYS}


def _ratio(results: Results, one: str, other: str) -> Figure:
    found = _standing(results, one, other)
    if isinstance(found, Figure):
        return found
    low, high = spread(*found)
    return Figure(ratio(*found), low, high)


def _scaling(results: Results) -> Figure:
    """How an answer's processor time holds with a second process, as a quotient of the framework's own."""
    found = _standing(results, *SCALING)
    if isinstance(found, Figure):
        return found
    one, two, bare, bare_two = found
    return Figure((one.cpu_us / two.cpu_us) / (bare.cpu_us / bare_two.cpu_us))


def _standing(results: Results, *names: str) -> list[Summary] | Figure:
    """Return these contestants' summaries, or the figure that says why there is none."""
    standing = []
    for name in names:
        found = results.get(name, Missing("it did not take part"))
        if isinstance(found, Missing):
            return Figure(None, why=f"{name}: {found.why}", missing=True)
        if not found.stands:
            return Figure(None, why=f"{name}: {found.why}")
        standing.append(found)
    return standing


Line = dict[str, float | dict[str, list[float | None]] | None]


def line(all_figures: Mapping[str, Figure]) -> Line:
    """Return the figures as the run's last line has them, and under `spread` how far each one varied."""
    values: Line = {name: _rounded(figure.value) for name, figure in all_figures.items()}
    values["spread"] = {
        name: [_rounded(figure.low), _rounded(figure.high)]
        for name, figure in all_figures.items()
        if figure.low is not None and figure.high is not None and figure.low == figure.low  # no NaN
    }
    return values


def failures(all_figures: Mapping[str, Figure], but: Collection[str] = ()) -> list[str]:
    """Return why figures that should be there are not; what is missing is no failure, nor is one of `but`."""
    return [
        f"{name}: {figure.why}"
        for name, figure in all_figures.items()
        if figure.value is None and not figure.missing and name not in but
    ]


def _rounded(value: float | None) -> float | None:
    if value is None:
        return None
    return round(value) if value == round(value) else float(f"{value:.4g}")
