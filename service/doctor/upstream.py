"""Looks at each client's upstream: whether it can be reached and takes the client's credentials.

One call a client, out of its budget, that spends no token: the one with which an open circuit is probed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import aiohttp

from service.adapters.budget import RedisBudget
from service.adapters.redis_link import RedisLink
from service.adapters.upstream import PROVIDER_KINDS, open_session
from service.broker.model import Confirmed, Denied, Unavailable, Unknown
from service.doctor.clocks import Offset, Wall, offset_of
from service.doctor.findings import Finding, doubtful, fine, unseen, wrong

if TYPE_CHECKING:
    from service.broker.model import UserKey
    from service.settings import ClientSettings, Settings

_BUDGET_WITHIN_S = 2.0
_A_SECOND = 1.0

_NOT_SENT: Mapping[str, tuple[str, str]] = {
    "ClientConnectorDNSError": (
        "its host cannot be resolved",
        "Correct the host of the API URL, or the DNS of this machine.",
    ),
    "ClientConnectorCertificateError": (
        "its certificate is not accepted",
        "Have the system's certificate authorities installed (ca-certificates); a proxy that "
        "opens TLS cannot be in between.",
    ),
    "ClientConnectorSSLError": ("no TLS can be agreed on", "See that the API URL's port speaks TLS."),
    "TimeoutError": (
        "no connection came about in time",
        "Let this machine reach it (firewall, egress policy).",
    ),
    "ConnectionTimeoutError": (
        "no connection came about in time",
        "Let this machine reach it (firewall, egress policy).",
    ),
}
_REFUSED: Mapping[str, str] = {
    "the client secret is wrong": "Put the secret that Cal.com shows beside the client's id into {secret}.",
    "the client credentials were refused": "Put the client's id and its secret, both as Cal.com shows them, "
    "into {id} and {secret}.",
    "the client id is unknown": "Put the id that Cal.com shows under Platform, OAuth clients, into {id}; is "
    "{url} the right API for it?",
    "upstream has no such route: check the API URL": "Correct {url}: https://api.cal.com/v2, or where "
    "your own "
    "installation has it.",
    "the client's organization is no longer a platform": "Renew the platform plan at Cal.com: no user's "
    "token is "
    "refreshed until then.",
}

_OTHERWISE_REFUSED = (
    "See the client at Cal.com (Platform, OAuth clients): its plan, its permissions "
    "and its organization's owner."
)
_TOO_MANY = (
    "Lower TOKEN_BROKER_UPSTREAM_RATE, and find out who else uses this client: "
    "each broker needs a client of its own."
)
_SOMETHING_ELSE = (
    "Correct {url}: something else may stand there, or in between. "
    "If it is right, Cal.com is ill: status.cal.com."
)


class _Heard:
    """Keeps what the adapter notes; nobody else hears it."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def note(self, event: str, key: UserKey | None = None, **facts: object) -> None:  # noqa: ARG002 - the port's
        self.events.append(event)


async def examine_upstream(
    settings: Settings, client: ClientSettings, offsets: dict[str, Offset], wall: Wall
) -> list[Finding]:
    """Return what is to be said of a client's upstream."""
    check = f"upstream.{client.name}"
    if not (client.api_url and client.id and client.secret.value):
        return [unseen(check, "not looked at: the client's settings cannot be used")]
    if not await _may_call(settings, client):
        what = f"no call of UPSTREAM_RATE ({client.rate}) came free within {_BUDGET_WITHIN_S:.0f} s"
        return [
            doubtful(check, what, "Run it again; if it stays so, see what asks so much: docs/operations.md.")
        ]
    heard, stamp = _Heard(), _Stamp(wall)
    async with open_session(traces=(stamp.trace(),)) as session:
        provider = PROVIDER_KINDS[client.kind](
            session,
            client.api_url,
            client.id,
            lambda: client.secret.value,
            settings.upstream_timeout.total_seconds(),
            heard,
            client.name,
        )
        outcome = await provider.probe()
    if stamp.offset is not None:
        offsets[f"upstream's ({client.name})"] = stamp.offset
    return [_judge(check, client, settings, outcome, heard, stamp.took_s)]


