"""Rules about the manners of a chart: names, labels, hooks, and what drains and rollouts may do."""

import re

from tests.chart.manifests import at
from tests.chart.release import HOOK, WORKLOADS, events

LABELS = (
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
)
# These change with an upgrade; a workload's selector may never change.
_CHANGING = {"app.kubernetes.io/version", "helm.sh/chart"}
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


def names(release):
    """A name is a DNS label: what fits there fits everywhere. Pods' names get eleven more characters."""
    for document in release.documents:
        name = document["metadata"]["name"]
        if len(name) > 63 or not _NAME.fullmatch(name):
            yield document, "metadata.name", f"{name} is no DNS label of at most 63 characters"
    for pod in release.pods:
        for path, container in pod.containers():
            for port in container.get("ports") or []:
                if len(port.get("name", "")) > 15:
                    yield pod.document, f"{path}.ports", f"{port['name']} is longer than 15 characters"


def unique(release):
    """No two documents are the same object."""
    seen = set()
    for document in release.documents:
        group = document["apiVersion"].rpartition("/")[0]
        identity = (group, document["kind"], document["metadata"]["name"])
        if identity in seen:
            yield document, "metadata.name", "is rendered twice"
        seen.add(identity)


def namespaces(release):
    """Everything is where the release is."""
    for document in release.documents:
        found = document["metadata"].get("namespace", release.namespace)
        if found != release.namespace:
            yield document, "metadata.namespace", f"is {found}, and the release is in {release.namespace}"


def labels(release):
    """Every object has the recommended labels, with values that a label may have."""
    for document in release.documents:
        found = document["metadata"].get("labels") or {}
        for missing in sorted(set(LABELS) - set(found)):
            yield document, "metadata.labels", f"{missing} is missing"
        yield from _bad_values(document, "metadata.labels", found)
    for pod in release.pods:
        for missing in sorted(set(LABELS[:2]) - set(pod.labels)):
            yield pod.document, f"{pod.path} (labels)", f"{missing} is missing"
        yield from _bad_values(pod.document, f"{pod.path} (labels)", pod.labels)


def _bad_values(document, path, found):
    for key, value in found.items():
        if len(str(value)) > 63 or not _LABEL.fullmatch(str(value)):
            yield document, path, f"{key}: {value} is no value of a label"


def lasting_selectors(release):
    """A selector holds nothing that an upgrade changes."""
    for workload in release.of_kind(*WORKLOADS):
        for key in sorted(_CHANGING & set(at(workload, "spec", "selector", "matchLabels", default={}))):
            yield workload, "spec.selector.matchLabels", f"{key} changes with an upgrade, and it must not"


def empty_fields(release):
    """No key stands there without a value: a template wrote it and had nothing to say."""
    for document in release.documents:
        for path in _nulls(document, ""):
            yield document, path, "has no value"


def _nulls(value, path):
    if value is None:
        yield path.lstrip(".")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _nulls(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nulls(item, f"{path}[{index}]")


def disruptions(release):
    """A PodDisruptionBudget is about pods of the release, and leaves one to be evicted."""
    for budget in release.of_kind("PodDisruptionBudget"):
        spec = budget["spec"]
        found = {id(pod.document): pod.document for pod in release.selected(spec["selector"])}
        if not found:
            yield budget, "spec.selector", "selects no pod"
        for workload in found.values():
            pods = _least(release, workload)
            if not _leaves_one(spec, pods):
                yield budget, "spec", f"blocks a drain: {workload['metadata']['name']} may have {pods} pod(s)"


def _leaves_one(spec, pods):
    if "maxUnavailable" in spec:
        return _share(spec["maxUnavailable"], pods) >= 1
    return _share(spec.get("minAvailable", 1), pods) < pods


def _share(bound, pods):
    """Kubernetes rounds a percentage up."""
    return -(-int(bound[:-1]) * pods // 100) if isinstance(bound, str) else bound


def _least(release, workload):
    """Return how many pods a workload has at least."""
    for scaler in release.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        if scaler["spec"]["scaleTargetRef"]["name"] == workload["metadata"]["name"]:
            return scaler["spec"].get("minReplicas", scaler["spec"].get("minReplicaCount", 1))
    return at(workload, "spec", "replicas", default=1)


def rollouts(release):
    """A Deployment never has fewer ready pods than asked for while it rolls, and spreads its pods."""
    for deployment in release.of_kind("Deployment"):
        strategy = at(deployment, "spec", "strategy", "rollingUpdate", "maxUnavailable")
        if strategy not in (0, "0%"):
            yield deployment, "spec.strategy.rollingUpdate.maxUnavailable", f"is {strategy}, and not 0"
        spec = at(deployment, "spec", "template", "spec", default={})
        if not spec.get("topologySpreadConstraints") and not at(spec, "affinity", "podAntiAffinity"):
            yield deployment, "spec.template.spec", "does not spread its pods"


def jobs(release):
    """A Job ends, whatever happens: a hook that hangs holds the release."""
    for job in release.of_kind("Job"):
        if not at(job, "spec", "activeDeadlineSeconds"):
            yield job, "spec.activeDeadlineSeconds", "is missing"
        if at(job, "spec", "template", "spec", "restartPolicy") not in ("Never", "OnFailure"):
            yield job, "spec.template.spec.restartPolicy", "is neither Never nor OnFailure"


def hooks(release):
    """A hook is removed before it is made again, or the next upgrade would find the old one in its way."""
    for document in release.documents:
        policy = at(document, "metadata", "annotations", f"{HOOK}-delete-policy", default="")
        if events(document) and "before-hook-creation" not in policy:
            yield document, f"metadata.annotations.{HOOK}-delete-policy", "lacks before-hook-creation"
        if "pre-rollback" in events(document):
            yield document, f"metadata.annotations.{HOOK}", "runs on a rollback, when the schema stays"


RULES = {
    "manners: names": names,
    "manners: unique": unique,
    "manners: namespace": namespaces,
    "manners: labels": labels,
    "manners: lasting selectors": lasting_selectors,
    "manners: empty fields": empty_fields,
    "manners: disruption budgets": disruptions,
    "manners: rollouts": rollouts,
    "manners: jobs": jobs,
    "manners: hooks": hooks,
}
