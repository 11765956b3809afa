"""Monitoring as code: what Prometheus scrapes, the alerts and the dashboard, as the plain files have them."""

import json

import yaml

from tests.chart.found import Rendered, shape
from tests.chart.helm import CHART

RULES = CHART / "files" / "rules.yaml"
RULE = {
    "monitoring": {"prometheusRule": {"enabled": True, "runbookBaseUrl": "https://example.com/operations.md"}}
}


def alerts_in(groups):
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_service_and_worker_are_one_job_named_after_the_release():
    rendered = Rendered({"monitoring": {"serviceMonitor": {"enabled": True}}})
    (monitor,) = rendered.all("ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["relabelings"][0] == {"targetLabel": "job", "replacement": "broker-token-broker"}
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    scraped = [
        each["metadata"]["name"]
        for each in rendered.all("Service")
        if selector <= each["metadata"]["labels"].items()
    ]
    assert scraped == ["broker-token-broker-service-observe", "broker-token-broker-worker-observe"]


def test_every_pod_is_scraped_by_itself_also_while_it_is_not_ready():
    spec = Rendered().named("Service", "worker-observe")["spec"]
    assert spec["clusterIP"] == "None"
    assert spec["publishNotReadyAddresses"] is True


def test_beside_an_app_its_own_pods_are_scraped_into_the_same_job():
    named = {"monitoring": {"podMonitor": {"enabled": True, "sidecarPodSelector": {"app": "shop"}}}}
    (monitor,) = Rendered(named, values=shape("sidecar")).all("PodMonitor")
    assert monitor["spec"]["selector"]["matchLabels"] == {"app": "shop"}
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "broker-token-broker"}]


def test_the_alerts_are_those_of_the_plain_file_each_pointing_to_its_own_runbook():
    plain = alerts_in(yaml.safe_load(RULES.read_text())["groups"])
    (made,) = Rendered(RULE).all("PrometheusRule")
    alerts = alerts_in(made["spec"]["groups"])
    assert [(rule["alert"], rule["expr"]) for rule in alerts] == [
        (rule["alert"], rule["expr"]) for rule in plain
    ]
    for rule in alerts:
        assert (
            rule["annotations"]["runbook_url"] == f"https://example.com/operations.md#{rule['alert'].lower()}"
        )


def test_templates_of_prometheus_in_an_alert_are_left_alone():
    plain = alerts_in(yaml.safe_load(RULES.read_text())["groups"])
    alerts = alerts_in(Rendered(RULE).all("PrometheusRule")[0]["spec"]["groups"])
    for rule, own in zip(alerts, plain, strict=True):
        assert rule["annotations"]["summary"] == own["annotations"]["summary"]


def test_the_dashboard_is_the_plain_file_under_the_label_that_grafana_looks_for():
    found = Rendered({"monitoring": {"dashboard": {"enabled": True}}}).named("ConfigMap", "dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    plain = json.loads((CHART / "files" / "dashboard.json").read_text())
    assert json.loads(found["data"]["token-broker.json"]) == plain


def test_nothing_of_it_is_there_unless_it_is_asked_for():
    kinds = {document["kind"] for document in Rendered().documents}
    assert not kinds & {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject"}
