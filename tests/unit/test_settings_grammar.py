"""The small languages of the settings: what each accepts, as what, and what it refuses."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.settings import callers, grammar, keys, urls
from service.settings.grammar import Address, Rate

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("20", 20),
        ("0.5", 0.5),
        ("20s", 20),
        ("15m", 900),
        ("24h", 86400),
        ("7d", 604800),
        ("1.5h", 5400),
    ],
)
def test_a_duration_is_seconds_or_one_number_with_a_unit(text, seconds):
    assert grammar.parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["-1", "1h30m", "5 m", " 5m", "5M", "1e3", "٣m", "", "m", "inf", "nan", "9999999d"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        grammar.parse_duration(text)


@given(st.integers(0, 366), st.sampled_from("smhd"))
def test_a_shown_duration_reads_as_the_same_duration(number, unit):
    duration = grammar.parse_duration(f"{number}{unit}")
    assert grammar.parse_duration(grammar.show_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("450/min", Rate(450, MINUTE)),
        ("10/s", Rate(10, timedelta(seconds=1))),
        ("9/m", Rate(9, MINUTE)),
        ("1/h", Rate(1, timedelta(hours=1))),
    ],
)
def test_a_rate_is_a_number_in_a_time(text, rate):
    assert grammar.parse_rate(text) == rate


@pytest.mark.parametrize("text", ["0/min", "10", "10/", "/s", "-1/s", "1.5/s", "10/day", "10 / s", "10/5s"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match="must be a whole number"):
        grammar.parse_rate(text)


def test_a_limit_of_zero_is_no_limit():
    assert grammar.parse_limit("0") is None


@pytest.mark.parametrize("text", ["450/min", "10/s", "3/h"])
def test_a_rate_is_written_as_it_was_read(text):
    assert str(grammar.parse_rate(text)) == text


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8080", Address("0.0.0.0", 8080)),
        ("[::1]:81", Address("::1", 81)),
        ("Localhost:0", Address("localhost", 0)),
    ],
)
def test_an_address_is_a_host_and_a_port(text, address):
    assert grammar.parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["8080", ":8080", "host", "host:", "host:http", "host:65536", "::1:80", "[::1]", "[x]:1", "a b:1",
     "256.1.1.1:1", "1:1", "h:1:2", "host:-1", "host:٨٠"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        grammar.parse_address(text)


def test_an_ipv6_address_is_written_with_its_brackets():
    assert str(grammar.parse_address("[::1]:81")) == "[::1]:81"


def test_networks_are_addresses_or_prefixes():
    networks = grammar.parse_list("10.0.0.0/8, 192.0.2.1,fd00::/8", grammar.parse_network)
    assert [str(network) for network in networks] == ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]


def test_a_network_with_too_many_bits_is_refused_with_the_one_that_was_meant():
    with pytest.raises(ValueError, match=r"entry 2 of 2 .* the network is 10\.0\.0\.0/8"):
        grammar.parse_list("fd00::/8,10.1.0.0/8", grammar.parse_network)


@pytest.mark.parametrize(
    "text", ["//x", "refresh", "/refresh/", "/a/../b", "/a//b", "/a?b", "/a#b", "/%61", "/", "/ä"]
)
def test_a_path_is_plain_or_refused(text):
    with pytest.raises(ValueError, match="absolute path"):
        grammar.parse_path(text)


@pytest.mark.parametrize("path", ["/healthz", "/keep-fresh.js", "/use-fresh-token.js"])
def test_the_refresh_endpoint_is_not_put_where_something_else_is(path):
    with pytest.raises(ValueError, match="another path"):
        grammar.parse_path(path)


PARSERS = [
    grammar.parse_duration, grammar.parse_rate, grammar.parse_limit, grammar.parse_host, grammar.parse_port,
    grammar.parse_address, grammar.parse_network, grammar.parse_path, grammar.parse_flag, grammar.parse_count,
    urls.parse_origin, urls.parse_api_url, urls.parse_app_url, urls.parse_key_source, urls.parse_database_url,
    urls.parse_redis_url, keys.parse_client_secrets, keys.parse_key_ring, callers.parse_api_keys,
]  # fmt: skip
SHAPES = st.sampled_from(
    ["{}", "https://{}", "redis://{}", "postgresql://{}/d", "unix://{}", "{}:1", "[{}]:1", "a:{}"]
)


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@given(text=st.text(), shape=SHAPES)
def test_a_reader_says_no_with_value_error_alone_and_never_quotes_its_input(parse, text, shape):
    said = ""
    try:
        parse(shape.format(f"5ecret{text}"))
    except ValueError as wrong:
        said = str(wrong)

    assert "5ecret" not in said
