"""Finds out who calls the internal listener: by a key, by a token of its own, or by its certificate.

What is presented in the request decides alone: a certificate mends no bad key. Keys are compared by their
SHA-256 and in constant time. Whatever is wrong is answered alike.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from service.api.bearer import parse_bearer
from service.api.errors import BearerMalformed, BearerMissing, KeyMissing, KeyUnknown
from service.broker.errors import BrokerError

if TYPE_CHECKING:
    from aiohttp import web

    from service.api.doors import Caller, Doors

_NAMES = ("URI", "DNS")


class Callers:
    """Knows the keys, the service accounts and the certificates that may come in.

    `keys` are asked at every request: the same object as long as they are the same ones.
    """

    def __init__(self, doors: Doors) -> None:
        self.keys = doors.api_keys
        self._tokens = doors.tokens
        self._accounts = {caller.name: caller for caller in doors.service_accounts}
        self._certified = {caller.name: caller for caller in doors.certified}
        self._observer = doors.observer

    async def who(self, request: web.BaseRequest, query: str) -> Caller:
        """Return who calls; KeyMissing when nothing says so, KeyUnknown when it does not count.

        KeysUnavailable when a token cannot be verified now.
        """
        try:
            presented = parse_bearer(request.headers, query)
        except BearerMissing:
            return self._by_certificate(request)
        except BearerMalformed:
            raise KeyUnknown from None
        caller = self.by_key(presented) or await self._by_token(presented)
        if caller is None:
            raise KeyUnknown
        return caller

    async def known(self, request: web.BaseRequest) -> bool:
        """Whether it is somebody known here who calls."""
        try:
            await self.who(request, request.raw_path.partition("?")[2])
        except BrokerError:
            return False
        return True

    def by_key(self, presented: str) -> Caller | None:
        """Return whose key this is, if it is one."""
        digest = hashlib.sha256(presented.encode("ascii")).digest()
        matching = None
        for key in self.keys():  # all of them, whichever it is
            if hmac.compare_digest(key.digest, digest):
                matching = matching or key
        return matching

    async def _by_token(self, presented: str) -> Caller | None:
        name = None if self._tokens is None else await self._tokens.name(presented)
        if name is None:
            return None
        if name not in self._accounts:
            self._observer.note("caller.refused", reason="account_unknown", caller=name)
        return self._accounts.get(name)

    def _by_certificate(self, request: web.BaseRequest) -> Caller:
        certificate = _certificate(request) if self._certified else None
        if certificate is None:
            raise KeyMissing
        for name in _names(certificate):
            if name in self._certified:
                return self._certified[name]
        self._observer.note("caller.refused", reason="certificate_unknown")
        raise KeyUnknown


def _certificate(request: web.BaseRequest) -> Mapping[str, Any] | None:
    """Return the certificate that the connection began with, unless it has ended since."""
    certificate: Mapping[str, Any] | None = request.get_extra_info("peercert")
    if not certificate or ssl.cert_time_to_seconds(certificate["notAfter"]) <= time.time():
        return None
    return certificate


def _names(certificate: Mapping[str, Any]) -> Iterator[str]:
    """Yield the alternative names; the subject's common name says nothing (RFC 9525)."""
    for kind, name in certificate.get("subjectAltName", ()):
        if kind in _NAMES:
            yield name.lower() if kind == "DNS" else name
