"""Sidecar mode: an app's own Deployment includes the service's container and shares localhost with it."""

import pytest

from tests.chart.found import Rendered, env_of, mounted_secrets, refusal, shape
from tests.chart.helm import Refused, render
from tests.chart.shapes import all_shapes


@pytest.fixture(scope="module")
def app_chart():
    """Return the folder of the example, with the broker's chart packed into it."""
    with all_shapes() as shapes:
        yield next(shape.chart for shape in shapes if shape.name == "example app-with-sidecar")


@pytest.fixture
def app_pod(app_chart):
    """Return a function: the app's pod, with changes of the broker's values."""
    return lambda **broker: apps(app_chart, "Deployment", broker)["spec"]["template"]["spec"]


def apps(chart, kind, broker):
    """Return the app's own object of this kind, with changes of the broker's values."""
    documents = render({"token-broker": broker}, chart=chart, name="shop")
    (found,) = (each for each in documents if (each["metadata"]["name"], each["kind"]) == ("shop-app", kind))
    return found


def broker_in(containers):
    (found,) = (container for container in containers or [] if container["name"] == "token-broker")
    return found


def test_the_broker_is_up_before_the_app_and_ends_after_it(app_pod):
    pod = app_pod()
    assert broker_in(pod["initContainers"])["restartPolicy"] == "Always"
    assert [container["name"] for container in pod["containers"]] == ["app"]
    assert pod["terminationGracePeriodSeconds"] == 30 + 60


def test_an_ordinary_second_container_waits_for_as_long_as_the_app_may_take(app_pod):
    pod = app_pod(sidecar={"native": False, "appGraceSeconds": 20})
    broker = broker_in(pod["containers"])
    assert "initContainers" not in pod
    assert broker["lifecycle"]["preStop"]["sleep"]["seconds"] == 20
    assert pod["terminationGracePeriodSeconds"] == 20 + 60


def test_both_listeners_are_on_loopback_and_only_probes_and_metrics_are_not(app_pod):
    broker = broker_in(app_pod()["initContainers"])
    env = env_of(broker)
    assert env["TOKEN_BROKER_PUBLIC_ADDRESS"] == "127.0.0.1:18080"
    assert env["TOKEN_BROKER_INTERNAL_ADDRESS"] == "127.0.0.1:18081"
    assert env["TOKEN_BROKER_OBSERVE_ADDRESS"] == "0.0.0.0:19090"
    assert broker["ports"] == [{"name": "observe", "containerPort": 19090}]


def test_the_app_knows_where_the_broker_is(app_pod):
    app = env_of(app_pod(ports={"public": 28080})["containers"][0])
    assert app["BROKER_PUBLIC_URL"] == "http://127.0.0.1:28080"
    assert app["BROKER_INTERNAL_URL"] == "http://127.0.0.1:18081"


def test_the_public_listener_may_be_opened_but_never_the_internal_one(app_pod):
    broker = broker_in(app_pod(sidecar={"exposePublic": True})["initContainers"])
    assert env_of(broker)["TOKEN_BROKER_PUBLIC_ADDRESS"] == "0.0.0.0:18080"
    assert env_of(broker)["TOKEN_BROKER_INTERNAL_ADDRESS"] == "127.0.0.1:18081"


def test_what_the_apps_proxy_forwards_is_believed_unless_somebody_else_is_named(app_pod):
    trusted = "TOKEN_BROKER_TRUSTED_PROXIES"
    assert env_of(broker_in(app_pod()["initContainers"]))[trusted] == "127.0.0.1/32"
    named = app_pod(config={"TRUSTED_PROXIES": ["10.0.0.0/8"]})
    assert env_of(broker_in(named["initContainers"]))[trusted] == "10.0.0.0/8"


def test_the_app_cannot_read_the_brokers_secrets(app_pod):
    pod = app_pod()
    assert "API_KEYS" in mounted_secrets(pod)
    assert "token-broker-secrets" not in [mount["name"] for mount in pod["containers"][0]["volumeMounts"]]


def test_the_container_is_restricted_whatever_the_apps_pod_says(app_pod):
    context = broker_in(app_pod()["initContainers"])["securityContext"]
    assert context["runAsUser"] == 65532
    assert context["runAsNonRoot"] is context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_the_apps_pods_roll_when_the_clients_file_changes(app_chart):
    clients = [{"name": "acme", "id": "clacme", "secret": {"key": "ACME"}}]
    changed = [clients[0] | {"rate": "200/min"}]
    one, same, other = (annotations_of_app(app_chart, each) for each in (clients, clients, changed))
    assert one == same != other


def annotations_of_app(chart, clients):
    broker = {"config": {"CAL_OAUTH_CLIENT_ID": ""}, "clients": clients}
    return apps(chart, "Deployment", broker)["spec"]["template"]["metadata"]["annotations"]


def test_the_brokers_image_is_pulled_with_the_brokers_secrets(app_pod):
    assert "imagePullSecrets" not in app_pod()
    assert app_pod(image={"pullSecrets": [{"name": "registry"}]})["imagePullSecrets"] == [
        {"name": "registry"}
    ]


def test_whoever_may_see_the_brokers_figures_reaches_them_in_the_apps_pod(app_chart):
    watching = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    policy = apps(app_chart, "NetworkPolicy", {"networkPolicy": {"observe": watching}})
    assert {"ports": [{"port": 19090, "protocol": "TCP"}], "from": watching} in policy["spec"]["ingress"]
    assert len(apps(app_chart, "NetworkPolicy", {})["spec"]["ingress"]) == 1


def test_worker_migrations_and_their_policies_come_from_the_chart():
    rendered = Rendered(values=shape("sidecar"))
    assert rendered.names("Deployment") == ["broker-token-broker-worker"]
    assert rendered.names("Job") == ["broker-token-broker-migrate"]
    assert rendered.names("Service") == ["broker-token-broker-worker-observe"]
    assert "Ingress" not in {document["kind"] for document in rendered.documents}


def test_the_apps_pods_are_under_the_charts_policy_only_when_they_are_named():
    chosen = {"networkPolicy": {"sidecarPodSelector": {"app": "shop"}, "observe": [{"podSelector": {}}]}}
    policy = Rendered(chosen, values=shape("sidecar")).named("NetworkPolicy", "service")["spec"]
    assert policy["podSelector"] == {"matchLabels": {"app": "shop"}}
    assert [rule["ports"][0]["port"] for rule in policy["ingress"]] == [19090]
    assert not any("service" in name for name in Rendered(values=shape("sidecar")).names("NetworkPolicy"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ingress": {"enabled": True, "hosts": ["app.example.com"]}}, "ingress.enabled: has no effect"),
        (
            {"httpRoute": {"enabled": True, "parentRefs": [{"name": "web"}]}},
            "httpRoute.enabled: has no effect",
        ),
        ({"service": {"autoscaling": {"enabled": True}}}, "service.autoscaling.enabled: has no effect"),
        ({"service": {"pod": {"nodeSelector": {"a": "b"}}}}, "service.pod.nodeSelector: has no effect"),
        ({"monitoring": {"podMonitor": {"enabled": True}}}, "podMonitor.sidecarPodSelector: is missing"),
    ],
)
def test_what_has_no_effect_beside_an_app_is_refused(changes, named):
    assert named in refusal(changes, values=shape("sidecar"))


def test_in_deployment_mode_there_is_nothing_to_include(app_pod):
    with pytest.raises(Refused, match="mode: must be sidecar"):
        app_pod(mode="deployment")
