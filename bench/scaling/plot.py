"""Draws the report's two pictures as SVG, with nothing but text: how cost grows, and a day's calls."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape

_WIDE, _HIGH = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 250, 40, 50
_COLOURS = ("#0b6bcb", "#c2410c", "#15803d", "#7e22ce", "#b91c1c", "#0f766e", "#a16207", "#475569")
_FONT = 'font-family="system-ui, sans-serif"'

Series = Mapping[str, Sequence[tuple[float, float]]]


def growth(title: str, x_name: str, y_name: str, series: Series) -> str:
    """Draw lines over two logarithmic axes."""
    points = [point for line in series.values() for point in line]
    x_from, x_to = _decades(x for x, _ in points)
    y_from, y_to = _decades(y for _, y in points)

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (math.log10(x) - x_from) / (x_to - x_from) * (_WIDE - _LEFT - _RIGHT),
            _HIGH - _BOTTOM - (math.log10(y) - y_from) / (y_to - y_from) * (_HIGH - _TOP - _BOTTOM),
        )

    parts = [*_frame(title, x_name, y_name)]
    across, up = range(x_from, x_to + 1), range(y_from, y_to + 1)
    parts += (_tick(place(10.0**n, 10.0**y_from), _short(10.0**n)) for n in across)
    parts += (_rule(place(10.0**x_from, 10.0**n)[1], _short(10.0**n)) for n in up)
    for number, (name, line) in enumerate(series.items()):
        parts += _line(name, [place(*point) for point in line], number)
    return _svg(parts)


def hours(title: str, y_name: str, most: float, most_name: str, series: Series) -> str:
    """Draw a day's hours as lines over plain axes, with the most that is allowed."""
    top = max([most, *(y for line in series.values() for _, y in line)]) * 1.1

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + x / 24 * (_WIDE - _LEFT - _RIGHT),
            _HIGH - _BOTTOM - y / top * (_HIGH - _TOP - _BOTTOM),
        )

    parts = [*_frame(title, "hour of the day, UTC", y_name)]
    step = 10.0 ** math.floor(math.log10(top))
    parts += (_tick(place(hour, 0), str(hour)) for hour in range(0, 25, 3))
    parts += (_rule(place(0, n * step)[1], _short(n * step)) for n in range(int(top / step) + 1))
    every = {most_name: [(0.0, most), (24.0, most)], **series}
    for number, (name, line) in enumerate(every.items()):
        parts += _line(name, [place(*point) for point in line], number)
    return _svg(parts)


def _decades(values: Iterable[float]) -> tuple[int, int]:
    logs = [math.log10(value) for value in values]
    low, high = math.floor(min(logs) + 0.02), math.ceil(max(logs) - 0.02)
    return low, max(high, low + 1)


def _frame(title: str, x_name: str, y_name: str) -> list[str]:
    middle, turned = (_LEFT + _WIDE - _RIGHT) / 2, f"translate(16 {_HIGH / 2:.0f}) rotate(-90)"
    return [
        f'<rect width="{_WIDE}" height="{_HIGH}" fill="#ffffff"/>',
        _text(_LEFT, 22, title, size=15, weight="bold"),
        _text(middle, _HIGH - 12, x_name, anchor="middle"),
        f'<g transform="{turned}">{_text(0, 0, y_name, anchor="middle")}</g>',
    ]


def _line(name: str, places: Sequence[tuple[float, float]], number: int) -> list[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    at = _TOP + 14 + number * 20
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
        f'<rect x="{_WIDE - _RIGHT + 18}" y="{at - 9}" width="12" height="12" fill="{colour}"/>',
        _text(_WIDE - _RIGHT + 36, at + 1, name),
    ]


def _tick(at: tuple[float, float], name: str) -> str:
    return _text(at[0], at[1] + 18, name, anchor="middle")


def _rule(y: float, name: str) -> str:
    across = f'<line x1="{_LEFT}" x2="{_WIDE - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e8f0"/>'
    return across + _text(_LEFT - 8, y + 4, name, anchor="end")


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", weight: str = "") -> str:
    looks = f'font-size="{size}" text-anchor="{anchor}" fill="#0f172a" {_FONT}'
    bold = f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" {looks}{bold}>{escape(text)}</text>'


def _short(value: float) -> str:
    for size, name in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{name}"
    return f"{value:g}"


def _svg(parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" role="img">'
    return "\n".join([head, *parts, "</svg>", ""])
