"""Which Redis a URL names, and which URLs name none."""

import ssl

import pytest

from service.adapters.redis_url import Connections


def connection_to(url):
    return Connections(url, connect_timeout_s=0.25).make()


@pytest.mark.parametrize(
    ("url", "host", "port", "db"),
    [
        ("redis://cache", "cache", 6379, 0),
        ("redis://cache:7000/3", "cache", 7000, 3),
        ("redis://:p%40ss@cache/1", "cache", 6379, 1),
        ("redis://[::1]:7000", "::1", 7000, 0),
        ("redis://cache?db=4", "cache", 6379, 4),
    ],
)
def test_a_plain_address_is_connected_to_directly(url, host, port, db):
    made = connection_to(url)
    assert (made.host, made.port, made.db) == (host, port, db)


def test_user_and_password_are_decoded():
    made = connection_to("redis://bro%6Ber:p%40ss%3Aword@cache")
    assert (made.username, made.password) == ("broker", "p@ss:word")


def test_a_socket_is_named_by_its_path():
    assert connection_to("unix:///run/valkey.sock?db=2").path == "/run/valkey.sock"


def test_nothing_is_tried_twice_and_connecting_is_bounded():
    made = connection_to("redis://cache")
    assert (made.retry._retries, made.socket_connect_timeout) == (0, 0.25)


def test_a_server_must_prove_that_it_is_the_one_that_was_named():
    made = connection_to("rediss://cache")
    assert (made.check_hostname, made.cert_reqs) == (True, ssl.CERT_REQUIRED)


def test_proof_of_the_name_can_be_waived():
    assert connection_to("rediss://cache?ssl_check_hostname=false").check_hostname is False


# --- Sentinel -------------------------------------------------------------------------------------------


def sentinels_of(url):
    return [
        (
            sentinel.connection_pool.connection_kwargs["host"],
            sentinel.connection_pool.connection_kwargs["port"],
        )
        for sentinel in Connections(url, connect_timeout_s=0.25)._sentinels
    ]


def test_sentinels_are_named_one_by_one():
    url = "redis+sentinel://first,second:7001,[::1],[::2]:7002/the-primary"
    assert sentinels_of(url) == [("first", 26379), ("second", 7001), ("::1", 26379), ("::2", 7002)]


def test_the_primary_has_a_login_of_its_own_and_so_have_the_sentinels():
    url = "redis+sentinel://broker:p%40ss@first/the-primary/2?sentinel_username=s&sentinel_password=t"
    connections = Connections(url, connect_timeout_s=0.25)
    made = connections.make()
    assert (made.username, made.password, made.db) == ("broker", "p@ss", 2)
    of_sentinel = connections._sentinels[0].connection_pool.connection_kwargs
    assert (of_sentinel["username"], of_sentinel["password"]) == ("s", "t")


def test_the_primary_behind_sentinels_can_be_reached_over_tls():
    assert connection_to("redis+sentinel://first/the-primary?ssl=true").check_hostname is True
    waived = connection_to("redis+sentinel://first/the-primary?ssl=true&ssl_check_hostname=false")
    assert waived.check_hostname is False


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://first",
        "redis+sentinel://first/",
        "redis+sentinel://first/the-primary/not-a-number",
        "redis+sentinel://first:port/the-primary",
        "redis+sentinel://first/the-primary?nonsense=1",
        "redis+sentinel://first/the-primary?ssl=true&nonsense=1",
        "redis://cache?nonsense=1",
        "redis://cache:port",
        "redis://cache?db=first",
        "rediss://cache?ssl_cert_reqs=nonsense",
        "http://cache",
        "",
    ],
)
def test_what_cannot_be_used_is_refused_without_repeating_it(url):
    with pytest.raises(ValueError, match="Redis URL cannot be used") as refused:
        Connections(url.replace("://", "://:hunter2@"), connect_timeout_s=0.25)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None
