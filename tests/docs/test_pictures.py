"""The pictures are those that `make docs` draws, and say in words what they show."""

from xml.etree import ElementTree as ET

import pytest

from docs.drawing import PALETTE, Picture
from docs.sequences import PICTURES, drawn
from tests.docs.blocks import ROOT

DRAWN = drawn()
SVG = "{http://www.w3.org/2000/svg}"


def test_there_are_the_pictures_that_are_drawn_and_no_others():
    assert set(PICTURES.glob("*.svg")) == set(DRAWN)


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.name)
def test_a_picture_is_the_one_that_make_docs_draws(path):
    assert path.read_text() == DRAWN[path], "run `make docs`, and commit what it drew"


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.name)
def test_a_picture_is_named_and_described_for_who_cannot_see_it(path):
    picture = ET.parse(path).getroot()
    words = {part.get("id"): part.text for part in (picture.find(f"{SVG}title"), picture.find(f"{SVG}desc"))}

    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby").split() == list(words)
    assert all(words.values())


def test_each_is_shown_on_the_page_with_words_of_its_own():
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert [path.name for path in DRAWN if f"](pictures/{path.name})" not in page] == []
    assert "![](" not in page


def luminance(shade):
    parts = [int(shade[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ground", ["back", "ours", "store", "outside", "good", "bad"])
@pytest.mark.parametrize("ink", ["ink", "faint"])
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_can_be_read_on_every_ground(ground, ink, scheme):
    pair = sorted(luminance(PALETTE[name][scheme]) for name in (ground, ink))
    assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5


def test_words_that_do_not_fit_into_their_box_are_refused():
    with pytest.raises(ValueError, match="too long"):
        Picture("a title", "a description", 100, 100).box((0, 0, 50, 20), "far too long for it")
