"""Refuses settings of later releases: to ignore one would leave a door open that it was to close."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.settings import ConfigurationError, Problem

if TYPE_CHECKING:
    from service.settings import Settings


def refuse_what_is_not_there(settings: Settings) -> None:
    """Raise ConfigurationError for what this release does not know how to do."""
    asked = {
        "TOKEN_BROKER_SESSION_CHECK_URL": settings.session_check_url is not None,
        "TOKEN_BROKER_ASSERTION_JWKS": settings.assertion_jwks is not None,
    }
    what = "is not supported by this release yet; leave it out"
    problems = [Problem(name, what) for name, wanted in asked.items() if wanted]
    if problems:
        raise ConfigurationError(problems)
