"""How browsers and the app's services reach the broker, and how its pods grow and go."""

import pytest

from tests.chart.found import Rendered, refusal, shape

ON = {
    "ingress": {"enabled": True, "hosts": ["app.example.com"]},
    "config": {"PUBLIC_PATH": "/api/cal/refresh"},
}


def test_each_listener_has_a_service_of_its_own():
    rendered = Rendered()
    for listener, port in (("public", 80), ("internal", 8081)):
        spec = rendered.named("Service", listener)["spec"]
        assert spec["type"] == "ClusterIP"
        assert [(each["name"], each["port"], each["targetPort"]) for each in spec["ports"]] == [
            (listener, port, listener)
        ]


def test_the_internal_listener_is_reached_inside_the_cluster_only():
    assert Rendered().env("service")["TOKEN_BROKER_INTERNAL_ADDRESS"] == "0.0.0.0:8081"
    assert "/internalService" in refusal({"internalService": {"type": "LoadBalancer"}})


def test_an_ingress_publishes_the_refresh_endpoint_and_the_helper_and_nothing_else():
    (rule,) = Rendered(ON).named("Ingress", "public")["spec"]["rules"]
    paths = rule["http"]["paths"]
    assert [(path["path"], path["pathType"]) for path in paths] == [
        ("/api/cal/refresh", "Exact"),
        ("/keep-fresh.js", "Exact"),
    ]
    assert {path["backend"]["service"]["name"] for path in paths} == {"broker-token-broker-public"}


def test_a_route_of_a_gateway_publishes_the_same():
    (rule,) = Rendered(values=shape("keda")).named("HTTPRoute", "public")["spec"]["rules"]
    assert [match["path"] for match in rule["matches"]] == [
        {"type": "Exact", "value": "/api/cal/refresh"},
        {"type": "Exact", "value": "/keep-fresh.js"},
    ]
    assert rule["backendRefs"] == [{"name": "broker-token-broker-public", "port": 80}]


def test_the_gateway_waits_longer_than_the_broker_does():
    patient = {"config": {"PUBLIC_ANSWER_TIMEOUT": "36.5s"}}
    (rule,) = Rendered(patient, values=shape("keda")).named("HTTPRoute", "public")["spec"]["rules"]
    assert rule["timeouts"] == {"request": "42s"}


def test_the_helper_need_not_be_published():
    (rule,) = Rendered({**ON, "ingress": ON["ingress"] | {"keepFresh": False}}).named("Ingress", "public")[
        "spec"
    ]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/api/cal/refresh"]


@pytest.mark.parametrize(
    "host", ["https://app.example.com", "app.example.com/", "App.example.com", "a b", ""]
)
def test_a_host_is_a_name_and_nothing_more(host):
    assert "/ingress/hosts/0" in refusal({"ingress": {"enabled": True, "hosts": [host]}})
    assert "/httpRoute/hostnames/0" in refusal({"httpRoute": {"hostnames": [host]}})


def test_publishing_nowhere_is_refused():
    assert "ingress.hosts: is missing" in refusal({"ingress": {"enabled": True}})
    assert "httpRoute.parentRefs: is missing" in refusal({"httpRoute": {"enabled": True}})


def test_a_budget_is_made_for_two_pods_or_more():
    assert len(Rendered().all("PodDisruptionBudget")) == 2
    assert Rendered({"service": {"replicas": 1}, "worker": {"replicas": 1}}).all("PodDisruptionBudget") == []


def test_a_budget_never_keeps_a_broken_pods_node_from_being_drained():
    spec = Rendered({"service": {"podDisruptionBudget": {"maxUnavailable": "25%"}}}).named(
        "PodDisruptionBudget", "service"
    )["spec"]
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert (spec["maxUnavailable"], "minAvailable" in spec) == ("25%", False)


def test_a_budget_that_keeps_every_pod_is_refused():
    said = refusal({"worker": {"podDisruptionBudget": {"minAvailable": 2}}})
    assert "worker.podDisruptionBudget.minAvailable: must be below the number of pods (2)" in said


@pytest.mark.parametrize("budget", [{"minAvailable": "51%"}, {"maxUnavailable": 0}, {"maxUnavailable": "0%"}])
def test_a_budget_that_lets_no_pod_go_is_refused_however_it_is_written(budget):
    said = refusal({"service": {"podDisruptionBudget": budget}})
    assert f"service.podDisruptionBudget.{next(iter(budget))}: must" in said


