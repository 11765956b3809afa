"""Every link of the documentation leads somewhere."""

import re
from functools import cache

import pytest

from tests.docs.blocks import ROOT, pages

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} +(.+?)$", re.MULTILINE)
NAMED = re.compile(r'<a (?:id|name)="([^"]+)"')


def prose(page):
    return FENCED.sub("", (ROOT / page).read_text())


@cache
def anchors(page):
    """Return what a page's headings are called in links, as code hosts name them, and its own anchors."""
    text = prose(page)
    found, seen = set(NAMED.findall(text)), {}
    for heading in HEADING.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(anchor if anchor not in seen else f"{anchor}-{seen[anchor]}")
        seen[anchor] = seen.get(anchor, 0) + 1
    return found


def dead(page, target):
    """Return whether a link leads nowhere; other sites' pages are their own affair."""
    if re.match(r"[a-z]+:", target):
        return False
    path, _, anchor = target.partition("#")
    there = (ROOT / page).parent / path if path else ROOT / page
    if not there.exists():
        return True
    return bool(anchor) and anchor not in anchors(str(there.resolve().relative_to(ROOT)))


@pytest.mark.parametrize("page", pages())
def test_no_link_of_a_page_is_dead(page):
    assert [target for target in LINK.findall(prose(page)) if dead(page, target)] == []


def test_every_page_can_be_found_from_the_index():
    linked = {target.partition("#")[0] for target in LINK.findall(prose("docs/README.md"))}
    there = {page.removeprefix("docs/") for page in pages() if page.startswith("docs/")} - {"README.md"}
    assert there <= linked


@pytest.mark.parametrize("target", ["nowhere.md", "configuration.md#nowhere", "#nowhere"])
def test_a_dead_link_is_found(target):
    assert dead("docs/configuration.md", target)
