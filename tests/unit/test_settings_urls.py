"""The addresses of other parties: what can be called safely, and what is refused at the start."""

import pytest

from service.settings import urls


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.COM:443", "https://app.example.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_an_origin_becomes_what_browsers_send(text, origin):
    assert urls.parse_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    ["*", "null", "app.example.com", "https://", "https://app.example.com/", "https://app.example.com/path",
     "https://*.example.com", "https://u@app.example.com", "https://app.example.com?", "https://app.example.com#",
     "ftp://app.example.com", "https://app.example.com:", "https://app.example.com.", "https://bücher.example",
     "https://app.example.com:99999", "https:app.example.com", "javascript:alert(1)"],
)  # fmt: skip
def test_what_is_no_exact_origin_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        urls.parse_origin(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://api.cal.com/v2", "https://api.cal.com/v2"),
        ("https://API.cal.com:443/v2/", "https://api.cal.com/v2"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("http://127.8.0.1/v2", "http://127.8.0.1/v2"),
        ("http://[::1]:5000/v2", "http://[::1]:5000/v2"),
        ("https://10.0.0.7/v2", "https://10.0.0.7/v2"),
    ],
)
def test_an_upstream_address_is_https_or_this_machine(text, url):
    assert urls.parse_api_url(text) == url


@pytest.mark.parametrize(
    "text",
    ["http://api.cal.com/v2", "https://api.cal.com@evil.com/v2", "https://u:p@api.cal.com", "file:///etc/passwd",
     "https://169.254.169.254/latest", "https://[fe80::1]/", "https://[::ffff:127.0.0.1]/", "https://①②⑦.0.0.1/",
     "http://2130706433/", "http://0x7f.1/", "http://127.1/", "https://0.0.0.0/", "https://api.cal.com/v2?x=1",
     "https://api.cal.com/v2?", "https://api.cal.com/#f", "https://api.cal.com/../admin", "https://api.cal.com//v2",
     "https://api.cal.com/%2e%2e/v2", "https://api.cal.com\\@evil.com", "https://api.cal.com/v2\r\nx: y", "https://",
     "https:///v2", "https://[::1", "http://localhost.evil.com/", "https://a:b:c/", "//api.cal.com", "https://224.0.0.1/",
     "https://api.cal.com/v2 "],
)  # fmt: skip
def test_a_dangerous_upstream_address_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        urls.parse_api_url(text)


def test_plain_http_to_another_host_must_be_asked_for():
    assert urls.parse_api_url("http://cal-api:5000/v2", insecure=True) == "http://cal-api:5000/v2"


@pytest.mark.parametrize(
    "text",
    ["postgresql://u:p@one:5432,two:5433/db?sslmode=verify-full", "postgres:///db?host=/run/postgresql"],
)
def test_a_database_may_have_several_hosts_or_a_socket(text):
    assert urls.parse_database_url(text) == text


@pytest.mark.parametrize(
    "text", ["mysql://h/db", "postgresql:///db", "h:5432/db", "postgresql://h1,,h2/db", "a b"]
)
def test_what_is_no_database_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        urls.parse_database_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "redis://h:6379/0",
        "rediss://user:p@h",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://:p@a:26379,b:26379/m/0",
    ],
)
def test_redis_is_one_primary_a_socket_or_behind_sentinels(text):
    assert urls.parse_redis_url(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "http://h",
        "redis://",
        "redis://a,b/0",
        "unix://",
        "redis+sentinel://a:1",
        "redis+sentinel:///m",
        "h:6379",
    ],
)
def test_what_is_no_redis_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        urls.parse_redis_url(text)


def test_public_keys_come_from_https_or_a_file():
    assert urls.parse_key_source("/etc/keys.json") == "/etc/keys.json"
    assert urls.parse_key_source("https://app.example.com/jwks?v=1") == "https://app.example.com/jwks?v=1"
    with pytest.raises(ValueError, match="must be an https URL"):
        urls.parse_key_source("http://app.example.com/jwks")


@pytest.mark.parametrize(
    "text",
    ["ftp://app/session", "app.internal/session", "http://user:pw@app/session", "http://app/session#x",
     "http://", "http://169.254.169.254/latest", "http://0.0.0.0/session", "http://[ff02::1]/session",
     "http://a b/session", "http://app/ses\tsion", "http://2130706433/session", "file:///etc/passwd"],
)  # fmt: skip
def test_what_is_no_endpoint_of_an_app_is_refused(text):
    with pytest.raises(ValueError, match="must"):
        urls.parse_app_url(text)


def test_an_endpoint_of_an_app_may_have_a_query_and_be_in_the_private_network():
    url = "http://app.internal:3000/api/session?for=broker"
    assert urls.parse_app_url(url) == url
