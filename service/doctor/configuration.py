"""Judges the settings: what keeps the broker from starting, what is doubtful, origins, the timeout chain.

Pure. The settings' own checks have found what is wrong; here it becomes findings, each with its mend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.doctor.findings import Finding, doubtful, fine, wrong
from service.settings.checks import TIMEOUT_CHAIN
from service.settings.fields import env_name
from service.settings.grammar import is_loopback, show_duration

if TYPE_CHECKING:
    from service.settings import Problem, Settings

_CHAIN = {env_name(field) for field in TIMEOUT_CHAIN}


def judge_settings(settings: Settings, problems: Sequence[Problem]) -> list[Finding]:
    """Return what is to be said of the settings alone."""
    said = [_said(problem) for problem in problems]
    names = {problem.name for problem in problems}
    if not problems:
        clients = ", ".join(client.name for client in settings.clients)
        said.append(fine("settings", f"all can be used; OAuth clients: {clients}"))
    if not names & _CHAIN:
        said.append(fine("timeouts", _chain(settings)))
    said += [doubtful("settings", warning, _mend_of(warning)) for warning in settings.warnings]
    if settings.role == "serve":
        said += _origins(settings) if not any("ORIGINS" in name for name in names) else []
    return said


def _said(problem: Problem) -> Finding:
    area = "timeouts" if problem.name in _CHAIN else "origins" if "ORIGINS" in problem.name else "settings"
    for_example = f", for example to {problem.example}" if problem.example else ""
    mend = f"Set {problem.name}{for_example}. docs/configuration.md has every setting."
    return wrong(area, f"{problem.name} {problem.what}", mend)


def _chain(settings: Settings) -> str:
    links = (
        f"{env_name(field)[13:].lower()} {show_duration(getattr(settings, field))}" for field in TIMEOUT_CHAIN
    )
    return f"each ends before what waits for it: {', '.join(links)}"


def _mend_of(warning: str) -> str:
    if "is not a setting" in warning:
        return "Correct its name, or remove it: nobody reads it."
    if "share a key" in warning:
        return (
            "Draw a key of its own for each ring (openssl rand -base64 32) and put it in "
            "front; keep the old one behind."
        )
    return "Remove it, or what it contradicts."


def _origins(settings: Settings) -> Iterator[Finding]:
    """Judge which pages may ask, and whether the proxies in front are known."""
    doubts = [*_plain(settings), *_unchecked(settings), *_proxies(settings)]
    yield from doubts
    if not doubts:
        allowed = ", ".join(sorted(settings.public_origins))
        yield fine(
            "origins",
            f"pages of {allowed} may ask" if allowed else "only pages of the app's own origin may ask",
        )


def _plain(settings: Settings) -> Iterator[Finding]:
    for origin in sorted(settings.public_origins):
        if origin.startswith("http://") and not is_loopback(urlsplit(origin).hostname or ""):
            what = f"{origin} may ask over plain http: whoever is on the way reads its users' tokens"
            yield doubtful(
                "origins", what, f"Serve those pages over https and allow https{origin[4:]} instead."
            )


def _unchecked(settings: Settings) -> Iterator[Finding]:
    if settings.session_check_url and settings.public_origins:
        what = "pages of another origin send no cookie, so the session check refuses every one of their users"
        mend = (
            "Mount the refresh endpoint under the app's own origin (docs/sidecar.md) and "
            "leave ALLOWED_ORIGINS empty, "
            "or have pages send a signed statement (TOKEN_BROKER_ASSERTION_JWKS)."
        )
        yield doubtful("origins", what, mend)


def _proxies(settings: Settings) -> Iterator[Finding]:
    if settings.trusted_proxies or settings.public_origins:
        return
    what = (
        "no other origin is allowed, so pages come by way of your app or proxy, and "
        "TRUSTED_PROXIES names none: "
        "its address stands for every browser's in limits and in the audit"
    )
    yield doubtful(
        "origins",
        what,
        "Set TOKEN_BROKER_TRUSTED_PROXIES to the networks of what stands in front, such as 127.0.0.1.",
    )
