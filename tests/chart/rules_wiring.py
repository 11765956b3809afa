"""Rules about how documents refer to each other: what is named is there, and is the right thing."""

from tests.chart.manifests import at
from tests.chart.release import WORKLOADS, events, opens, runs_before_release, selects, weight


def workload_selectors(release):
    """A workload selects its own pods, and nobody else's."""
    for workload in release.of_kind(*WORKLOADS):
        selector = at(workload, "spec", "selector", default={})
        own = [pod for pod in release.pods if pod.document is workload]
        if not all(selects(selector, pod.labels) for pod in own):
            yield workload, "spec.selector", "does not select the labels of its own pods"
        for pod in release.selected(selector):
            if pod.document is not workload:
                yield workload, "spec.selector", f"selects the pods of {_name(pod.document)} too"


def services(release):
    """A Service selects pods, long-running ones, and each of its ports is open in all of them."""
    for service in release.of_kind("Service"):
        if "selector" not in service["spec"]:
            continue
        pods = release.selected({"matchLabels": service["spec"]["selector"]})
        if not pods:
            yield service, "spec.selector", "selects no pod"
        for pod in pods:
            if pod.document["kind"] not in WORKLOADS:
                yield service, "spec.selector", f"selects the pods of {_name(pod.document)}, which end"
            for index, port in enumerate(service["spec"]["ports"]):
                target = port.get("targetPort", port["port"])
                if not opens(pod, target):
                    yield service, f"spec.ports[{index}]", f"{target} is not open in {_name(pod.document)}"


def monitors(release):
    """A monitor selects something of this release, and the port it scrapes is there."""
    for monitor in release.of_kind("ServiceMonitor"):
        found = [
            service
            for service in release.of_kind("Service")
            if selects(monitor["spec"]["selector"], service["metadata"].get("labels") or {})
        ]
        if not found:
            yield monitor, "spec.selector", "selects no Service"
        for endpoint in monitor["spec"]["endpoints"]:
            names = {port.get("name") for service in found for port in service["spec"]["ports"]}
            if endpoint.get("port") not in names:
                yield monitor, "spec.endpoints", f"no selected Service has a port {endpoint.get('port')}"
    for monitor in release.of_kind("PodMonitor"):
        pods = release.selected(monitor["spec"]["selector"])
        if not pods:
            yield monitor, "spec.selector", "selects no pod"
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            if not all(opens(pod, endpoint.get("port")) for pod in pods):
                yield monitor, "spec.podMetricsEndpoints", f"a pod has no port {endpoint.get('port')}"


def backends(release):
    """What browsers are routed to is a Service that is there, at a port it has, the public one."""
    for document, path, name, port in _backends(release):
        service = release.named("Service", name)
        ports = at(service, "spec", "ports", default=[])
        found = next((each for each in ports if port in (each.get("name"), each["port"])), None)
        if found is None:
            yield document, path, f"no Service {name} with port {port}"
        elif found.get("name") in ("internal", "observe"):
            yield document, path, f"leads to the {found['name']} port, which browsers must never reach"


def _backends(release):
    for ingress in release.of_kind("Ingress"):
        paths = [path for rule in at(ingress, "spec", "rules", default=[]) for path in rule["http"]["paths"]]
        for backend in [at(path, "backend", "service") for path in paths]:
            port = at(backend, "port", "name") or at(backend, "port", "number")
            yield ingress, "spec.rules", backend["name"], port
    for route in release.of_kind("HTTPRoute"):
        for rule in at(route, "spec", "rules", default=[]):
            for backend in rule.get("backendRefs") or []:
                yield route, "spec.rules", backend["name"], backend.get("port")


def scalers(release):
    """What scales has a target to itself, and bounds; the target leaves its own number open."""
    scaled = []
    for scaler in release.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        reference, spec = scaler["spec"]["scaleTargetRef"], scaler["spec"]
        target = release.named(reference.get("kind", "Deployment"), reference["name"])
        if target is None:
            yield scaler, "spec.scaleTargetRef", f"{reference['name']} is not there"
            continue
        if any(target is other for other in scaled):
            yield scaler, "spec.scaleTargetRef", f"{_name(target)} is scaled twice"
        scaled.append(target)
        if "replicas" in target["spec"]:
            yield target, "spec.replicas", f"is set, and would be fought over with {_name(scaler)}"
        least = spec.get("minReplicas", spec.get("minReplicaCount", 1))
        most = spec.get("maxReplicas", spec.get("maxReplicaCount", 100))
        if least > most:
            yield scaler, "spec", f"asks for at least {least} and at most {most} pods"


