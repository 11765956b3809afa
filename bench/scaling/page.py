"""Puts what was measured into docs/scale.md and its pictures: each figure there is a saved result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from bench.scaling import plot

DOCS = Path(__file__).parents[2] / "docs"
PAGE, GROWTH, DAY = DOCS / "scale.md", DOCS / "scale-growth.svg", DOCS / "scale-day.svg"
_BASE = "10000"

Line = Mapping[str, Any]
Results = Mapping[str, Any]
Write = Callable[[Any], str]


def _ms(value: float) -> str:
    return f"{value:,.2f} ms" if value < 10 else f"{value:,.0f} ms"  # noqa: PLR2004 - what reads well


def _s(value: float) -> str:
    return f"{value:,.1f} s"


def _size(value: float) -> str:
    return f"{value / 1e9:,.1f} GB" if value >= 1e9 else f"{value / 1e6:,.1f} MB"  # noqa: PLR2004 - what reads well


def _kb(value: float) -> str:
    return f"{value / 1e3:,.1f} kB"


def _times(value: float) -> str:
    return f"{value:.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


ROWS: Sequence[tuple[str, str, Write]] = (
    ("due query, 500 of 10,000 due", "due_ms", _ms),
    ("÷ at 10 thousand, measured in turn with it", "due_vs_10k", _times),
    ("claim of 500 (the due query in it), taken back", "claim_ms", _ms),
    ("÷ at 10 thousand, measured in turn with it", "claim_vs_10k", _times),
    ("claim of 500, committed", "claim_committed_ms", _ms),
    ("settling 500", "settle_ms", _ms),
    ("÷ at 10 thousand, measured in turn with it", "settle_vs_10k", _times),
    ("500 refreshes ahead of time from claim to commit, upstream answers at once", "sweep_ms", _ms),
    ("÷ at 10 thousand, measured in turn with it", "sweep_vs_10k", _times),
    ("table of grants", "grants_bytes", _size),
    ("index on what is due", "grants_due_bytes", _size),
    ("primary key of the grants", "grants_pkey_bytes", _size),
    ("whole database", "database_bytes", _size),
    ("rows written for a refresh", "rows_a_refresh", _times),
    ("index entries written for a refresh", "index_entries_a_refresh", _times),
    ("write-ahead log for a refresh", "wal_bytes_a_refresh", _kb),
    ("the same right after a checkpoint (whole pages)", "wal_bytes_a_refresh_after_checkpoint", _kb),
    ("the worker's count over the tables, once a minute", "gauges_ms", _ms),
    ("worker: start until it is probed, before its first count", "worker_start_s", _s),
    ("worker: memory, after all were replaced", "worker_bytes", _size),
    ("service: start to its first answer", "service_start_s", _s),
    ("service: memory, after 2,000 users", "service_bytes", _size),
)
LINES = {
    "due query": "due_vs_10k",
    "claim of 500": "claim_vs_10k",
    "settling 500": "settle_vs_10k",
    "500 refreshes ahead": "sweep_vs_10k",
    "log after a checkpoint": "wal_bytes_a_refresh_after_checkpoint",
    "worker's memory": "worker_bytes",
    "index on what is due": "grants_due_bytes",
    "count over the tables": "gauges_ms",
}
DAY_ROWS: Sequence[tuple[str, str, Write]] = (
    ("requests", "requests", lambda value: f"{value:,}"),
    ("served without waiting", "at_once", _share),
    ("of open pages that come back", "at_once_open_pages", _share),
    ("wait of the others, p50", "waited_p50_s", _s),
    ("wait of the others, p99", "waited_p99_s", _s),
    ("never served", "never_served", _share),
    ("upstream calls", "calls", lambda value: f"{value:,}"),
    ("upstream calls in the busiest hour", "calls_an_hour", lambda value: f"{max(value):,}"),
    ("overdue when taken, p50", "overdue_p50_s", _s),
    ("overdue when taken, p99", "overdue_p99_s", _s),
    ("overdue when taken, at most", "overdue_max_s", _s),
    ("replaced ahead only after they had ended", "replaced_after_end", _share),
)


def write(results: Results) -> None:
    """Write the page's tables anew, and the pictures."""
    PAGE.write_text(filled(PAGE.read_text(), results))
    GROWTH.write_text(growth_picture(results))
    DAY.write_text(day_picture(results))


def filled(page: str, results: Results) -> str:
    """Return the page with its tables made of the results; each stands between two comments."""
    for name, table in (("sizes", sizes_table(results)), ("days", days_table(results))):
        begins, ends = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begins)
        page = f"{before}{begins}\n{table}\n\n{ends}{rest.partition(ends)[2]}"
    return page


def sizes_table(results: Results) -> str:
    """Return the table of what each size costs."""
    sizes = cast("Mapping[str, Line]", results["sizes"])
    head = ["grants", *(f"{int(name):,}" for name in sizes)]
    return _table(head, ROWS, list(sizes.values()))


def days_table(results: Results) -> str:
    """Return the table of the simulated days."""
    days = cast("Sequence[Line]", results["days"])
    head = ["a day of a million users", *(str(day["name"]) for day in days)]
    return _table(head, DAY_ROWS, days)


def growth_picture(results: Results) -> str:
    """Return how cost grows, each line in proportion to its own at 10 thousand grants."""
    sizes = {int(name): line for name, line in results["sizes"].items()}
    first = sizes[int(_BASE)]
    series: dict[str, list[tuple[float, float]]] = {}
    for name, key in LINES.items():
        base = 1.0 if key.endswith("_vs_10k") else first[key]
        series[name] = [(float(grants), line[key] / base) for grants, line in sizes.items() if key in line]
    return plot.growth("What more grants cost", "grants", "times as much as with 10 thousand", series)


def day_picture(results: Results) -> str:
    """Return the calls of each day's hours at the default budget."""
    series = {
        str(day["name"]): [(hour + 0.5, float(calls)) for hour, calls in enumerate(day["calls_an_hour"])]
        for day in results["days"]
    }
    title = "Upstream calls of a million users"
    return plot.hours(title, "calls an hour", 27_000.0, "default budget: 450 a minute", series)


def _table(head: Sequence[str], rows: Sequence[tuple[str, str, Write]], columns: Sequence[Line]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' + '---:|' * len(columns)}"]
    for name, key, as_text in rows:
        cells = [as_text(column[key]) if key in column else "-" for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
