"""The dashboard can be read: every panel says what good looks like, in a unit, in a place of its own."""

import json
from itertools import combinations

import pytest

from tests.support.promql import DASHBOARD, expressions, panels

BOARD = json.loads(DASHBOARD.read_text())
PANELS = {panel["title"]: panel for panel in panels()}
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def places():
    return [(panel["title"], panel["gridPos"]) for panel in BOARD["panels"]]


def overlap(one, other):
    apart = (
        one["x"] + one["w"] <= other["x"]
        or other["x"] + other["w"] <= one["x"]
        or one["y"] + one["h"] <= other["y"]
        or other["y"] + other["h"] <= one["y"]
    )
    return not apart


def test_ids_and_titles_are_used_once():
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(PANELS) == len(panels())


def test_no_panel_lies_on_another_or_beyond_the_edge():
    lying_on = [(one, other) for (one, a), (other, b) in combinations(places(), 2) if overlap(a, b)]
    assert lying_on == []
    assert [title for title, at in places() if at["x"] + at["w"] > 24 or at["h"] < 1] == []


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_says_what_good_looks_like_and_in_which_unit(title):
    panel = PANELS[title]
    assert len(panel["description"]) > 25
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_reads_the_data_source_and_the_installation_that_were_chosen(title):
    panel = PANELS[title]
    assert [one["datasource"] for one in (panel, *panel["targets"])] == [DATA_SOURCE] * (
        1 + len(panel["targets"])
    )
    assert len({one["refId"] for one in panel["targets"]}) == len(panel["targets"])
    for one in panel["targets"]:
        assert one["expr"].count("{") == one["expr"].count('{namespace=~"$namespace",job=~"$job"')


def test_what_is_chosen_from_is_what_the_expressions_use():
    chosen = [variable["name"] for variable in BOARD["templating"]["list"]]
    assert chosen == ["datasource", "namespace", "job", "client"]
    assert BOARD["templating"]["list"][0]["type"] == "datasource"
    assert [name for name, expr in expressions() if "$" in expr] == []


def test_it_begins_with_whether_all_is_well():
    first, second, *_ = BOARD["panels"]
    assert (first["type"], first["title"]) == ("row", "Is all well?")
    assert second["title"] == "Upstream calls per replaced pair"
