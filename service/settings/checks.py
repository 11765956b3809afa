"""Decides whether the settings fit together: the timeout chain, the binding, the listeners.

Must import nothing of this program but the settings' own words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from service.settings.errors import Problem
from service.settings.fields import WORKING, Role, env_name
from service.settings.grammar import is_loopback, show_duration
from service.settings.model import Values

# Each row: these durations together, below (or at most) that one.
_CHAIN: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("upstream_timeout", "database_timeout"), "<", "lease_ttl"),
    (("lease_ttl",), "<=", "claim_deadline"),
    (("claim_deadline", "upstream_timeout", "database_timeout"), "<", "public_answer_timeout"),
    (("public_answer_timeout",), "<", "drain"),
    (("drain",), "<", "grace"),
    (("binding_idle",), "<=", "binding_absolute"),
)
TIMEOUT_CHAIN = (
    *("upstream_timeout", "database_timeout", "lease_ttl", "claim_deadline"),
    *("public_answer_timeout", "drain", "grace"),
)
"""The durations of the chain, from what ends first to what ends last."""

# Each row: who sets this sets that as well.
_NEEDS = (
    ("service_accounts", "service_account_issuer"),
    ("service_accounts", "service_account_jwks"),
    ("internal_tls_certificate_file", "internal_tls_key_file"),
    ("internal_tls_key_file", "internal_tls_certificate_file"),
    ("internal_tls_ca_file", "internal_tls_certificate_file"),
    ("caller_certificates", "internal_tls_ca_file"),
)
_FILES = (
    *("assertion_jwks", "service_account_jwks", "service_account_jwks_ca_file"),
    *("service_account_jwks_token_file", "internal_tls_certificate_file", "internal_tls_key_file"),
    "internal_tls_ca_file",
)
_LISTENERS = ("public_address", "internal_address", "observe_address")


def find_misfits(values: Values, role: Role, known_bad: Collection[str]) -> list[Problem]:
    """Return what does not fit together, leaving out what was found wrong by itself (`known_bad`)."""
    problems = [*_chain(values, known_bad), *_listeners(values, known_bad), *_webhook(values, role)]
    if role == "serve":
        problems += [*_lonely(values, known_bad), *_absent(values)]
    return problems


def _webhook(values: Values, role: Role) -> Iterator[Problem]:
    """Find a webhook told in the clear, and messages that are not kept for as long as they are sent."""
    url = values.webhook_url
    if role not in WORKING or url is None:
        return
    parts, insecure = urlsplit(url), env_name("allow_insecure_webhook")
    if parts.scheme == "http" and not (values.allow_insecure_webhook or is_loopback(parts.hostname or "")):
        what = f"must be https (http only to a loopback host, or with {insecure}=true)"
        yield Problem(env_name("webhook_url"), what, "https://app.example.com/hooks/token-broker")
    if values.webhook_kept < values.webhook_give_up:
        what = f"must be at least {env_name('webhook_give_up')} ({show_duration(values.webhook_give_up)})"
        yield Problem(env_name("webhook_kept"), what, show_duration(values.webhook_give_up))


def _lonely(values: Values, known_bad: Collection[str]) -> Iterator[Problem]:
    """Find what was set and cannot be without another one that was not."""
    for field, needed in _NEEDS:
        if needed in known_bad or not getattr(values, field) or getattr(values, needed):
            continue
        example = str((Values.model_fields[needed].examples or [""])[0])
        yield Problem(env_name(needed), f"is missing: {env_name(field)} needs it", example)


def _absent(values: Values) -> Iterator[Problem]:
    """Find the files that are named and not there."""
    for field in _FILES:
        named = getattr(values, field)
        if named and "://" not in str(named) and not Path(named).is_file():
            yield Problem(env_name(field), "names a file that is not there")


def _chain(values: Values, known_bad: Collection[str]) -> Iterator[Problem]:
    """Find the durations that do not keep the order in which they must end."""
    for parts, relation, whole in _CHAIN:
        if {*parts, whole} & set(known_bad):
            continue
        bounds = [getattr(values, part) for part in parts]
        total, limit = sum(bounds, timedelta()), getattr(values, whole)
        if total < limit or (relation == "<=" and total == limit):
            continue
        names = " + ".join(env_name(part) for part in parts)
        figures = " + ".join(show_duration(bound) for bound in bounds)
        wanted = "longer than" if relation == "<" else "at least"
        what = f"must be {wanted} {names} ({figures}); it is {show_duration(limit)}"
        more = timedelta(seconds=5) if total < timedelta(hours=1) else timedelta(days=1)
        yield Problem(env_name(whole), what, show_duration(total + more))


def _listeners(values: Values, known_bad: Collection[str]) -> Iterator[Problem]:
    """Find listeners that want the same place; port 0 is always another one."""
    taken: dict[object, str] = {}
    for field in _LISTENERS:
        address = getattr(values, field)
        if field in known_bad or address.port == 0:
            continue
        if address in taken:
            what = f"is the same address as {env_name(taken[address])}"
            yield Problem(env_name(field), what, f"127.0.0.1:{address.port + 1}")
        taken[address] = field
