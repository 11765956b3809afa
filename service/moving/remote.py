"""Asks a running service over its internal listener, as one of the app's own services would: with an API key.

What changes a grant has to go through the service, so that its rules hold; what is only read goes the same
way, so that one key is all an operator needs.
"""

from __future__ import annotations

import os
import ssl
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp

URL, KEY, ADDRESS = "TOKEN_BROKER_URL", "TOKEN_BROKER_API_KEY", "TOKEN_BROKER_INTERNAL_ADDRESS"
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - what a listener may be told
_WITHIN = aiohttp.ClientTimeout(total=60, sock_connect=10)
_UNAUTHORIZED, _ERROR = 401, 400
PAGE = 200


class WrongUsage(Exception):
    """The command cannot be begun like this."""


class Unreachable(Exception):
    """The service does not answer."""


class Refused(Exception):
    """The service answered with an error; the message is its own."""


class Remote:
    """A service that runs somewhere."""

    def __init__(self, http: aiohttp.ClientSession, url: str, client: str | None) -> None:
        self._http = http
        self._url = url
        self._params = {"client": client} if client else {}

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        """Return what is there; raises Refused, Unreachable."""
        return await self._ask("GET", path, params)

    async def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Have something done; raises Refused, Unreachable."""
        return await self._ask("POST", path, {}, json=dict(body))

    async def users(self, **asked: str) -> AsyncIterator[dict[str, Any]]:
        """Give every user of this kind in the order of their ids, asking for a page when it is wanted."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.get(
                "/v1/users", limit=str(PAGE), **asked, **({"cursor": cursor} if cursor else {})
            )
            for user in page["users"]:
                yield user
            cursor = page["cursor"]

    async def _ask(self, method: str, path: str, params: Mapping[str, str], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - aiohttp's
        try:
            async with self._http.request(
                method, f"{self._url}{path}", params={**self._params, **params}, allow_redirects=False, **more
            ) as answer:
                body = await answer.json(content_type=None)
                if answer.status >= _ERROR:
                    raise Refused(_words(answer.status, body))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unreachable(
                f"the service's internal listener at {self._url} does not answer ({type(error).__name__}): "
                f"is it there, and is it https? --url or {URL} says where it is"
            ) from None
        if not isinstance(body, dict):
            raise Unreachable(f"what answers at {self._url} is not a token broker")
        return body


def user_path(user_id: str, tail: str = "") -> str:
    """Return the path of a user."""
    return f"/v1/users/{quote(user_id, safe='')}{tail}"


@asynccontextmanager
async def open_remote(arguments: Namespace) -> AsyncIterator[Remote]:
    """Give the service that the options and the environment name; raises WrongUsage."""
    url = url_of(arguments.url)
    headers = {"Authorization": f"Bearer {_key(arguments)}"}
    connector = aiohttp.TCPConnector(ssl=_tls(arguments), limit=8)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=_WITHIN) as http:
        yield Remote(http, url, arguments.client)


def url_of(given: str | None) -> str:
    """Return where the internal listener is: as given, or where a service of this environment listens."""
    url = given or os.environ.get(URL)
    if not url:
        host, _, port = os.environ.get(ADDRESS, "127.0.0.1:8081").rpartition(":")
        url = f"http://{_ANYWHERE.get(host, host)}:{port}"
    if urlsplit(url).scheme not in ("http", "https"):
        raise WrongUsage(f"--url (or {URL}) must be the internal listener's, like http://127.0.0.1:8081")
    return url.rstrip("/")


def _key(arguments: Namespace) -> str:
    file = arguments.key_file or os.environ.get(f"{KEY}_FILE")
    try:
        key = Path(file).read_text("utf-8").strip() if file else os.environ.get(KEY, "")
    except (OSError, UnicodeDecodeError):
        raise WrongUsage(f"the API key's file {file} cannot be read") from None
    if not key or not key.isascii() or not key.isprintable():
        raise WrongUsage(f"an API key is needed: set {KEY}, or name a file that holds it with --key-file")
    return key


def _tls(arguments: Namespace) -> ssl.SSLContext | bool:
    if not arguments.ca_file and not arguments.certificate_file:
        return True
    try:
        context = ssl.create_default_context(cafile=arguments.ca_file)
        if arguments.certificate_file:
            context.load_cert_chain(arguments.certificate_file, arguments.certificate_key_file)
    except (OSError, ssl.SSLError) as error:
        raise WrongUsage(f"--ca-file or --certificate-file cannot be used ({type(error).__name__})") from None
    return context


def _words(status: int, body: object) -> str:
    said = body if isinstance(body, dict) else {}
    code = str(said.get("code", status))
    more = "; ".join(f"{one['field']} {one['message']}" for one in said.get("errors") or ())
    hint = f" (is {KEY} one of the service's API_KEYS?)" if status == _UNAUTHORIZED else ""
    return f"{code}: {more or said.get('detail') or 'no reason was given'}{hint}"
