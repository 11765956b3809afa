"""The alerts and the dashboard ask for metrics and labels that the broker registers, and for all of them."""

import re

import pytest

from tests.support.promql import TARGET_LABELS, alerts, expressions, grouped_by, registered, selectors

OURS = registered()
# Of every process, by Prometheus' own client and by Prometheus itself.
OTHERS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}
OTHERS |= {"process_start_time_seconds"}
EXPRESSIONS = dict(expressions())


def labels_of(selector):
    return TARGET_LABELS | OURS.get(selector.metric, OURS.get(selector.family, set()))


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_metric_in_it_is_one_of_ours_or_of_every_process(name):
    asked = selectors(EXPRESSIONS[name])
    assert asked
    assert [
        one.metric for one in asked if one.metric not in OURS.keys() | OTHERS and one.family not in OURS
    ] == []


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_label_in_it_is_one_of_its_metric(name):
    asked = selectors(EXPRESSIONS[name])
    matched = [
        (one.metric, label) for one in asked for label, *_ in one.matchers if label not in labels_of(one)
    ]
    known = set().union(*map(labels_of, asked))
    assert matched == []
    assert grouped_by(EXPRESSIONS[name]) <= known


def test_no_metric_of_ours_is_left_out_of_the_dashboard():
    shown = {one for name, expr in EXPRESSIONS.items() if "/" in name for one in selectors(expr)}
    assert OURS.keys() - {one.metric for one in shown} - {one.family for one in shown} == set()


@pytest.mark.parametrize("name", alerts())
def test_an_alert_speaks_only_of_labels_that_it_has(name):
    rule = alerts()[name]
    spoken_of = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    kept = grouped_by(rule["expr"]) | ({"instance"} if rule["expr"].startswith("up") else set())
    assert spoken_of <= kept


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(name):
    rule = alerts()[name]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert len(rule["annotations"]["summary"]) < 100
    assert len(rule["annotations"]["description"]) > 100
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"


def test_a_gauge_that_every_worker_has_a_copy_of_is_never_added_up():
    gauges = {"bricked_users", "users", "due", "overdue_seconds", "expired_claims", "rate_budget_remaining"}
    pattern = rf"\bsum\s*(?:by\s*\([^)]*\))?\s*\(\s*token_broker_(?:{'|'.join(gauges)})\b"
    assert [name for name, expr in EXPRESSIONS.items() if re.search(pattern, expr)] == []
