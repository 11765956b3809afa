"""The documents of one rendered release, and the questions that rules ask of them as a whole."""

from dataclasses import dataclass
from functools import cached_property

from tests.chart.manifests import at, pods_of

# What Helm writes into a manifest to have it run at a certain time, and not with the rest.
HOOK = "helm.sh/hook"
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True)
class Release:
    """What one `helm template` rendered, for one namespace."""

    documents: list
    namespace: str

    @cached_property
    def pods(self):
        """Every pod and pod template of the release."""
        return [pod for document in self.documents for pod in pods_of(document)]

    def of_kind(self, *kinds):
        """Return the documents of these kinds."""
        return [document for document in self.documents if document["kind"] in kinds]

    def named(self, kind, name):
        """Return the document of this kind and name, or None."""
        return next((found for found in self.of_kind(kind) if found["metadata"]["name"] == name), None)

    def selected(self, selector):
        """Return the pods that a label selector selects; none where there is no selector."""
        return [pod for pod in self.pods if selector is not None and selects(selector, pod.labels)]


def events(document):
    """Return the hook events of a document; none for an ordinary one."""
    found = at(document, "metadata", "annotations", HOOK, default="")
    return {event.strip() for event in found.split(",") if event.strip()}


def weight(document):
    """Return the hook's weight: hooks of one event run in this order."""
    return int(at(document, "metadata", "annotations", f"{HOOK}-weight", default="0"))


def runs_before_release(document):
    """Whether this is created when nothing that is no hook exists yet."""
    return "pre-install" in events(document)


def selects(selector, labels):
    """Whether a selector in Kubernetes' form selects these labels; an empty one selects everything."""
    equal = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return equal and all(_meets(asked, labels) for asked in selector.get("matchExpressions") or [])


def _meets(asked, labels):
    value, values = labels.get(asked["key"]), asked.get("values") or []
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[asked["operator"]]


def opens(pod, port):
    """Whether a container of this pod that stays declares this port, by name or by number."""
    for _, container in pod.containers():
        for declared in container.get("ports") or []:
            if port in (declared.get("name"), declared.get("containerPort")):
                return True
    return False
