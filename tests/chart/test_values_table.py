"""The chart's README: its table is what values.yaml says, and every value is said something about."""

from tests.chart.values_table import README, VALUES, documented, table, undocumented, with_table

TEXT = """\
# Not about a key.
# -- Where it is.
image:
  repository: ""
group:
  # -- How many | which.
  count: 2
  unsaid: true
"""


def test_a_comment_is_about_the_key_below_it():
    assert documented(TEXT) == {"image": "Where it is.", "group.count": "How many | which."}


def test_what_nobody_says_anything_about_is_found():
    assert undocumented(TEXT) == ["group.unsaid"]


def test_a_row_has_the_path_the_default_and_the_meaning():
    assert table(TEXT).splitlines()[-1] == r"| `group.count` | `2` | How many \| which. |"


def test_every_value_of_the_chart_is_documented():
    assert undocumented(VALUES.read_text()) == []


def test_the_readme_has_the_table_of_the_values_as_they_are():
    readme = README.read_text()
    assert with_table(readme, VALUES.read_text()) == readme