def volumes(release):
    """What a container mounts is a volume of its pod, at a path of its own; every volume is mounted."""
    for pod in release.pods:
        defined = {volume["name"] for volume in pod.spec.get("volumes") or []}
        used = set()
        for path, container in pod.containers():
            mounts = container.get("volumeMounts") or []
            paths = [mount["mountPath"] for mount in mounts]
            for mount in mounts:
                used.add(mount["name"])
                place = f"{path}.volumeMounts[{mount['name']}]"
                if mount["name"] not in defined:
                    yield pod.document, place, "is no volume of the pod"
                if paths.count(mount["mountPath"]) > 1:
                    yield pod.document, place, f"{mount['mountPath']} is mounted over"
                if "subPath" in mount:
                    yield pod.document, place, "has a subPath: a file that changes would never change here"
        for name in sorted(defined - used):
            yield pod.document, f"{pod.path}.volumes[{name}]", "is mounted nowhere"


def config_maps(release):
    """Every ConfigMap that a pod needs is in the release, but for that of the cluster's own authority."""
    for pod, path, kind, name in _needed(release):
        if kind == "ConfigMap" and name != "kube-root-ca.crt" and release.named(kind, name) is None:
            yield pod.document, path, f"ConfigMap {name} is not in the release"


def service_accounts(release):
    """The account of every pod is in the release; without a token none is needed of elsewhere."""
    for pod, path, kind, name in _needed(release):
        if kind == "ServiceAccount" and name != "default" and release.named(kind, name) is None:
            yield pod.document, path, f"ServiceAccount {name} is not in the release"


def early_hooks(release):
    """A pod that runs before the release is there uses only what is made before it, for the same event."""
    for pod, path, kind, name in _needed(release):
        if not runs_before_release(pod.document):
            continue
        for used in _providers(release, kind, name):
            if not events(pod.document) <= events(used) or weight(used) >= weight(pod.document):
                yield pod.document, path, f"{_name(used)} does not exist yet when this runs"


def _providers(release, kind, name):
    """Return what brings this object: itself, or the ExternalSecret that a Secret comes from."""
    found = [release.named(kind, name)]
    if kind == "Secret":
        found += [each for each in release.of_kind("ExternalSecret") if _secret_of(each) == name]
    return [document for document in found if document is not None]


def _secret_of(external):
    return at(external, "spec", "target", "name", default=external["metadata"]["name"])


def _needed(release):
    """Yield pod, path, kind and name of every object that a pod cannot start without."""
    for pod in release.pods:
        yield pod, f"{pod.path}.serviceAccountName", "ServiceAccount", _account(pod)
        for index, volume in enumerate(pod.spec.get("volumes") or []):
            sources = [volume, *at(volume, "projected", "sources", default=[])]
            for source in sources:
                yield from _of_source(pod, f"{pod.path}.volumes[{index}]", source)
        for path, container in pod.containers():
            for source in container.get("envFrom") or []:
                yield from _of_source(pod, f"{path}.envFrom", source)
            for variable in container.get("env") or []:
                yield from _of_source(pod, f"{path}.env[{variable['name']}]", variable.get("valueFrom") or {})


def _account(pod):
    return pod.spec.get("serviceAccountName", "default")


def _of_source(pod, path, source):
    keys = {"configMap": "ConfigMap", "configMapRef": "ConfigMap", "configMapKeyRef": "ConfigMap"}
    keys |= {"secret": "Secret", "secretRef": "Secret", "secretKeyRef": "Secret"}
    for key, kind in keys.items():
        named = source.get(key)
        if named and not named.get("optional"):
            yield pod, path, kind, named.get("name") or named.get("secretName")


def _name(document):
    return f"{document['kind']} {document['metadata']['name']}"


RULES = {
    "wiring: workload selectors": workload_selectors,
    "wiring: services": services,
    "wiring: monitors": monitors,
    "wiring: backends": backends,
    "wiring: scalers": scalers,
    "wiring: volumes": volumes,
    "wiring: ConfigMaps": config_maps,
    "wiring: ServiceAccounts": service_accounts,
    "wiring: early hooks": early_hooks,
}
