"""Who may talk to whom: nobody, until the values name them."""

import ipaddress

import pytest

from tests.chart.found import Rendered, refusal, shape

INGRESS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}]
BACKEND = [{"podSelector": {"matchLabels": {"app": "backend"}}}]


def ports_in(policy):
    """Return port -> peers of the ingress rules."""
    return {rule["ports"][0]["port"]: rule["from"] for rule in policy["spec"]["ingress"]}


def ports_out(policy):
    return [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]


def policy_of(component, changes=None, **options):
    return Rendered(changes, **options).named("NetworkPolicy", component)


@pytest.mark.parametrize("component", ["service", "worker", "migrate", "test"])
def test_every_pod_is_denied_both_ways_by_default(component):
    rendered = Rendered()
    spec = rendered.named("NetworkPolicy", component)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    labels = rendered.pod_of(component)["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()


def test_nobody_comes_in_until_somebody_is_named():
    assert policy_of("service", {"tests": {"enabled": False}})["spec"]["ingress"] == []


def test_each_listener_has_its_own_callers():
    named = {"networkPolicy": {"public": INGRESS, "internal": BACKEND}, "tests": {"enabled": False}}
    assert ports_in(policy_of("service", named)) == {8080: INGRESS, 8081: BACKEND}


def test_metrics_are_for_prometheus_of_service_and_worker_alike():
    named = {"networkPolicy": {"observe": BACKEND}, "tests": {"enabled": False}}
    assert ports_in(policy_of("service", named)) == ports_in(policy_of("worker", named)) == {9090: BACKEND}


def test_the_tests_pod_reaches_what_it_asks_and_nothing_else():
    rendered = Rendered()
    asked = rendered.named("NetworkPolicy", "test")["spec"]["egress"][-1]
    assert {port["port"] for port in asked["ports"]} == {8080, 8081, 9090}
    let_in = ports_in(rendered.named("NetworkPolicy", "service"))
    assert {
        peers[0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peers in let_in.values()
    } == {"test"}


def test_service_and_worker_reach_dns_stores_and_upstream():
    for component in ("service", "worker"):
        assert ports_out(policy_of(component)) == [53, 53, 5432, 6379, 443]


def test_migrations_reach_the_database_alone():
    assert ports_out(policy_of("migrate")) == [53, 53, 5432]


def test_traces_need_a_way_out_only_when_there_are_any():
    traced = {"tracing": {"endpoint": "http://otel-collector:4318"}}
    assert ports_out(policy_of("worker", traced))[-1:] == [4318]


def test_upstream_is_the_internet_without_private_and_link_local_ranges():
    (upstream,) = (rule for rule in policy_of("worker")["spec"]["egress"] if rule["ports"][0]["port"] == 443)
    forbidden = (
        "10.1.2.3",
        "172.31.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "fd00::1",
        "fe80::1",
    )
    assert not any(is_reached(upstream["to"], address) for address in forbidden)
    assert is_reached(upstream["to"], "93.184.215.14")
    assert is_reached(upstream["to"], "2606:2800::1")


def is_reached(peers, address):
    """Whether an egress rule to these blocks lets this address through."""
    wanted = ipaddress.ip_address(address)
    blocks = [peer["ipBlock"] for peer in peers]
    return any(
        wanted in ipaddress.ip_network(block["cidr"])
        and not any(wanted in ipaddress.ip_network(hole) for hole in block["except"])
        for block in blocks
    )


def test_stores_are_private_until_they_are_named():
    database = next(
        rule for rule in policy_of("worker")["spec"]["egress"] if rule["ports"][0]["port"] == 5432
    )
    blocks = [peer["ipBlock"]["cidr"] for peer in database["to"] if "ipBlock" in peer]
    assert all(ipaddress.ip_network(block).is_private or block == "100.64.0.0/10" for block in blocks)


def test_a_store_may_be_named_with_its_own_ports():
    named = {"networkPolicy": {"redis": {"to": BACKEND, "ports": [6379, 26379]}}}
    rule = next(r for r in policy_of("worker", named)["spec"]["egress"] if r["ports"][0]["port"] == 6379)
    assert rule["to"] == BACKEND
    assert [port["port"] for port in rule["ports"]] == [6379, 26379]


def test_what_else_is_needed_may_be_added():
    spec = Rendered(values=shape("everything-on")).named("NetworkPolicy", "service")["spec"]
    assert spec["egress"][-1]["ports"] == [{"port": 3000, "protocol": "TCP"}]
    assert {"podSelector": {"matchLabels": {"app": "status-page"}}} in [
        peer for rule in spec["ingress"] for peer in rule["from"]
    ]


def test_a_destination_that_is_nowhere_is_refused():
    assert "/networkPolicy/database/to" in refusal({"networkPolicy": {"database": {"to": []}}})


def test_policies_may_be_somebody_elses():
    assert Rendered({"networkPolicy": {"enabled": False}}).all("NetworkPolicy") == []


def test_a_database_proxy_beside_the_migrations_reaches_what_it_needs():
    proxied = {"to": [{"ipBlock": {"cidr": "10.30.0.0/24"}}], "ports": [{"port": 3307, "protocol": "TCP"}]}
    rendered = Rendered({"networkPolicy": {"extraMigrationEgress": [proxied]}})
    assert proxied in rendered.named("NetworkPolicy", "migrate")["spec"]["egress"]
    assert proxied not in rendered.named("NetworkPolicy", "worker")["spec"]["egress"]
