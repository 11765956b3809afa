"""Kubernetes' own kinds are validated strictly for their version, other kinds by the schemas kept here."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.chart.samples import changed, good, of
from tests.chart.schemas import OURS, Unvalidated, validate
from tests.chart.versions import KUBE_VERSIONS

NEWEST = KUBE_VERSIONS[-1]
WRONG = [
    ("Deployment", "spec replica", 2, "spec"),
    ("Deployment", "spec template spec containers 0 securityContext runAsnonRoot", True, "securityContext"),
    ("Deployment", "spec template spec containers 0 env 0 value", 1, "env[0].value"),
    ("Service", "spec ports 0 port", "eighty", "spec.ports[0].port"),
    ("Service", "spec ports 0 port", None, "spec.ports[0]"),
    ("ServiceMonitor", "spec endpoints 0 intervall", "30s", "spec.endpoints[0]"),
    ("ServiceMonitor", "spec endpoints 0 interval", "30 seconds", "spec.endpoints[0].interval"),
    ("ServiceMonitor", "spec selector", None, "spec"),
    ("PodMonitor", "spec endpoints", [{"port": "observe"}], "spec"),
    ("PrometheusRule", "spec groups 0 rules 0 severity", "page", "spec.groups[0].rules[0]"),
    ("PrometheusRule", "spec groups 0 rules 0 record", "a:b", "spec.groups[0].rules[0]"),
    ("PrometheusRule", "spec groups 0 rules 0 for", "5 min", "spec.groups[0].rules[0].for"),
    ("ExternalSecret", "spec data 0 remoteRef", {"name": "a"}, "spec.data[0].remoteRef"),
    ("ExternalSecret", "spec refreshInterval", "1d", "spec.refreshInterval"),
    ("HTTPRoute", "spec rules 0 backendRefs 0 port", "http", "spec.rules[0].backendRefs[0].port"),
    ("HTTPRoute", "spec rules 0 matches 0 path value", "refresh", "spec.rules[0].matches[0].path.value"),
    ("HTTPRoute", "metadata labels", {"a": "not a label"}, "metadata.labels.a"),
]
SCALED = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "worker"},
    "spec": {
        "scaleTargetRef": {"name": "worker"},
        "minReplicaCount": 1,
        "maxReplicaCount": 4,
        "triggers": [{"type": "prometheus", "metadata": {"query": "up", "threshold": "1"}}],
    },
}


@pytest.mark.parametrize(("kind", "path", "value", "place"), WRONG)
def test_a_wrong_field_is_refused_and_its_place_named(kind, path, value, place):
    document = of(good(), kind)
    changed(document, path, value)

    assert any(place in problem.path for problem in validate(document, NEWEST))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec triggers 0 metadata threshold", 1),
        ("spec triggers 0 authentication", {"name": "a"}),
        ("spec triggers", None),
        ("spec scaleTargetRef", {"kind": "Deployment"}),
        ("spec maxReplicas", 4),
    ],
)
def test_a_wrong_field_of_a_scaled_object_is_refused(path, value):
    document = json.loads(json.dumps(SCALED))
    assert validate(document, NEWEST) == []

    changed(document, path, value)

    assert validate(document, NEWEST)


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("monitoring.coreos.com/v1", "Prometheus"),
        ("monitoring.coreos.com/v2", "ServiceMonitor"),
        ("apps/v1", "Deploymnet"),
        ("apps/v1beta1", "Deployment"),
        ("extensions/v1beta1", "Ingress"),
        ("example.com/v1", "Service"),
        ("v1", "../_definitions"),
    ],
)
def test_a_kind_without_a_schema_is_unvalidated(api_version, kind):
    with pytest.raises(Unvalidated, match="no schema for"):
        validate({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}}, NEWEST)


def test_a_field_is_known_from_its_version_on():
    document = of(good(), "Deployment")
    changed(document, "spec template spec hostnameOverride", "a")

    refused = [version for version in KUBE_VERSIONS if validate(document, version)]

    assert refused == ["1.30"]


@pytest.mark.parametrize("path", sorted(OURS.glob("*.json")), ids=lambda path: path.name)
def test_a_schema_kept_here_is_strict_and_itself_valid(path):
    schema = json.loads(Path(path).read_text())

    Draft202012Validator.check_schema(schema)
    assert _open_objects(schema) == []


def _open_objects(value, place=""):
    """Return where a schema lists properties and lets others through."""
    if isinstance(value, list):
        return [
            found for index, item in enumerate(value) for found in _open_objects(item, f"{place}/{index}")
        ]
    if not isinstance(value, dict):
        return []
    found = (
        [place] if value.get("type") == "object" and value.get("additionalProperties", True) is True else []
    )
    return found + [each for key, item in value.items() for each in _open_objects(item, f"{place}/{key}")]
