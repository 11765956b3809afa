"""Each rule about a release as a whole, broken once, is found and named; a good release breaks none."""

import pytest

from tests.chart.campaign import RELEASE_RULES, judge
from tests.chart.samples import changed, good, of, rules_broken
from tests.chart.versions import KUBE_VERSIONS

HOOK, DELETE = "helm.sh/hook", "helm.sh/hook-delete-policy"
CONTAINER = "spec template spec containers 0"
ELSEWHERE = {"matchLabels": {"app.kubernetes.io/instance": "another"}}
BACKEND = "spec rules 0 http paths 0 backend service"
# What is broken: the rule, the document, where in it, and the value that breaks it.
BREACHES = [
    ("wiring: workload selectors", "Deployment", "spec selector matchLabels", {"app": "other"}),
    ("wiring: services", "Service", "spec selector", {"app": "other"}),
    ("wiring: services", "Service", "spec ports 1 targetPort", 9999),
    ("wiring: services", "Service", "spec ports 0 targetPort", "http"),
    ("wiring: services", "Service", "spec selector", {"app.kubernetes.io/instance": "broker"}),
    ("wiring: monitors", "ServiceMonitor", "spec selector", ELSEWHERE),
    ("wiring: monitors", "ServiceMonitor", "spec endpoints 0 port", "metrics"),
    ("wiring: monitors", "PodMonitor", "spec selector", ELSEWHERE),
    ("wiring: monitors", "PodMonitor", "spec podMetricsEndpoints 0 port", "metrics"),
    ("wiring: backends", "Ingress", f"{BACKEND} name", "other"),
    ("wiring: backends", "Ingress", f"{BACKEND} port name", "observe"),
    ("wiring: backends", "HTTPRoute", "spec rules 0 backendRefs 0 name", "other"),
    ("wiring: backends", "HTTPRoute", "spec rules 0 backendRefs 0 port", 9090),
    ("wiring: scalers", "HorizontalPodAutoscaler", "spec scaleTargetRef name", "other"),
    ("wiring: scalers", "HorizontalPodAutoscaler", "spec minReplicas", 6),
    ("wiring: scalers", "Deployment", "spec replicas", 2),
    ("wiring: volumes", "Deployment", f"{CONTAINER} volumeMounts 0 name", "scratch"),
    ("wiring: volumes", "Deployment", f"{CONTAINER} volumeMounts 1 mountPath", "/tmp"),
    ("wiring: volumes", "Deployment", f"{CONTAINER} volumeMounts 1 subPath", "clients.toml"),
    ("wiring: ConfigMaps", "Deployment", "spec template spec volumes 1 configMap name", "other"),
    ("wiring: ConfigMaps", "Deployment", f"{CONTAINER} envFrom", [{"configMapRef": {"name": "other"}}]),
    ("wiring: ServiceAccounts", "Deployment", "spec template spec serviceAccountName", "other"),
    ("wiring: early hooks", "Job migrate", "spec template spec serviceAccountName", "web"),
    ("wiring: early hooks", "Job migrate", "metadata annotations helm.sh/hook-weight", "-10"),
    ("network: denied by default", "NetworkPolicy", "spec policyTypes", ["Ingress"]),
    ("network: denied by default", "NetworkPolicy migrate", "metadata annotations", None),
    ("network: named peers", "NetworkPolicy", "spec ingress 0", {}),
    ("network: named peers", "NetworkPolicy", "spec egress 0 to", None),
    ("network: named peers", "NetworkPolicy", "spec egress 0 ports", None),
    ("network: named peers", "NetworkPolicy", "spec ingress 0 from", [{"ipBlock": {"cidr": "::/0"}}]),
    ("network: policies in use", "NetworkPolicy migrate", "spec podSelector", ELSEWHERE),
    ("manners: names", "ConfigMap", "metadata name", "a" * 64),
    ("manners: names", "ConfigMap", "metadata name", "a.b"),
    ("manners: names", "Deployment", f"{CONTAINER} ports 0 name", "public-and-longer"),
    ("manners: namespace", "ConfigMap", "metadata namespace", "kube-system"),
    ("manners: labels", "ConfigMap", "metadata labels", None),
    ("manners: labels", "ServiceMonitor", "metadata labels app.kubernetes.io/version", None),
    ("manners: labels", "Deployment", "spec template metadata labels team", "a" * 64),
    ("manners: labels", "ConfigMap", "metadata labels app.kubernetes.io/version", "1.0+build"),
    ("manners: lasting selectors", "Deployment", "spec selector matchLabels helm.sh/chart", "web-1.0.0"),
    ("manners: empty fields", "Deployment", "metadata annotations", {"note": None}),
    ("manners: disruption budgets", "PodDisruptionBudget", "spec minAvailable", 2),
    ("manners: disruption budgets", "PodDisruptionBudget", "spec minAvailable", "51%"),
    ("manners: disruption budgets", "PodDisruptionBudget", "spec selector", ELSEWHERE),
    ("manners: rollouts", "Deployment", "spec strategy", None),
    ("manners: rollouts", "Deployment", "spec strategy rollingUpdate maxUnavailable", 1),
    ("manners: rollouts", "Deployment", "spec template spec topologySpreadConstraints", None),
    ("manners: jobs", "Job migrate", "spec activeDeadlineSeconds", None),
    ("manners: jobs", "Job migrate", "spec template spec restartPolicy", "Always"),
    ("manners: hooks", "Job migrate", f"metadata annotations {DELETE}", "hook-succeeded"),
    ("manners: hooks", "Pod web-test", f"metadata annotations {HOOK}", "test,pre-rollback"),
]


@pytest.mark.parametrize(("rule", "document", "path", "value"), BREACHES)
def test_a_breach_is_found_and_named(rule, document, path, value):
    documents = good()
    changed(of(documents, *document.split()), path, value)

    assert rule in rules_broken(documents)


def test_a_name_rendered_twice_is_found():
    documents = good()

    assert "manners: unique" in rules_broken([*documents, of(good(), "ConfigMap")])


def test_every_rule_is_broken_by_some_test():
    assert {rule for rule, *_ in BREACHES} | {"manners: unique"} == set(RELEASE_RULES)


@pytest.mark.parametrize("version", KUBE_VERSIONS)
def test_a_good_release_passes_every_gate(version):
    assert list(judge(good(), version)) == []