def test_a_budget_is_said_in_one_of_two_ways():
    for nothing in ("", None):
        either = {"podDisruptionBudget": {"minAvailable": nothing, "maxUnavailable": 1}}
        spec = Rendered({"worker": either}).named("PodDisruptionBudget", "worker")["spec"]
        assert (spec["maxUnavailable"], "minAvailable" in spec) == (1, False)
    neither = {"podDisruptionBudget": {"minAvailable": ""}}
    assert "worker.podDisruptionBudget.minAvailable: is missing" in refusal({"worker": neither})


def test_a_budget_is_a_number_or_a_percentage():
    wrong = {"podDisruptionBudget": {"minAvailable": "half"}}
    assert "/service/podDisruptionBudget/minAvailable" in refusal({"service": wrong})
    spec = Rendered({"service": {"podDisruptionBudget": {"minAvailable": "50%"}}}).named(
        "PodDisruptionBudget", "service"
    )["spec"]
    assert spec["minAvailable"] == "50%"


@pytest.mark.parametrize(
    "option",
    [
        {"externalTrafficPolicy": "Local"},
        {"loadBalancerClass": "internal"},
        {"loadBalancerSourceRanges": ["192.0.2.0/24"]},
    ],
)
def test_what_is_about_load_balancers_needs_one(option):
    name = next(iter(option))
    assert f"publicService.{name}: needs publicService.type" in refusal({"publicService": option})
    balanced = Rendered({"publicService": option | {"type": "LoadBalancer"}}).named("Service", "public")[
        "spec"
    ]
    assert balanced[name] == option[name]


def test_an_autoscaler_decides_alone_how_many_pods_there_are():
    rendered = Rendered({"service": {"autoscaling": {"enabled": True, "maxReplicas": 7}}})
    scaler = rendered.named("HorizontalPodAutoscaler", "service")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 7)
    assert scaler["metrics"][0]["containerResource"]["container"] == "token-broker"
    assert "replicas" not in rendered.named("Deployment", "service")["spec"]


def test_an_autoscaler_of_ones_own_may_decide():
    rendered = Rendered({"worker": {"replicas": None}})
    assert "replicas" not in rendered.named("Deployment", "worker")["spec"]
    assert len(rendered.all("PodDisruptionBudget")) == 2


def test_keda_counts_due_grants_once_however_many_workers_report_them():
    rendered = Rendered(values=shape("keda"))
    spec = rendered.named("ScaledObject", "worker")["spec"]
    query = 'sum(max by (client) (token_broker_due{namespace="broker",job="broker-token-broker"}))'
    assert spec["triggers"][0]["metadata"]["query"] == query
    assert "replicas" not in rendered.named("Deployment", "worker")["spec"]


def test_a_large_number_is_written_as_it_was_given():
    keda = {"threshold": 1000000, "cooldownPeriod": 2000000}
    spec = Rendered({"worker": {"keda": keda}}, shape("keda")).named("ScaledObject", "worker")["spec"]
    assert spec["triggers"][0]["metadata"]["threshold"] == "1000000"
    assert spec["cooldownPeriod"] == 2000000


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"worker": {"autoscaling": {"enabled": True}}},
            "worker.keda.enabled: cannot be used with worker.autoscaling",
        ),
        ({"worker": {"keda": {"minReplicas": 0}}}, "/worker/keda/minReplicas"),
        ({"worker": {"keda": {"serverAddress": ""}}}, "worker.keda.serverAddress: is missing"),
        (
            {"worker": {"keda": {"maxReplicas": 1}}},
            "worker.keda.maxReplicas: must be at least worker.keda.minReplicas",
        ),
        (
            {"service": {"autoscaling": {"minReplicas": 9}}},
            "service.autoscaling.maxReplicas: must be at least",
        ),
        (
            {"monitoring": {"serviceMonitor": {"enabled": True}}},
            "monitoring.podMonitor.enabled: cannot be used with",
        ),
        (
            {"monitoring": {"podMonitor": {"sidecarPodSelector": {"a": "b"}}}},
            "sidecarPodSelector: has an effect in sidecar mode only",
        ),
        (
            {"networkPolicy": {"sidecarPodSelector": {"a": "b"}}},
            "networkPolicy.sidecarPodSelector: has an effect in sidecar",
        ),
    ],
)
def test_what_pulls_both_ways_or_has_no_effect_is_refused(changes, named):
    assert named in refusal(changes, values=shape("keda"))
