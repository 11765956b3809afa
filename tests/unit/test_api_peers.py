"""Whose failures are counted together, and whom forwarding headers are believed from."""

from ipaddress import ip_address, ip_network

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from service.api.limits import AddressFailures
from service.api.peers import Peers
from service.broker.errors import TokenUnknown, TooManyRequests

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def request_from(peer, *forwarded):
    headers = CIMultiDict([("X-Forwarded-For", value) for value in forwarded])
    return make_mocked_request("GET", "/refresh", headers=headers).clone(remote=peer)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, ż"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["2001:db8::1%ż <b>"], "2001:db8::1"),
        ("10.0.0.1", ["[fe80::1%anything at all]:4711"], "fe80::1"),
        ("fe80::1%eth0", [], "fe80::1"),
    ],
)
def test_the_address_is_the_last_one_that_no_proxy_of_ours_has(peer, forwarded, address):
    assert Peers(TRUSTED).address_of(request_from(peer, *forwarded)) == ip_address(address)


def test_a_peer_without_an_address_has_none():
    assert Peers(TRUSTED).address_of(request_from("")) is None


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("203.0.113.1", "203.0.113.1", True),
        ("203.0.113.1", "203.0.113.2", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_failures_are_counted_by_address_and_by_ipv6_network(first, second, together):
    failures = AddressFailures(1)
    failures.refusal(ip_address(first))

    refusal = failures.refusal(ip_address(second))

    assert isinstance(refusal, TooManyRequests if together else TokenUnknown)


def test_the_refusal_says_when_the_next_failure_is_free():
    failures = AddressFailures(20)
    refusals = [failures.refusal(ip_address("203.0.113.1")) for _ in range(21)]

    assert 0 < refusals[-1].retry_after_s <= 3