async def _may_call(settings: Settings, client: ClientSettings) -> bool:
    """Take a call out of the budget that the broker's processes share."""
    heard = _Heard()
    link = RedisLink(settings.redis_url.value or "redis://127.0.0.1:1", heard)
    try:
        budget = RedisBudget(link, heard, {client.name: client.rate.per_second})
        return await budget.take(client.name, _BUDGET_WITHIN_S)
    finally:
        await link.aclose()


class _Stamp:
    """Reads the Date of an answer, and how long it took to come."""

    def __init__(self, wall: Wall) -> None:
        self._wall = wall
        self._asked_at = wall()
        self._began_s = time.monotonic()
        self.took_s = 0.0
        self.offset: Offset | None = None

    def trace(self) -> aiohttp.TraceConfig:
        """Return what a session is to be opened with."""
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(self._sent)
        trace.on_request_end.append(self._answered)
        return trace

    async def _sent(self, _session: object, _context: SimpleNamespace, _: object) -> None:
        self._asked_at, self._began_s = self._wall(), time.monotonic()

    async def _answered(
        self, _session: object, _context: SimpleNamespace, end: aiohttp.TraceRequestEndParams
    ) -> None:
        self.took_s = time.monotonic() - self._began_s
        there = _date(end.response.headers.get("Date", ""))
        if there is not None:
            self.offset = offset_of(there, self._asked_at, self.took_s, _A_SECOND)


def _date(text: str) -> datetime | None:
    try:
        there = parsedate_to_datetime(text)
    except ValueError:
        return None
    return there if there.tzinfo else None


def _judge(
    check: str, client: ClientSettings, settings: Settings, outcome: object, heard: _Heard, took_s: float
) -> Finding:
    """Judge what upstream answered to the probe."""
    where = _where(client, settings)
    match outcome:
        case Confirmed():
            return _accepted(check, settings, heard, took_s)
        case Denied(_, detail):
            mend = _REFUSED.get(detail, _OTHERWISE_REFUSED)
            return wrong(check, f"upstream refuses the client: {detail}", mend.format(**where))
        case Unavailable(reason, after_s) if "too many requests" in reason:
            until = f", for {after_s:.0f} s more" if after_s else ""
            return wrong(check, f"upstream says too many requests{until}", _TOO_MANY)
        case Unavailable(reason, _) if reason.startswith("not sent: "):
            nothing = ("nothing listens there", f"Correct {where['url']}, or let this machine reach it.")
            what, mend = _NOT_SENT.get(reason.removeprefix("not sent: "), nothing)
            return wrong(check, f"upstream cannot be reached: {what}", mend)
        case Unavailable(reason, _) | Unknown(reason):
            what = f"upstream does not answer as Cal.com does: {reason}"
            return wrong(check, what, _SOMETHING_ELSE.format(**where))
    return unseen(check, "upstream said something that nobody knows")


def _accepted(check: str, settings: Settings, heard: _Heard, took_s: float) -> Finding:
    took = f"{took_s * 1000:.0f} ms"
    if "client_secret.refused" in heard.events:
        what = "upstream takes the second of the client's two secrets and refuses the first"
        return doubtful(
            check, what, "Upstream has not changed over yet, or the first line of the secret's file is wrong."
        )
    if took_s > settings.upstream_timeout.total_seconds() / 2:
        what = (
            f"upstream takes the credentials, after {took}: more than half of TOKEN_BROKER_UPSTREAM_TIMEOUT"
        )
        return doubtful(
            check,
            what,
            "Raise TOKEN_BROKER_UPSTREAM_TIMEOUT and what must be longer than it: docs/configuration.md.",
        )
    return fine(check, f"upstream takes the client's credentials, in {took}")


def _where(client: ClientSettings, settings: Settings) -> dict[str, str]:
    """Name the settings of a client as its operator knows them."""
    if settings.clients_file is None:
        return {"url": "CAL_API_URL", "id": "CAL_OAUTH_CLIENT_ID", "secret": "X_CAL_SECRET_KEY"}
    of = f"of {client.name} in TOKEN_BROKER_CLIENTS_FILE"
    return {"url": f"api_url {of}", "id": f"id {of}", "secret": f"secret_file {of}"}
