"""Cells of an export, which somebody opens in a spreadsheet: what users wrote must not run there."""

import pytest

from service.moving.export import cell_of


@pytest.mark.parametrize("text", ['=HYPERLINK("http://evil.example")', "+1+cmd", "-2", "@SUM(1)", "\t=1"])
def test_what_a_spreadsheet_would_take_for_a_formula_is_text_to_it(text):
    assert cell_of(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "cell"),
    [("Ann = Bob", "Ann = Bob"), (None, None), (-3, -3), (True, "true"), ({"a": 1}, '{"a": 1}')],
)
def test_other_values_are_as_they_were(value, cell):
    assert cell_of(value) == cell
