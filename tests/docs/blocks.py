"""Takes the pages of the documentation apart: their fenced blocks, and the mark in the comment before one.

<!-- needs root -->
```sh
systemctl restart token-broker
```
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"(?P<indent> *)```(?P<language>\w*)")
MARK = re.compile(r" *<!-- *(?P<mark>.+?) *-->")
NAMED = re.compile(r"(?://|#) (?P<name>[\w./\[\]-]+\.\w+)")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, its language, its text, and the mark before it, if there is one."""

    page: str
    line: int
    language: str
    text: str
    mark: str | None

    def __str__(self):
        return f"{self.page}:{self.line}"


def pages():
    """Return the pages that tell people what to do, by their paths in this repository."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")), ROOT / "helm" / "README.md"]
    return [str(page.relative_to(ROOT)) for page in found if page.exists()]


def blocks_of(page, *languages):
    """Return a page's blocks in their order; those of these languages, if any are named."""
    blocks = list(_read(page, (ROOT / page).read_text().splitlines()))
    return [block for block in blocks if not languages or block.language in languages]


def files_of(page):
    """Return the files a page shows, path to text: blocks that begin with their path in a comment."""
    named = ((NAMED.match(block.text), block.text) for block in blocks_of(page))
    return {found["name"]: text for found, text in named if found}


def _read(page, lines):
    numbered = iter(enumerate(lines, start=1))
    mark = None
    for number, line in numbered:
        if fence := FENCE.match(line):
            yield Block(page, number, fence["language"], _inside(numbered, fence["indent"]), mark)
        comment = MARK.fullmatch(line)
        mark = comment["mark"] if comment else mark if not line.strip() else None


def _inside(numbered, indent):
    """Read on to the closing fence and return what stands before it."""
    inside = []
    for _, line in numbered:
        if line.strip() == "```":
            break
        inside.append(line.removeprefix(indent))
    return "\n".join(inside) + "\n"
