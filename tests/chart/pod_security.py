"""The Pod Security Standard "restricted", with the "baseline" below it, for any pod and all its containers.

As it stands for the newest Kubernetes, whatever version is rendered for: what is newer only asks for more.
Exemptions for Windows pods and for pods in a user namespace are not made.
"""

from tests.chart.manifests import at
from tests.chart.problems import judged

_BASELINE_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
_SELINUX_TYPES = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_TCP = ("syncookies", "keepalive_time", "fin_timeout", "keepalive_intvl", "keepalive_probes", "rmem", "wmem")
_IP = ("ip_local_port_range", "ip_unprivileged_port_start", "ping_group_range", "ip_local_reserved_ports")
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    *(f"net.ipv4.{name}" for name in (*_IP, *(f"tcp_{name}" for name in _TCP))),
}
_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected",
    "secret",
}  # fmt: skip
_PROFILES = {"RuntimeDefault", "Localhost"}
_OLD_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_OLD_SECCOMP = ("seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/")


def violations(pod):
    """Yield every violation of the standard in this pod."""
    yield from judged(BASELINE | RESTRICTED, pod, pod.document)


def _contexts(pod):
    """Yield path and security context, of the pod and then of each container."""
    yield f"{pod.path}.securityContext", pod.spec.get("securityContext") or {}
    yield from _container_contexts(pod)


def _container_contexts(pod):
    for path, container in pod.containers():
        yield f"{path}.securityContext", container.get("securityContext") or {}


def _host_process(pod):
    for path, context in _contexts(pod):
        if at(context, "windowsOptions", "hostProcess"):
            yield f"{path}.windowsOptions.hostProcess", "runs as a process of the host"


def _host_namespaces(pod):
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(field):
            yield f"{pod.path}.{field}", "shares a namespace of the host"


def _privileged(pod):
    for path, context in _container_contexts(pod):
        if context.get("privileged"):
            yield f"{path}.privileged", "is privileged"


def _added_capabilities(pod):
    yield from _adds_others_than(_BASELINE_CAPABILITIES, pod)


def _adds_others_than(allowed, pod):
    for path, context in _container_contexts(pod):
        added = set(at(context, "capabilities", "add", default=[])) - allowed
        if added:
            yield f"{path}.capabilities.add", f"adds {', '.join(sorted(added))}"


def _host_paths(pod):
    for index, volume in enumerate(pod.spec.get("volumes") or []):
        if "hostPath" in volume:
            yield f"{pod.path}.volumes[{index}].hostPath", "mounts a path of the host"


def _host_ports(pod):
    for path, container in pod.containers():
        for index, port in enumerate(container.get("ports") or []):
            if port.get("hostPort"):
                yield f"{path}.ports[{index}].hostPort", "opens a port of the host"


def _hosts_of_probes(pod):
    probes = [(name,) for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    hooks = [("lifecycle", name) for name in ("postStart", "preStop")]
    for path, container in pod.containers():
        for keys in probes + hooks:
            for kind in ("httpGet", "tcpSocket"):
                if at(container, *keys, kind, "host"):
                    yield ".".join((path, *keys, kind, "host")), "has the kubelet ask another host"


def _apparmor(pod):
    for path, context in _contexts(pod):
        profile = at(context, "appArmorProfile", "type")
        if profile is not None and profile not in _PROFILES:
            yield f"{path}.appArmorProfile.type", f"is {profile}"
    for key, value in (pod.metadata.get("annotations") or {}).items():
        if (
            key.startswith(_OLD_APPARMOR)
            and value != "runtime/default"
            and not value.startswith("localhost/")
        ):
            yield f"annotation {key}", f"is {value}"


def _selinux(pod):
    for path, context in _contexts(pod):
        options = context.get("seLinuxOptions") or {}
        if options.get("type") not in _SELINUX_TYPES or options.get("user") or options.get("role"):
            yield f"{path}.seLinuxOptions", "sets a type of its own, a user or a role"


def _proc_mount(pod):
    for path, context in _container_contexts(pod):
        if context.get("procMount") not in (None, "Default"):
            yield f"{path}.procMount", "unmasks /proc"


def _unconfined(pod):
    for path, context in _contexts(pod):
        if at(context, "seccompProfile", "type") == "Unconfined":
            yield f"{path}.seccompProfile.type", "is Unconfined"
    for key, value in (pod.metadata.get("annotations") or {}).items():
        if key.startswith(_OLD_SECCOMP) and value == "unconfined":
            yield f"annotation {key}", "is unconfined"


def _sysctls(pod):
    for sysctl in at(pod.spec, "securityContext", "sysctls", default=[]):
        if sysctl["name"] not in _SYSCTLS:
            yield f"{pod.path}.securityContext.sysctls", f"sets {sysctl['name']}"


def _volume_types(pod):
    for index, volume in enumerate(pod.spec.get("volumes") or []):
        others = set(volume) - {"name"} - _VOLUMES
        if others:
            yield f"{pod.path}.volumes[{index}]", f"is of the type {', '.join(sorted(others))}"


def _escalation(pod):
    for path, context in _container_contexts(pod):
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{path}.allowPrivilegeEscalation", "is not false"


def _non_root(pod):
    of_pod = at(pod.spec, "securityContext", "runAsNonRoot")
    if of_pod is False:
        yield f"{pod.path}.securityContext.runAsNonRoot", "is false"
    for path, context in _container_contexts(pod):
        if context.get("runAsNonRoot", of_pod) is not True:
            yield f"{path}.runAsNonRoot", "is not true, here or for the pod"


def _user(pod):
    for path, context in _contexts(pod):
        if context.get("runAsUser") == 0:
            yield f"{path}.runAsUser", "is 0, which is root"


def _seccomp(pod):
    of_pod = at(pod.spec, "securityContext", "seccompProfile", "type")
    for path, context in _container_contexts(pod):
        if at(context, "seccompProfile", "type", default=of_pod) not in _PROFILES:
            yield f"{path}.seccompProfile.type", "is not RuntimeDefault or Localhost, here or for the pod"


def _dropped_capabilities(pod):
    for path, context in _container_contexts(pod):
        if "ALL" not in at(context, "capabilities", "drop", default=[]):
            yield f"{path}.capabilities.drop", "does not drop ALL"
    yield from _adds_others_than({"NET_BIND_SERVICE"}, pod)


BASELINE = {
    "baseline: HostProcess": _host_process,
    "baseline: host namespaces": _host_namespaces,
    "baseline: privileged containers": _privileged,
    "baseline: capabilities": _added_capabilities,
    "baseline: HostPath volumes": _host_paths,
    "baseline: host ports": _host_ports,
    "baseline: hosts of probes and hooks": _hosts_of_probes,
    "baseline: AppArmor": _apparmor,
    "baseline: SELinux": _selinux,
    "baseline: /proc mount type": _proc_mount,
    "baseline: seccomp": _unconfined,
    "baseline: sysctls": _sysctls,
}
RESTRICTED = {
    "restricted: volume types": _volume_types,
    "restricted: privilege escalation": _escalation,
    "restricted: running as non-root": _non_root,
    "restricted: running as non-root user": _user,
    "restricted: seccomp": _seccomp,
    "restricted: capabilities": _dropped_capabilities,
}
