"""The page's tables and pictures: made of the saved results, and of nothing else."""

import json
from xml.etree import ElementTree as ET

import pytest

from bench.saved import SCALE
from bench.scaling import page, plot

SAVED = json.loads(SCALE.read_text())
SVG = "{http://www.w3.org/2000/svg}"


def test_the_page_shows_what_was_saved():
    text = page.PAGE.read_text()
    assert page.filled(text, SAVED) == text


@pytest.mark.parametrize(
    ("picture", "drawn"), [(page.GROWTH, page.growth_picture), (page.DAY, page.day_picture)]
)
def test_the_pictures_show_what_was_saved(picture, drawn):
    assert picture.read_text() == drawn(SAVED)


def test_a_size_that_did_not_fit_has_no_figures_and_no_point():
    results = {"sizes": {**SAVED["sizes"], "100000000": {"missing": "no room"}}}

    assert "| - |" in page.sizes_table(results)
    assert "100 M" not in page.growth_picture(results)


def test_a_line_goes_up_where_its_values_do():
    drawn = plot.growth("", "x", "y", {"steep": [(10.0, 1.0), (100.0, 100.0)], "flat": [(10.0, 1.0)]})

    line = ET.fromstring(drawn).find(f"{SVG}polyline").get("points")
    (left, low), (right, high) = (map(float, point.split(",")) for point in line.split())
    assert left < right
    assert high < low


def test_names_are_text_whatever_is_in_them():
    drawn = plot.hours("a < b & c", "y", 10.0, "most", {"<script>": [(0.0, 1.0), (1.0, 2.0)]})
    texts = [text.text for text in ET.fromstring(drawn).iter(f"{SVG}text")]
    assert {"a < b & c", "<script>"} <= set(texts)
