"""Each rule of our own for pods, broken once, is found and named; what it must not mind is not."""

import pytest

from tests.chart.hardening import RULES
from tests.chart.samples import changed, good, pod_of, rules_broken

HARDENING = ("hardening",)
SECRET = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "web-secrets", "key": "a"}}}
LONG_TOKEN = {"serviceAccountToken": {"path": "token", "expirationSeconds": 86_400}}
BREACHES = [
    ("hardening: read-only root", "containers 0 securityContext readOnlyRootFilesystem", None),
    ("hardening: read-only root", "initContainers 0 securityContext readOnlyRootFilesystem", False),
    ("hardening: no API token", "automountServiceAccountToken", None),
    ("hardening: no API token", "automountServiceAccountToken", True),
    ("hardening: no API token", "volumes 0", {"name": "tmp", "projected": {"sources": [LONG_TOKEN]}}),
    ("hardening: no service links", "enableServiceLinks", None),
    ("hardening: resources", "containers 0 resources", None),
    ("hardening: resources", "containers 0 resources requests cpu", None),
    ("hardening: resources", "containers 0 resources limits", None),
    ("hardening: memory reserved", "containers 0 resources limits memory", "128Mi"),
    ("hardening: no secret in the environment", "containers 0 env", [SECRET]),
    ("hardening: no secret in the environment", "containers 0 envFrom", [{"secretRef": {"name": "a"}}]),
    ("hardening: pinned image", "containers 0 image", "registry.example.com:5000/web"),
    ("hardening: pinned image", "containers 0 image", "registry.example.com/web:latest"),
    ("hardening: pinned image", "containers 0 image", "web:"),
    ("hardening: probes", "containers 0 startupProbe", None),
    ("hardening: probes", "containers 0 livenessProbe", None),
    ("hardening: probes", "initContainers 0 readinessProbe", None),
    ("hardening: probes", "containers 0 livenessProbe httpGet path", "/readyz"),
    ("hardening: volume types", "volumes 0", {"name": "tmp", "persistentVolumeClaim": {"claimName": "a"}}),
    ("hardening: scratch space in memory", "volumes 0 emptyDir medium", None),
    ("hardening: scratch space in memory", "volumes 0 emptyDir sizeLimit", None),
    ("hardening: grace", "containers 0 lifecycle preStop sleep seconds", 65),
    ("hardening: grace", "terminationGracePeriodSeconds", 5),
]


@pytest.mark.parametrize(("rule", "path", "value"), BREACHES)
def test_a_breach_is_found_and_named(rule, path, value):
    documents = good()
    changed(pod_of(documents).spec, path, value)

    assert rules_broken(documents, HARDENING) == {rule}


def test_every_rule_is_broken_by_some_test():
    assert {rule for rule, _, _ in BREACHES} == set(RULES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X_CAL_SECRET_KEY", "s3cret"),
        ("TOKEN_BROKER_API_KEYS", "app:0000"),
        ("TOKEN_BROKER_DATABASE_URL", "postgresql://db/broker"),
        ("GITHUB_TOKEN", "x"),
        ("UPSTREAM", "https://broker:s3cret@proxy.example.com"),
    ],
)
def test_a_secret_in_the_environment_is_known_by_its_name_or_its_form(name, value):
    documents = good()
    changed(pod_of(documents).spec, "containers 0 env", [{"name": name, "value": value}])

    assert rules_broken(documents, HARDENING) == {"hardening: no secret in the environment"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X_CAL_SECRET_KEY_FILE", "/run/secrets/a"),
        ("TOKEN_BROKER_ACCESS_TOKEN_LIFETIME", "60m"),
        ("TOKEN_BROKER_SESSION_CHECK_URL", "https://app.example.com/session"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("EMPTY_TOKEN", ""),
    ],
)
def test_a_setting_that_holds_no_secret_may_stand_in_the_environment(name, value):
    documents = good()
    changed(pod_of(documents).spec, "containers 0 env", [{"name": name, "value": value}])

    assert rules_broken(documents, HARDENING) == set()


def test_a_container_that_ends_by_itself_needs_no_probe():
    documents = good()
    container = pod_of(documents).spec["initContainers"][0]
    for key in ("restartPolicy", "startupProbe", "livenessProbe", "readinessProbe"):
        del container[key]

    assert rules_broken(documents, HARDENING) == set()


def test_memory_is_compared_by_what_it_is_and_not_by_how_it_is_written():
    documents = good()
    changed(pod_of(documents).spec, "containers 0 resources limits memory", "65536Ki")

    assert rules_broken(documents, HARDENING) == set()
