"""Rules about who may talk to whom: every pod is under policies that deny both ways what they do not name."""

import ipaddress

from tests.chart.manifests import at
from tests.chart.release import events, runs_before_release, selects

DIRECTIONS = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}


def denied_by_default(release):
    """Every pod is selected by policies for both directions, in force when the pod starts."""
    policies = release.of_kind("NetworkPolicy")
    for pod in release.pods:
        under = set()
        for policy in policies:
            if selects(policy["spec"].get("podSelector") or {}, pod.labels) and _in_force(policy, pod):
                under |= set(policy["spec"].get("policyTypes") or [])
        for missing in sorted(set(DIRECTIONS) - under):
            yield pod.document, pod.path, f"no NetworkPolicy denies {missing.lower()} by default"


def _in_force(policy, pod):
    """A policy that comes with the release is not there yet for what runs before it."""
    if runs_before_release(pod.document):
        return events(pod.document) <= events(policy)
    return not events(policy)


def named_peers(release):
    """A policy names both whom it lets through and at which ports; the whole world never comes in."""
    for policy in release.of_kind("NetworkPolicy"):
        for direction, (field, peers) in DIRECTIONS.items():
            if direction not in at(policy, "spec", "policyTypes", default=[]) and field in policy["spec"]:
                yield policy, f"spec.{field}", f"has no effect: policyTypes does not name {direction}"
            for index, rule in enumerate(at(policy, "spec", field, default=[])):
                path = f"spec.{field}[{index}]"
                if not rule.get("ports"):
                    yield policy, path, "lets every port through"
                if not rule.get(peers):
                    yield policy, path, f"lets everybody through: it has no `{peers}`"
                for peer in rule.get(peers) or []:
                    if field == "ingress" and _is_whole_world(peer):
                        yield policy, path, "lets the whole world in"


def _is_whole_world(peer):
    return "ipBlock" in peer and ipaddress.ip_network(peer["ipBlock"]["cidr"]).prefixlen == 0


def alive(release):
    """A policy selects a pod of the release: one that does not is a selector gone wrong."""
    for policy in release.of_kind("NetworkPolicy"):
        if not release.selected(policy["spec"].get("podSelector") or {}):
            yield policy, "spec.podSelector", "selects no pod"


RULES = {
    "network: denied by default": denied_by_default,
    "network: named peers": named_peers,
    "network: policies in use": alive,
}
