"""What this chart asks of its pods beyond the "restricted" standard: rules of our own, each with a name.

They hold for every pod and every container, an app's own beside the sidecar too: people copy examples.
"""

import re

from tests.chart.manifests import at
from tests.chart.problems import judged

_HOUR_S = 3600
_VOLUMES = {"configMap", "secret", "projected", "emptyDir"}
# A setting that holds a secret; with "_FILE" behind it, it names where the secret lies, and is harmless.
_OURS = re.compile(r"TOKEN_BROKER_(.*(KEYS|SECRET|PASSWORD)|DATABASE_URL|REDIS_URL)")
_OTHERS = re.compile(
    r"(?!TOKEN_BROKER_)(.*(SECRET|PASSWORD|TOKEN|CREDENTIAL).*|.*KEYS?|DATABASE_URL|REDIS_URL)"
)
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_IMAGE = re.compile(r"^[^\s@]+(:(?P<tag>[\w][\w.-]*))?(@sha256:[0-9a-f]{64})?$")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def violations(pod):
    """Yield every broken rule of ours in this pod."""
    yield from judged(RULES, pod, pod.document)


def _read_only_root(pod):
    for path, container in pod.containers():
        if at(container, "securityContext", "readOnlyRootFilesystem") is not True:
            yield f"{path}.securityContext.readOnlyRootFilesystem", "is not true"


def _no_api_token(pod):
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield f"{pod.path}.automountServiceAccountToken", "is not false"
    for volume in pod.spec.get("volumes") or []:
        for source in at(volume, "projected", "sources", default=[]):
            token = source.get("serviceAccountToken")
            if token and not token.get("expirationSeconds", _HOUR_S) <= _HOUR_S:
                yield f"{pod.path}.volumes[{volume['name']}]", "has a token that lives longer than an hour"


def _no_service_links(pod):
    if pod.spec.get("enableServiceLinks") is not False:
        yield (
            f"{pod.path}.enableServiceLinks",
            "is not false: every Service's address would be in the environment",
        )


def _resources(pod):
    for path, container in pod.containers():
        for which in ("requests", "limits"):
            for resource in ("cpu", "memory"):
                # A CPU limit throttles a process that others would let run; it is left to who installs.
                if (which, resource) != ("limits", "cpu") and not at(container, "resources", which, resource):
                    yield f"{path}.resources.{which}.{resource}", "is missing"


def _memory_is_reserved(pod):
    for path, container in pod.containers():
        request, limit = (at(container, "resources", which, "memory") for which in ("requests", "limits"))
        if request and limit and _bytes(request) != _bytes(limit):
            yield f"{path}.resources.limits.memory", f"is {limit}, but {request} are requested"


def _bytes(quantity):
    number, unit = re.fullmatch(r"([\d.]+)(\w*)", str(quantity)).groups()
    return float(number) * _UNITS[unit]


def _no_secret_in_environment(pod):
    for path, container in pod.containers():
        for variable in container.get("env") or []:
            name, value = variable["name"], str(variable.get("value", ""))
            place = f"{path}.env[{name}]"
            if at(variable, "valueFrom", "secretKeyRef"):
                yield place, "takes a secret from a Secret; mount it as a file"
            elif _PASSWORD_IN_URL.search(value):
                yield place, "holds a URL with a password in it"
            elif value and _holds_a_secret(name):
                yield place, "is named like a secret and has a value"
        if any("secretRef" in source for source in container.get("envFrom") or []):
            yield f"{path}.envFrom", "takes a whole Secret into the environment"


def _holds_a_secret(name):
    upper = name.upper()
    return not upper.endswith("_FILE") and bool(_OURS.fullmatch(upper) or _OTHERS.fullmatch(upper))


def _pinned_image(pod):
    for path, container in pod.containers():
        image = container.get("image") or ""
        last = image.split("@")[0].rpartition("/")[2]
        tag = last.partition(":")[2]
        if not _IMAGE.match(image) or tag == "latest" or not (tag or "@" in image):
            yield f"{path}.image", f'"{image}" has no tag or digest that would stay the same'


def _runs_for_ever(pod, container):
    """Whether this container is meant to stay: then it is probed."""
    if any(container is other for other in pod.spec.get("initContainers") or []):
        return container.get("restartPolicy") == "Always"
    return pod.document["kind"] not in ("Job", "CronJob", "Pod")


def _probes(pod):
    for path, container in pod.containers():
        if _runs_for_ever(pod, container):
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if not container.get(probe):
                    yield f"{path}.{probe}", "is missing"
            if container.get("livenessProbe") and container["livenessProbe"] == container.get(
                "readinessProbe"
            ):
                yield f"{path}.livenessProbe", "is the readiness probe: what should only wait would be killed"


def _volume_kinds(pod):
    for index, volume in enumerate(pod.spec.get("volumes") or []):
        others = set(volume) - {"name"} - _VOLUMES
        if others:
            yield f"{pod.path}.volumes[{index}]", f"is of the type {', '.join(sorted(others))}"


def _memory_backed(pod):
    """What is written must not reach the node's disk, and must have an end."""
    for index, volume in enumerate(pod.spec.get("volumes") or []):
        if "emptyDir" in volume:
            for key, good in (("medium", lambda value: value == "Memory"), ("sizeLimit", bool)):
                if not good(at(volume, "emptyDir", key)):
                    yield f"{pod.path}.volumes[{index}].emptyDir.{key}", "is not set to Memory and a size"


def _grace(pod):
    """A pod that is told to stop gets longer than its preStop sleep."""
    grace = pod.spec.get("terminationGracePeriodSeconds", 30)
    for path, container in pod.containers():
        slept = at(container, "lifecycle", "preStop", "sleep", "seconds", default=0)
        if slept >= grace:
            yield f"{path}.lifecycle.preStop.sleep.seconds", f"is {slept}, and all the grace is {grace}"


RULES = {
    "hardening: read-only root": _read_only_root,
    "hardening: no API token": _no_api_token,
    "hardening: no service links": _no_service_links,
    "hardening: resources": _resources,
    "hardening: memory reserved": _memory_is_reserved,
    "hardening: no secret in the environment": _no_secret_in_environment,
    "hardening: pinned image": _pinned_image,
    "hardening: probes": _probes,
    "hardening: volume types": _volume_kinds,
    "hardening: scratch space in memory": _memory_backed,
    "hardening: grace": _grace,
}
