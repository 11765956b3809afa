"""Reads who may call the internal listener, and what for: by a key, a service account or a certificate.

A value that does not fit raises ValueError that says which entry is wrong. Must import nothing but the
grammar.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from service.settings.grammar import no_twins, parse_list

SCOPES = ("users:read", "users:write", "tokens:read", "vouch", "admin")
DEFAULT_SCOPES = frozenset(SCOPES) - {"admin"}

_CALLER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_SCOPE = "|".join(SCOPES)
_RIGHTS = re.compile(rf"((?:{_SCOPE})(?:\+(?:{_SCOPE}))*)?(?::([a-z0-9-]+(?:\+[a-z0-9-]+)*))?")

# What Kubernetes lets a namespace and a service account be called: RFC 1123 label and subdomain.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SERVICE_ACCOUNT = re.compile(rf"({_LABEL}/(?=[^:]{{1,253}}(?::|\Z)){_LABEL}(?:\.{_LABEL})*)(?::(.*))?")

# A URI without a port, a query and a colon of its own, as SPIFFE ids are; or a host's name.
_NAME_IN_CERTIFICATE = re.compile(
    rf"([a-z][a-z0-9+.-]*://{_LABEL}(?:\.{_LABEL})*(?:/[A-Za-z0-9._~-]+)*"
    rf"|{_LABEL}(?:\.{_LABEL})*(?!://))(?::(.*))?"
)
_LONGEST_NAME = 2048


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller of the internal listener by its name: what it may do, for which clients.

    `clients` is None when it may act for all of them.
    """

    name: str
    scopes: frozenset[str] = DEFAULT_SCOPES
    clients: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A caller that is known by its key; of the key there is the SHA-256."""

    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[str] = DEFAULT_SCOPES
    clients: frozenset[str] | None = None


def parse_api_keys(text: str, clients: Collection[str] = ()) -> tuple[ApiKey, ...]:
    """Read `name:sha256hex[:scope+scope[:client+client]]` entries.

    A name may stand twice with different keys, so that a caller's key can be changed without a gap.
    With `clients`, only these may be named.
    """
    keys = parse_list(text, lambda entry: _parse_api_key(entry, clients))
    no_twins(keys, lambda key: key.digest, "key")
    return keys


def _parse_api_key(entry: str, clients: Collection[str]) -> ApiKey:
    """Read one caller's entry; scopes have colons of their own, so they are cut by what they may be."""
    name, _, rest = entry.partition(":")
    digest, _, rest = rest.partition(":")
    if not _CALLER.fullmatch(name):
        raise ValueError("must begin with a name of letters, digits, '.', '_' or '-'")
    if not _SHA256.fullmatch(digest):
        raise ValueError("must have the SHA-256 of the key, 64 hex digits, after the name")
    scopes, named = _cut_rights(rest)
    if named and strangers([Caller(name, scopes, named)], clients):
        raise ValueError("names a client that is not configured")
    return ApiKey(name, bytes.fromhex(digest), scopes, named)


def parse_service_accounts(text: str) -> tuple[Caller, ...]:
    """Read `namespace/name[:scope+scope[:client+client]]` entries."""
    return _named(text, _SERVICE_ACCOUNT, "namespace/name of a service account")


def parse_certificates(text: str) -> tuple[Caller, ...]:
    """Read `uri-or-host[:scope+scope[:client+client]]` entries: a certificate's alternative names."""
    what = "a URI (spiffe://...) or a host's name, as the certificate has it"
    return _named(text, _NAME_IN_CERTIFICATE, what)


def _named(text: str, grammar: re.Pattern[str], what: str) -> tuple[Caller, ...]:
    def parse(entry: str) -> Caller:
        match = grammar.fullmatch(entry)
        if match is None or len(match[1]) > _LONGEST_NAME:
            raise ValueError(f"must begin with {what}")
        return Caller(match[1], *_cut_rights(match[2] or ""))

    callers = parse_list(text, parse)
    no_twins(callers, lambda caller: caller.name, "name")
    return callers


def strangers(callers: Iterable[Caller], clients: Collection[str]) -> list[str]:
    """Return the callers that name a client which is not among these; none are known: none is a stranger."""
    return [caller.name for caller in callers if clients and (caller.clients or set()) - set(clients)]


def _cut_rights(text: str) -> tuple[frozenset[str], frozenset[str] | None]:
    """Return (scopes, clients) as they were named, or all but `admin`, for all clients."""
    match = _RIGHTS.fullmatch(text)
    if match is None:
        raise ValueError(f"must have scopes of {', '.join(SCOPES)} joined by '+', then clients joined by '+'")
    scopes, clients = match.groups(default="")
    named = frozenset(filter(None, scopes.split("+")))
    return named or DEFAULT_SCOPES, frozenset(filter(None, clients.split("+"))) or None
