"""Turns REDIS_URL into unconnected connections: one primary, directly or through Sentinel.

Nothing here is retried, and no message repeats the URL: it may hold a password.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from hiredis import pack_command
from redis.asyncio import ConnectionPool, Redis, Sentinel
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

Word = bytes | str | int | float
_SENTINEL_PORT = 26379
_SENTINEL_ANSWERS_S = 0.1
_YES = frozenset({"1", "true", "yes"})


class Connection(Protocol):
    """What is used of redis-py's connection."""

    @property
    def is_connected(self) -> bool:
        """Whether it has a socket."""

    async def connect(self) -> None:
        """Connect and log in, unless it is connected."""

    async def disconnect(self, nowait: bool = False) -> None:
        """Close the socket and forget what was read of it."""

    async def can_read_destructive(self) -> bool:
        """Whether something unasked has come; raises when the server has hung up."""

    async def send_packed_command(self, command: list[bytes]) -> None:
        """Send what was packed."""

    async def read_response(self, *, timeout: float | None = None) -> Any:  # noqa: ANN401, ASYNC109 - redis-py's own
        """Return the next reply; None after `timeout` seconds, with nothing lost."""


def packed(*commands: Sequence[Word]) -> list[bytes]:
    """Return commands as they travel: redis-py's own way for it takes seven times as long as the parser's."""
    return [pack_command(tuple(words)) for words in commands]  # type: ignore[arg-type]


class Connections:
    """Makes connections to the one Redis that a URL names.

    Takes redis://, rediss:// and unix:// with redis-py's query parameters, and
    redis+sentinel://[user:password@]host[:port],.../service[/db] with the parameters ssl, ssl_*,
    sentinel_username and sentinel_password. Raises ValueError for what cannot be used.
    """

    def __init__(self, url: str, *, connect_timeout_s: float, answer_timeout_s: float | None = None) -> None:
        self._sentinels: list[Redis] = []
        self._common = {
            "socket_connect_timeout": connect_timeout_s,
            "socket_timeout": answer_timeout_s,
            "retry": Retry(NoBackoff(), 0),
            # Two round trips less on each new connection.
            "lib_name": None,
            "lib_version": None,
        }
        self.reload(url)

    def reload(self, url: str) -> None:
        """Make connections as this URL says from now on; those that were made go on. Raises ValueError."""
        try:
            self.pool = self._open(urlsplit(url), url, self._common)
            self._make = cast("Callable[[], Connection]", self.pool.make_connection)
            # Made once for nothing: an option that redis-py does not know shows here, not in a request.
            self._make()
        except (TypeError, ValueError, RedisError):
            raise ValueError(
                "the Redis URL cannot be used: its form or one of its parameters is not understood"
            ) from None

    def make(self) -> Connection:
        """Return a new connection, not connected yet."""
        return self._make()

    async def aclose(self) -> None:
        """Close the connections to the sentinels; those that were made belong to who asked for them."""
        for sentinel in self._sentinels:
            await sentinel.aclose()

    def _open(self, parts: SplitResult, url: str, common: dict[str, Any]) -> ConnectionPool:
        if parts.scheme == "redis+sentinel":
            return self._through_sentinel(parts, common)
        if parts.scheme == "rediss":
            # redis-py checks the certificate but by default not whose it is.
            common = {"ssl_check_hostname": True, **common}
        pool: ConnectionPool = ConnectionPool.from_url(url, **common)
        return pool

    def _through_sentinel(self, parts: SplitResult, common: dict[str, Any]) -> ConnectionPool:
        userinfo, _, hosts = parts.netloc.rpartition("@")
        user, _, password = userinfo.partition(":")
        service, _, database = parts.path.strip("/").partition("/")
        if not service:
            raise ValueError
        options = dict(parse_qsl(parts.query))
        of_sentinels = {
            "username": options.pop("sentinel_username", None),
            "password": options.pop("sentinel_password", None),
            "socket_timeout": _SENTINEL_ANSWERS_S,
            "socket_connect_timeout": _SENTINEL_ANSWERS_S,
            "retry": common["retry"],
        }
        tls = _tls(options)
        hosts_and_ports = [_address(host) for host in hosts.split(",")]
        sentinel = Sentinel(hosts_and_ports, sentinel_kwargs=of_sentinels | tls)  # type: ignore[no-untyped-call]
        self._sentinels += sentinel.sentinels
        login = {"username": unquote(user) or None, "password": unquote(password) or None}
        pool: ConnectionPool = SentinelConnectionPool(  # type: ignore[no-untyped-call]
            unquote(service), sentinel, db=int(database or 0), **login, **tls, **common
        )
        return pool


def _tls(options: dict[str, str]) -> dict[str, object]:
    """Read the ssl parameters, the only ones left; the server's name is checked unless they say no."""
    if options.pop("ssl", "false").lower() not in _YES:
        if options:
            raise ValueError
        return {}
    checked = options.pop("ssl_check_hostname", "true").lower() in _YES
    return {"ssl": True, "ssl_check_hostname": checked, **options}


def _address(host: str) -> tuple[str, int]:
    name, port = host, ""
    if not host.endswith("]") and ":" in host:
        name, _, port = host.rpartition(":")
    return name.strip("[]"), int(port or _SENTINEL_PORT)
