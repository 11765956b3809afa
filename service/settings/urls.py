"""Reads the addresses of other parties: upstream, browser origins, the app, PostgreSQL and Redis.

What it lets through can be joined with a path and called without another look. A value that does not
fit raises ValueError without repeating it. Must import nothing but the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import SplitResult, parse_qs, parse_qsl, urlsplit

from service.settings.grammar import host_address, is_loopback, parse_host, parse_path, parse_port

LONGEST_ISSUER = 1024

_VISIBLE = re.compile(r"[!-~]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")


def split_url(text: str) -> SplitResult:
    """Take a URL apart; only visible ASCII, because clients disagree about everything else."""
    if not _VISIBLE.fullmatch(text) or "\\" in text:
        raise ValueError("must be a URL of visible ASCII characters without spaces or backslashes")
    try:
        return urlsplit(text)
    except ValueError:
        raise ValueError("must be a URL") from None


def _web_authority(parts: SplitResult) -> tuple[str, str]:
    """Return (host, host with the port if it is not the scheme's own)."""
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("must start with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]+)(?::([0-9]+))?", parts.netloc)
    if match is None:
        raise ValueError("must name a host")
    host = parse_host(match[1])
    port = parse_port(match[2]) if match[2] else _DEFAULT_PORTS[parts.scheme]
    return host, host if port == _DEFAULT_PORTS[parts.scheme] else f"{host}:{port}"


def parse_origin(text: str) -> str:
    """Read one exact browser origin; comes back as browsers write it: lower case, no default port."""
    if text in {"*", "null"}:
        raise ValueError("must be an exact origin: wildcards and 'null' would let any page in")
    parts = split_url(text)
    _, authority = _web_authority(parts)
    if parts.path or "?" in text or "#" in text:
        raise ValueError("must be scheme://host[:port] without a path or a trailing slash")
    return f"{parts.scheme}://{authority}"


def parse_api_url(text: str, *, insecure: bool = False) -> str:
    """Read an upstream's base URL; comes back without trailing slash.

    Plain http only to this machine, unless `insecure`: the client secret travels with every call.
    """
    parts = split_url(text)
    host, authority = _web_authority(parts)
    if "?" in text or "#" in text:
        raise ValueError("must not have a query or a fragment")
    _refuse_no_service(host)
    if parts.scheme == "http" and not (insecure or is_loopback(host)):
        raise ValueError(
            "must be https (http only to a loopback host, or with TOKEN_BROKER_ALLOW_INSECURE_UPSTREAM=true)"
        )
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{authority}{parse_path(path) if path else ''}"


def _refuse_no_service(host: str) -> None:
    """Refuse addresses at which no service of anybody's can be, but the cloud's own metadata may."""
    address = host_address(host)
    if address is not None and (address.is_link_local or address.is_unspecified or address.is_multicast):
        raise ValueError("must not point to a link-local, unspecified or multicast address")


def parse_app_url(text: str) -> str:
    """Read the URL of an endpoint of the app itself: http or https, a query is its own affair."""
    parts = split_url(text)
    host, authority = _web_authority(parts)
    _refuse_no_service(host)
    if "#" in text:
        raise ValueError("must not have a fragment")
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{authority}{parts.path}{query}"


def parse_key_source(text: str) -> str:
    """Read where public keys come from: an https URL (http to this machine), or a file's path."""
    if "://" not in text:
        return text
    parts = split_url(text)
    host, _ = _web_authority(parts)
    if parts.scheme != "https" and not is_loopback(host):
        raise ValueError("must be an https URL or a file: whoever can change the keys can be anybody")
    return parse_app_url(text)


def parse_issuer(text: str) -> str:
    """Check who issues tokens: compared letter by letter with what a token says, so never put in order."""
    if not _VISIBLE.fullmatch(text) or len(text) > LONGEST_ISSUER:
        raise ValueError(f"must be 1 to {LONGEST_ISSUER} visible ASCII characters without spaces")
    return text


def parse_database_url(text: str) -> str:
    """Check a PostgreSQL DSN and return it as it is; several hosts may stand in it."""
    parts = split_url(text)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("must start with postgresql://")
    hosts = parts.netloc.rpartition("@")[2] or ",".join(parse_qs(parts.query).get("host", []))
    if not hosts or not all(hosts.split(",")):
        raise ValueError("must name a host (or several, separated by commas)")
    return text


_LOGINS = frozenset({"user", "username", "password", "sentinel_username", "sentinel_password"})


def one_place(parse: Callable[[str], str]) -> Callable[[str], str]:
    """Parse as `parse` does, and from the second time on let only the login be another one.

    What a process has cached, claimed and counted belongs to one database; a password is not part of that.
    """
    known: list[object] = []

    def parse_login(text: str) -> str:
        url = parse(text)
        place = _place(url)
        if known and known != [place]:
            raise ValueError("names another place: only user and password may change while the program runs")
        known[:] = [place]
        return url

    return parse_login


def _place(url: str) -> tuple[object, ...]:
    """Return everything of a URL but who logs in."""
    parts = urlsplit(url)
    options = [option for option in parse_qsl(parts.query) if option[0] not in _LOGINS]
    return parts.scheme, parts.netloc.rpartition("@")[2], parts.path, sorted(options)


def parse_redis_url(text: str) -> str:
    """Check where Redis is and return it as it is: one primary, directly or through Sentinel."""
    parts = split_url(text)
    if parts.scheme not in _REDIS_SCHEMES:
        raise ValueError("must start with redis://, rediss://, unix:// or redis+sentinel://")
    hosts = parts.netloc.rpartition("@")[2]
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise ValueError("must name the socket's path after unix://")
    elif not hosts or not all(hosts.split(",")):
        raise ValueError("must name a host")
    elif parts.scheme == "redis+sentinel":
        if not parts.path.strip("/"):
            raise ValueError("must name the master after the sentinels' hosts")
    elif "," in hosts:
        raise ValueError("must name one primary (Redis Cluster cannot be used; sentinels: redis+sentinel://)")
    return text
