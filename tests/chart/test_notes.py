"""What Helm says after an installation: how to reach it, what to do next, and what to look at."""

import re
from functools import cache

import pytest

from tests.chart.found import MINIMAL, merged, shape
from tests.chart.helm import CHART, run

INGRESS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}]
KEDA = {"enabled": True, "serverAddress": "http://prometheus.monitoring:9090"}
GOOD = {
    "image": {"digest": "sha256:" + "0" * 64},
    "config": {"TRUSTED_PROXIES": ["10.0.0.0/8"]},
    "networkPolicy": {"public": INGRESS, "internal": INGRESS, "observe": INGRESS},
}


def notes(changes=None, values=None):
    """Return the notes, as one line of words."""
    given = merged(values or MINIMAL, changes or {})
    said = run("install", "broker", str(CHART), "--dry-run=client", "--namespace", "broker", values=given)
    return re.sub(r"\s+", " ", said.rpartition("\nNOTES:\n")[2])


@cache
def notes_of_a_good_release():
    return notes(GOOD)


def test_they_say_where_it_is_and_how_to_see_that_it_works():
    said = notes_of_a_good_release()
    assert "http://broker-token-broker-public.broker:80/refresh" in said
    assert "http://broker-token-broker-internal.broker:8081/v1" in said
    assert "helm test broker -n broker --logs" in said


def test_they_say_nothing_more_where_there_is_nothing_to_look_at():
    assert "Look at these" not in notes_of_a_good_release()


def test_each_warning_is_a_line_of_its_own_below_its_heading():
    said = run("install", "broker", str(CHART), "--dry-run=client", values=MINIMAL)
    warnings = said.rpartition("Look at these:\n")[2].splitlines()
    assert len(warnings) == 4
    assert all(re.match(r"  \S+ is ", line) for line in warnings)


def test_beside_an_app_they_say_what_to_include():
    said = notes(values=shape("sidecar"))
    assert "include token-broker.sidecar.*" in said
    assert "http://127.0.0.1:18080/refresh" in said


@pytest.mark.parametrize(
    ("enabled", "missing"), [("serviceMonitor", "podMonitor"), ("podMonitor", "serviceMonitor")]
)
def test_beside_an_app_they_say_which_half_is_not_watched(enabled, missing):
    monitoring = {"podMonitor": {"enabled": False}, "serviceMonitor": {"enabled": False}}
    monitoring[enabled]["enabled"] = True
    monitoring["podMonitor"]["sidecarPodSelector"] = {"app": "shop"} if enabled == "podMonitor" else {}
    assert f"monitoring.{missing}.enabled is false" in notes({"monitoring": monitoring}, shape("sidecar"))


def test_published_addresses_are_named():
    assert "https://app.example.com/api/cal/refresh" in notes(values=shape("everything-on"))


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"config": {"TRUSTED_PROXIES": []}}, "config.TRUSTED_PROXIES is empty"),
        ({"networkPolicy": {"public": []}}, "networkPolicy.public is empty"),
        ({"networkPolicy": {"internal": []}}, "networkPolicy.internal is empty"),
        (
            {"networkPolicy": {"observe": []}, "monitoring": {"serviceMonitor": {"enabled": True}}},
            "networkPolicy.observe is empty",
        ),
        ({"networkPolicy": {"enabled": False}}, "networkPolicy.enabled is false"),
        ({"image": {"digest": ""}}, "image.digest is empty"),
        ({"publicService": {"type": "LoadBalancer"}}, "publicService.type is LoadBalancer"),
        ({"migrations": {"enabled": False}}, "migrations.enabled is false"),
        ({"worker": {"replicas": 1}}, "worker has one pod"),
        ({"worker": {"keda": KEDA}}, "worker.keda.query is empty"),
        ({"service": {"processes": 4}}, "service.resources.limits.cpu is 1 for 4 processes"),
        ({"config": {"ALLOW_INSECURE_UPSTREAM": True}}, "config.ALLOW_INSECURE_UPSTREAM is true"),
    ],
)
def test_what_is_mostly_not_meant_is_said(changes, warning):
    assert warning in notes(merged(GOOD, changes))
