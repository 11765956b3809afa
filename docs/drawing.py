"""Draws boxes, arrows and sequences as SVG: readable in light and dark, with words for who cannot see it.

Knows nothing of what is drawn; docs/scenes.py and docs/sequences.py do.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

LINE = 17
HEAD_WIDE, FAINT_WIDE = 7.5, 6.9
"""How wide a character is at most, on average, in the fonts that a reader may have."""
PALETTE = {
    "back": ("#ffffff", "#10151b"),
    "ink": ("#16202b", "#e6ebf0"),
    "faint": ("#4a5661", "#a4b0bc"),
    "ours": ("#e6f0fb", "#12304f"),
    "ours-line": ("#0b62b8", "#6fb1f0"),
    "store": ("#fcf1d8", "#41330f"),
    "store-line": ("#8f5d00", "#e0b458"),
    "outside": ("#eef1f4", "#262e37"),
    "outside-line": ("#5c6670", "#8f9ba7"),
    "good": ("#e2f4e8", "#123a22"),
    "good-line": ("#19713c", "#66c58b"),
    "bad": ("#fce9e7", "#4a1c19"),
    "bad-line": ("#b03024", "#ee8d83"),
}
KINDS = ("ours", "store", "outside", "good", "bad")


def _style() -> str:
    light = ";".join(f"--{name}:{shades[0]}" for name, shades in PALETTE.items())
    dark = ";".join(f"--{name}:{shades[1]}" for name, shades in PALETTE.items())
    kinds = "".join(f".{kind}{{fill:var(--{kind});stroke:var(--{kind}-line)}}" for kind in KINDS)
    return (
        f"svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}"
        ".back{fill:var(--back)}.frame{fill:none;stroke:var(--outside-line);stroke-dasharray:5 4}"
        "text{fill:var(--ink);font:13px system-ui,-apple-system,'Segoe UI',sans-serif}"
        ".head{font-weight:600}.faint{fill:var(--faint)}"
        ".label{paint-order:stroke;stroke:var(--back);stroke-width:5px;stroke-linejoin:round}"
        ".way{fill:none;stroke:var(--faint);stroke-width:1.5}.dashed{stroke-dasharray:5 4}"
        f".tip{{fill:var(--faint)}}{kinds}"
    )


class Picture:
    """One picture; coordinates are pixels from the upper left corner."""

    def __init__(self, title: str, told: str, wide: int, high: int) -> None:
        self._title, self._told = title, " ".join(told.split())
        self._wide, self._high = wide, high
        self._parts: list[str] = []

    def box(self, place: tuple[float, float, float, float], words: str, kind: str = "ours") -> None:
        """Draw a box; its lines stand between bars in `words`, the first of them is its head."""
        x, y, wide, high = place
        self._parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{wide}" height="{high}" rx="6"/>')
        lines = words.split(" | ")
        top = y + high / 2 - (len(lines) - 1) * LINE / 2 + 4.5
        for number, line in enumerate(lines):
            if len(line) * (FAINT_WIDE if number else HEAD_WIDE) > wide:
                raise ValueError(f"too long for its box: {line}")
            self.text(x + wide / 2, top + number * LINE, line, "faint" if number else "head")

    def frame(self, place: tuple[float, float, float, float], head: str) -> None:
        """Draw a frame around things that belong together."""
        x, y, wide, high = place
        self._parts.append(f'<rect class="frame" x="{x}" y="{y}" width="{wide}" height="{high}" rx="8"/>')
        self.text(x + 12, y + 20, head, "head", anchor="start")

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "middle") -> None:
        """Write one line."""
        self._parts.append(
            f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def way(
        self, *points: tuple[float, float], words: str = "", dashed: bool = False, at: float = 0.5
    ) -> None:
        """Draw an arrow along the points, with words on its first stretch."""
        line = " ".join(f"{x},{y}" for x, y in points)
        self._parts.append(
            f'<polyline class="way{" dashed" if dashed else ""}" points="{line}" marker-end="url(#tip)"/>'
        )
        if words:
            (x1, y1), (x2, y2) = points[:2]
            level = abs(y1 - y2) < 1
            x, y = x1 + (x2 - x1) * at, y1 + (y2 - y1) * at
            self.text(
                x if level else x + 8,
                y - 7 if level else y + 4,
                words,
                "label",
                "middle" if level else "start",
            )

    def lanes(self, heads: Sequence[tuple[float, str, str]], top: float, bottom: float) -> None:
        """Draw who takes part in a sequence: where, what it is called, of which kind."""
        for x, head, kind in heads:
            self._parts.append(f'<line class="way dashed" x1="{x}" y1="{top + 36}" x2="{x}" y2="{bottom}"/>')
            self.box((x - 66, top, 132, 36), head, kind)

    def svg(self) -> str:
        """Return the whole picture."""
        marker = (
            '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto-start-reverse" markerUnits="userSpaceOnUse">'
            '<path class="tip" d="M0 0L8 4L0 8z"/></marker>'
        )
        size = f'viewBox="0 0 {self._wide} {self._high}" width="{self._wide}" height="{self._high}"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title told">',
                f'<title id="title">{escape(self._title)}</title>',
                f'<desc id="told">{escape(self._told)}</desc>',
                f"<style>{_style()}</style>",
                f"<defs>{marker}</defs>",
                f'<rect class="back" width="{self._wide}" height="{self._high}"/>',
                *self._parts,
                "</svg>\n",
            ]
        )
