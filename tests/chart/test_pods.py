"""What every pod has, and what the values change about it."""

import pytest

from tests.chart.found import Rendered, refusal, shape
from tests.chart.helm import Refused
from tests.chart.manifests import title
from tests.chart.schemas import validate
from tests.chart.versions import KUBE_VERSIONS

COMPONENTS = ("service", "worker", "migrate", "test")


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_pod_cannot_write_to_its_root_or_speak_to_the_cluster(component):
    pod = Rendered().pod(component)
    assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
    context = pod["containers"][0]["securityContext"]
    assert context["readOnlyRootFilesystem"] is context["runAsNonRoot"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("component", COMPONENTS)
def test_tmp_is_memory_with_an_end(component):
    pod = Rendered({"tmp": {"sizeLimit": "16Mi"}}).pod(component)
    (tmp,) = (volume for volume in pod["volumes"] if volume["name"] == "token-broker-tmp")
    assert tmp["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Mi"}
    assert {"name": "token-broker-tmp", "mountPath": "/tmp"} in pod["containers"][0]["volumeMounts"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_memory_is_reserved_in_full(component):
    resources = Rendered().container(component)["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]


def test_an_image_is_named_by_its_digest_where_there_is_one():
    digest = "sha256:" + "0" * 64
    rendered = Rendered({"image": {"tag": "1.2", "digest": digest, "pullSecrets": [{"name": "registry"}]}})
    for component in COMPONENTS:
        assert rendered.container(component)["image"] == f"registry.example.com/token-broker@{digest}"
        assert rendered.pod(component)["imagePullSecrets"] == [{"name": "registry"}]


def test_an_image_is_of_the_charts_own_release_until_a_tag_is_named():
    assert Rendered().container("worker")["image"] == "registry.example.com/token-broker:0.1.0"
    assert Rendered({"image": {"tag": "1.2"}}).container("worker")["image"].endswith(":1.2")


def test_a_rollout_never_has_fewer_pods_than_wanted():
    for component in ("service", "worker"):
        strategy = Rendered().named("Deployment", component)["spec"]["strategy"]
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def test_pods_may_be_ended_before_others_are_made():
    deployment = Rendered({"worker": {"strategy": {"type": "Recreate"}}}).named("Deployment", "worker")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("spread", "strictness", "has_affinity"),
    [
        ("soft", ["ScheduleAnyway", "ScheduleAnyway"], True),
        ("hard", ["ScheduleAnyway", "DoNotSchedule"], False),
        ("none", [], False),
    ],
)
def test_pods_are_spread_over_zones_and_nodes_as_strictly_as_asked(spread, strictness, has_affinity):
    pod = Rendered({"pod": {"spread": spread}}).pod("service")
    constraints = pod.get("topologySpreadConstraints", [])
    assert [constraint["whenUnsatisfiable"] for constraint in constraints] == strictness
    assert ("affinity" in pod) is has_affinity


def test_own_constraints_and_affinity_take_the_place_of_the_charts():
    own = {"topologySpreadConstraints": [{"maxSkew": 3}], "affinity": {"nodeAffinity": {"any": "thing"}}}
    pod = Rendered({"pod": own}).pod("worker")
    assert pod["topologySpreadConstraints"] == [{"maxSkew": 3}]
    assert pod["affinity"] == {"nodeAffinity": {"any": "thing"}}


@pytest.mark.parametrize("component", COMPONENTS)
def test_where_a_pod_runs_is_said_once_for_all(component):
    pod = Rendered(values=shape("everything-on")).pod(component)
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["runtimeClassName"] == "gvisor"
    assert pod["tolerations"][0]["key"] == "dedicated"
    assert pod["hostAliases"] == [{"ip": "10.0.0.10", "hostnames": ["db.internal"]}]
    assert pod["dnsConfig"] == {"options": [{"name": "ndots", "value": "2"}]}
    assert pod["hostUsers"] is False


@pytest.mark.parametrize(
    ("section", "component"),
    [("service", "service"), ("worker", "worker"), ("migrations", "migrate"), ("tests", "test")],
)
def test_an_option_of_one_kind_of_pod_takes_the_place_of_the_same_option_of_all(section, component):
    changes = {
        "pod": {"nodeSelector": {"a": "b"}, "priorityClassName": "low"},
        section: {"pod": {"nodeSelector": {"c": "d"}}},
    }
    rendered = Rendered(changes)
    assert rendered.pod(component)["nodeSelector"] == {"c": "d"}
    assert rendered.pod(component)["priorityClassName"] == "low"
    assert sum(rendered.pod(each)["nodeSelector"] == {"a": "b"} for each in COMPONENTS) == 3


@pytest.mark.parametrize("component", COMPONENTS)
def test_annotations_and_affinity_are_said_once_for_all(component):
    off, affinity = {"mesh.example.com/inject": "false"}, {"nodeAffinity": {"any": "thing"}}
    pod = Rendered({"pod": {"annotations": off, "affinity": affinity}}).pod_of(component)
    assert pod["metadata"]["annotations"].items() >= off.items()
    assert pod["spec"]["affinity"] == affinity


@pytest.mark.parametrize(
    ("section", "option"),
    [
        ("tests", {"extraVolumes": [{"name": "ca", "emptyDir": {}}]}),
        ("tests", {"extraEnv": [{"name": "A", "value": "b"}]}),
        ("migrations", {"extraContainers": [{"name": "shipper", "image": "shipper:1"}]}),
        ("migrations", {"spread": "hard"}),
    ],
)
def test_an_option_that_a_pod_has_no_use_for_is_refused(section, option):
    assert f"{section}.pod.{next(iter(option))}: has no effect" in refusal({section: {"pod": option}})


def test_more_variables_volumes_and_mounts_are_added_to_the_charts_own():
    rendered = Rendered(values=shape("everything-on"))
    for component in ("service", "worker", "migrate"):
        assert rendered.env(component)["OTEL_TRACES_SAMPLER_ARG"] == "0.1"
        assert "ca" in [volume["name"] for volume in rendered.pod(component)["volumes"]]
        assert "/etc/ssl/company" in [m["mountPath"] for m in rendered.container(component)["volumeMounts"]]
        assert rendered.container(component)["envFrom"] == [
            {"configMapRef": {"name": "proxies", "optional": True}}
        ]


def test_a_proxy_may_run_before_and_beside_the_broker():
    proxy = {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}
    rendered = Rendered({"pod": {"initContainers": [proxy]}})
    for component in ("service", "worker", "migrate"):
        assert rendered.pod(component)["initContainers"] == [proxy]


def test_common_labels_and_annotations_are_on_every_object_and_never_in_a_selector():
    rendered = Rendered(values=shape("everything-on"))
    own = [each for each in rendered.documents if not each["metadata"]["name"].endswith("-extra")]
    for document in own:
        assert document["metadata"]["labels"]["team"] == "scheduling", document["metadata"]["name"]
        assert document["metadata"]["annotations"]["example.com/owner"] == "scheduling"
    assert "team" not in rendered.named("Deployment", "worker")["spec"]["selector"]["matchLabels"]
    assert rendered.pod_of("worker")["metadata"]["labels"]["team"] == "scheduling"


def test_an_upgrade_of_the_chart_alone_restarts_no_pod():
    for component in ("service", "worker"):
        labels = Rendered().pod_of(component)["metadata"]["labels"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels)


def test_pods_roll_when_the_clients_file_changes_and_not_otherwise():
    def pods(changes=None):
        rendered = Rendered(changes, values=shape("many-clients"))
        return [rendered.pod_of(each)["metadata"].get("annotations") for each in ("service", "worker")]

    changed = shape("many-clients")["clients"]
    changed[0]["rate"] = "100/min"
    assert pods() == pods({"service": {"replicas": 5}}) != pods({"clients": changed})


def test_names_can_be_chosen_and_stay_short_enough_for_a_label():
    assert "shop-worker" in Rendered({"fullnameOverride": "shop"}).names("Deployment")
    assert "shop-broker-worker" in Rendered({"nameOverride": "broker"}, name="shop").names("Deployment")
    assert "token-broker-worker" in Rendered(name="token-broker").names("Deployment")
    long = Rendered(name="a" * 53)
    assert max(len(document["metadata"]["name"]) for document in long.documents) <= 63


def test_a_name_that_looks_like_a_number_stays_a_name():
    changes = {
        "fullnameOverride": "shop",
        "externalSecret": {"name": "7"},
        "migrations": {"databaseUrl": {"existingSecret": "8"}},
        "service": {"pod": {"priorityClassName": "9"}},
        "ingress": {"className": "10"},
    }
    rendered = Rendered(changes, shape("everything-on"), name="2026", namespace="2027")
    wrong = [problem for document in rendered.documents for problem in validate(document, KUBE_VERSIONS[-1])]
    assert [str(problem) for problem in wrong] == []
    assert all(
        each["metadata"]["namespace"] == "2027" for each in rendered.documents if "-extra" not in title(each)
    )


def test_own_objects_may_use_the_charts_templates():
    rendered = Rendered(values=shape("everything-on"))
    assert rendered.named("ConfigMap", "extra")["data"] == {"mode": "deployment"}
    assert rendered.named("ConfigMap", "as-text")


def test_names_that_kubernetes_would_not_take_are_refused():
    assert "/secrets/existingSecret" in refusal({"secrets": {"existingSecret": "Not A Name"}})
    for wrong in ("b" * 47, "Shop", "my shop", "7shop"):
        assert "/fullnameOverride" in refusal({"fullnameOverride": wrong})
    assert "/nameOverride" in refusal({"nameOverride": "token broker"})


@pytest.mark.parametrize("release", ["2026", "shop.eu"])
def test_a_release_whose_name_no_service_can_have_needs_another(release):
    with pytest.raises(Refused, match="fullnameOverride: is needed"):
        Rendered(name=release)
    assert "shop-public" in Rendered({"fullnameOverride": "shop"}, name=release).names("Service")


def test_a_label_of_ones_own_wins_over_a_common_one_and_never_over_the_charts():
    rendered = Rendered({"commonLabels": {"team": "a", "tier": "x"}, "pod": {"labels": {"team": "b"}}})
    labels = rendered.pod_of("worker")["metadata"]["labels"]
    assert (labels["team"], labels["tier"]) == ("b", "x")
    for section in ({"commonLabels": None}, {"pod": {"labels": None}}, {"publicService": {"labels": None}}):
        said = refusal(with_label(section, "app.kubernetes.io/component"))
        assert "app.kubernetes.io/component" in said


def with_label(section, name):
    return {key: with_label(value, name) if value else {name: "mine"} for key, value in section.items()}


def test_a_cluster_that_chooses_users_itself_is_left_to_do_so():
    nobody = {"runAsUser": None, "runAsGroup": None}
    rendered = Rendered(
        {"podSecurityContext": nobody | {"fsGroup": None}, "containerSecurityContext": nobody}
    )
    for component in COMPONENTS:
        pod = rendered.pod(component)
        for context in (pod["securityContext"], pod["containers"][0]["securityContext"]):
            assert context["runAsNonRoot"] is True
            assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(context)


def test_the_account_has_no_token_and_its_annotations_are_the_migrations_too():
    rendered = Rendered({"serviceAccount": {"annotations": {"example.com/identity": "broker"}}})
    for account in rendered.all("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
        assert account["metadata"]["annotations"]["example.com/identity"] == "broker"
    assert len(rendered.all("ServiceAccount")) == 2
