"""Wrong values: what counts as refused by name, as used, and as silently dropped."""

import pytest

from tests.chart.samples import small_chart
from tests.chart.values import UNKNOWN, check_values

ACCOUNT = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n"
VALUES = "labels: {}\nservice: {replicas: 1}\n"


def problems(folder, template="", schema=None):
    """Return what is found in a chart of these values, by the value's name."""
    small_chart(folder, [], template=ACCOUNT + template, values=VALUES, strict=False)
    if schema:
        (folder / "chart" / "values.schema.json").write_text(schema)
    _, found = check_values([folder / "shapes" / "everything-on.yaml"], folder / "chart")
    return {problem.path: problem.text for problem in found}


def test_without_a_schema_every_wrong_value_is_a_finding(tmp_path):
    assert set(problems(tmp_path)) == {
        "labels", f"labels.{UNKNOWN}", "service", f"service.{UNKNOWN}", "service.replicas", UNKNOWN
    }  # fmt: skip


def test_a_group_of_the_users_own_words_may_take_any_that_it_uses(tmp_path):
    used = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {{ toJson .Values.labels }}\n"

    found = problems(tmp_path, used)

    # Both reach the manifest: an unknown label is meant, and "labels: wrong" is refused there.
    assert not [path for path in found if path.startswith("labels")]


def test_a_refusal_must_name_the_value(tmp_path):
    guard = '{{ if kindIs "map" .Values.service.replicas }}{{ fail "that cannot be" }}{{ end }}'

    assert "is not named by" in problems(tmp_path, guard)["service.replicas"]


@pytest.mark.parametrize("name", ["service.replicas", "/service/replicas"])
def test_a_refusal_that_names_the_value_is_what_is_wanted(tmp_path, name):
    guard = '{{ if kindIs "map" .Values.service.replicas }}{{ fail "%s: not a number" }}{{ end }}'

    assert "service.replicas" not in problems(tmp_path, guard % name)


def test_a_group_is_not_named_by_a_message_about_one_of_its_keys(tmp_path):
    guard = '{{ if kindIs "string" .Values.service }}{{ fail "service.replicas is missing" }}{{ end }}'

    assert "is not named by" in problems(tmp_path, guard)["service"]
