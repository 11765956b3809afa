"""Each rule of the "restricted" standard, broken in each place it is about, is found; and nothing else is."""

import pytest

from tests.chart.manifests import CONTAINER_FIELDS, pods_of
from tests.chart.pod_security import BASELINE, RESTRICTED, violations
from tests.chart.samples import changed, good, of, pod_of, rules_broken

OLD_SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"
OLD_APPARMOR = "container.apparmor.security.beta.kubernetes.io/web"
# What is broken: the rules that must say so, where in the pod's spec, and the value that breaks them.
BREACHES = [
    ("baseline: HostProcess", "securityContext windowsOptions hostProcess", True),
    ("baseline: HostProcess", "containers 0 securityContext windowsOptions hostProcess", True),
    ("baseline: host namespaces", "hostNetwork", True),
    ("baseline: host namespaces", "hostPID", True),
    ("baseline: host namespaces", "hostIPC", True),
    ("baseline: privileged containers", "containers 0 securityContext privileged", True),
    (
        "baseline: capabilities & restricted: capabilities",
        "containers 0 securityContext capabilities add",
        ["SYS_ADMIN"],
    ),
    ("restricted: capabilities", "containers 0 securityContext capabilities add", ["CHOWN"]),
    ("restricted: capabilities", "containers 0 securityContext capabilities drop", ["NET_RAW"]),
    ("restricted: capabilities", "containers 0 securityContext capabilities", None),
    (
        "baseline: HostPath volumes & restricted: volume types",
        "volumes 0",
        {"name": "tmp", "hostPath": {"path": "/"}},
    ),
    ("restricted: volume types", "volumes 0", {"name": "tmp", "nfs": {"server": "a", "path": "/"}}),
    ("baseline: host ports", "containers 0 ports 0 hostPort", 8080),
    ("baseline: hosts of probes and hooks", "containers 0 livenessProbe httpGet host", "169.254.169.254"),
    (
        "baseline: hosts of probes and hooks",
        "containers 0 startupProbe",
        {"tcpSocket": {"port": 1, "host": "a"}},
    ),
    (
        "baseline: hosts of probes and hooks",
        "containers 0 lifecycle postStart httpGet",
        {"host": "a", "port": 1},
    ),
    ("baseline: AppArmor", "securityContext appArmorProfile type", "Unconfined"),
    ("baseline: AppArmor", "containers 0 securityContext appArmorProfile type", "Unconfined"),
    ("baseline: SELinux", "securityContext seLinuxOptions type", "spc_t"),
    ("baseline: SELinux", "containers 0 securityContext seLinuxOptions user", "system_u"),
    ("baseline: SELinux", "containers 0 securityContext seLinuxOptions role", "sysadm_r"),
    ("baseline: /proc mount type", "containers 0 securityContext procMount", "Unmasked"),
    ("baseline: seccomp & restricted: seccomp", "securityContext seccompProfile type", "Unconfined"),
    (
        "baseline: seccomp & restricted: seccomp",
        "containers 0 securityContext seccompProfile type",
        "Unconfined",
    ),
    ("restricted: seccomp", "securityContext seccompProfile", None),
    ("baseline: sysctls", "securityContext sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
    ("restricted: privilege escalation", "containers 0 securityContext allowPrivilegeEscalation", True),
    ("restricted: privilege escalation", "containers 0 securityContext allowPrivilegeEscalation", None),
    ("restricted: running as non-root", "securityContext runAsNonRoot", None),
    ("restricted: running as non-root", "securityContext runAsNonRoot", False),
    ("restricted: running as non-root", "containers 0 securityContext runAsNonRoot", False),
    ("restricted: running as non-root user", "securityContext runAsUser", 0),
    ("restricted: running as non-root user", "containers 0 securityContext runAsUser", 0),
]


@pytest.mark.parametrize(("rules", "path", "value"), BREACHES)
def test_a_breach_is_found_and_named(rules, path, value):
    documents = good()
    changed(pod_of(documents).spec, path, value)

    assert rules_broken(documents, gates=("restricted_violations",)) == set(rules.split(" & "))


@pytest.mark.parametrize(
    ("rule", "annotation", "value"),
    [("baseline: seccomp", OLD_SECCOMP, "unconfined"), ("baseline: AppArmor", OLD_APPARMOR, "unconfined")],
)
def test_an_annotation_of_old_is_no_way_around(rule, annotation, value):
    pod = pod_of(good())
    pod.metadata["annotations"] = {annotation: value}

    assert {problem.rule for problem in violations(pod)} == {rule}


def test_every_rule_of_the_standard_is_broken_by_some_test():
    broken = {rule for rules, _, _ in BREACHES for rule in rules.split(" & ")}

    assert broken == set(BASELINE | RESTRICTED)


@pytest.mark.parametrize("field", CONTAINER_FIELDS)
def test_no_kind_of_container_is_overlooked(field):
    pod = pod_of(good())
    pod.spec[field] = [{"name": "extra", "image": "a:1", "securityContext": {"privileged": True}}]

    found = list(violations(pod))

    assert {"baseline: privileged containers", "restricted: capabilities"} <= {each.rule for each in found}
    assert any(problem.path.startswith(f"spec.template.spec.{field}[0]") for problem in found)


@pytest.mark.parametrize(("kind", "name"), [("Deployment", "web"), ("Job", "migrate"), ("Pod", "web-test")])
def test_no_kind_of_document_is_overlooked(kind, name):
    documents = good()
    changed(pod_of(documents, kind, name).spec, "hostNetwork", True)

    assert rules_broken(documents, gates=("restricted_violations",)) == {"baseline: host namespaces"}


def test_a_pod_template_is_found_wherever_it_stands():
    template = of(good(), "Deployment")["spec"]["template"]
    nested = {"jobTemplate": {"spec": {"template": template}}}
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"}, "spec": nested}
    listed = {
        "apiVersion": "v1",
        "kind": "Other",
        "metadata": {"name": "a"},
        "spec": {"sets": [{"template": template}]},
    }

    assert [pod.path for pod in pods_of(cron)] == ["spec.jobTemplate.spec.template.spec"]
    assert [pod.path for pod in pods_of(listed)] == ["spec.sets[0].template.spec"]


def test_what_a_container_says_itself_counts_before_what_the_pod_says():
    pod = pod_of(good())
    for container in [*pod.spec["containers"], *pod.spec["initContainers"]]:
        changed(container, "securityContext runAsNonRoot", True)
        changed(container, "securityContext seccompProfile type", "Localhost")
    del pod.spec["securityContext"]

    assert list(violations(pod)) == []
