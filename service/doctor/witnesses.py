"""Looks at what the service believes: the app's session check, the keys of statements, its own certificate.

Asks the app once, without a cookie: whoever it then says is signed in would be everybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from service.adapters.key_addresses import asking, asking_cluster
from service.adapters.key_sources import KeyAddress, read_key_file
from service.adapters.listener_tls import SETTING, TlsFiles, TlsUnusableError, load
from service.adapters.session_check import SessionCheck
from service.adapters.upstream import open_session
from service.broker.errors import SessionUnavailable
from service.broker.model import SignedIn
from service.doctor.findings import Finding, doubtful, fine, wrong

if TYPE_CHECKING:
    from service.adapters.key_addresses import Ask
    from service.broker.model import UserKey
    from service.settings import Settings

_WITHIN_S = 3.0
_SOON = timedelta(days=7)
_TOLD = "Correct {name}, or mend what answers there: until then {harm}."
_NO_PAGE = "no page is given a token"


class _Heard:
    """Keeps why something is down."""

    def __init__(self) -> None:
        self.reason = ""

    def note(self, event: str, key: UserKey | None = None, **facts: object) -> None:  # noqa: ARG002 - the port's
        if event == "dependency.down":
            self.reason = str(facts.get("reason"))


async def examine_witnesses(settings: Settings) -> list[Finding]:
    """Return what is to be said of each that is configured."""
    if settings.role != "serve":
        return []
    found = [*_certificate(settings)]
    if settings.session_check_url:
        found.append(await _session_check(settings.session_check_url))
    for field, harm in (
        ("assertion_jwks", _NO_PAGE),
        ("service_account_jwks", "no service account is let in"),
    ):
        if source := getattr(settings, field):
            found.append(await _keys(field, source, settings, harm))
    return found


async def _session_check(url: str) -> Finding:
    check, name, heard = "app.session_check", "TOKEN_BROKER_SESSION_CHECK_URL", _Heard()
    async with open_session() as session:
        try:
            said = await SessionCheck(session, url, _WITHIN_S, heard).ask("")
        except SessionUnavailable:
            what = f"the app does not say who is signed in: {heard.reason}"
            return wrong(check, what, _TOLD.format(name=name, harm=_NO_PAGE))
    if isinstance(said, SignedIn):
        what = "the app says that somebody is signed in to who sends no cookie: it would say so of everybody"
        return wrong(
            check, what, f"Have the app's endpoint answer 401 without a session; does {name} name it?"
        )
    return fine(check, "the app answers, and says that nobody is signed in without a cookie")


async def _keys(field: str, source: str, settings: Settings, harm: str) -> Finding:
    check, name = f"app.{field}", f"TOKEN_BROKER_{field.upper()}"
    why = await _asked(field, source, settings) if "://" in source else _read(source)
    if why:
        return wrong(check, f"the keys of {name} cannot be had: {why}", _TOLD.format(name=name, harm=harm))
    return fine(check, f"the keys of {name} can be used")


def _read(source: str) -> str:
    """Return why the file's keys cannot be used, nothing if they can."""
    try:
        read_key_file(Path(source))
    except ValueError as error:
        return str(error)
    return ""


async def _asked(field: str, source: str, settings: Settings) -> str:
    """Return why the address' keys cannot be used, nothing if they can."""
    heard = _Heard()
    async with open_session() as session:
        ask: Ask = asking(session, source, _WITHIN_S)
        if field == "service_account_jwks":
            authority, token = settings.service_account_jwks_ca_file, settings.service_account_jwks_token_file
            ask = asking_cluster(source, _WITHIN_S, authority, token)
        await KeyAddress(ask, heard, field).look()
    return heard.reason


def _certificate(settings: Settings) -> Iterator[Finding]:
    """Judge the internal listener's certificate: whether TLS can be made of it, and for how long."""
    certificate, key = settings.internal_tls_certificate_file, settings.internal_tls_key_file
    if not (certificate and key):
        return
    check = "listeners.certificate"
    try:
        _, ends_at = load(TlsFiles(certificate, key, settings.internal_tls_ca_file))
    except TlsUnusableError as unusable:
        setting = SETTING.format(unusable.part.upper())
        yield wrong(
            check,
            f"no TLS can be made of {setting}: it {unusable}",
            f"Put a PEM file that can be used where {setting} says.",
        )
        return
    left = ends_at - datetime.now(UTC)
    renew = (
        "Renew it: put the new certificate and key in place of the files; they are read again by themselves."
    )
    if left < timedelta(0):
        yield wrong(check, f"the internal listener's certificate ended on {ends_at:%Y-%m-%d}", renew)
    elif left < _SOON:
        yield doubtful(check, f"the internal listener's certificate ends on {ends_at:%Y-%m-%d}", renew)
    else:
        yield fine(check, f"the internal listener's certificate is good until {ends_at:%Y-%m-%d}")
