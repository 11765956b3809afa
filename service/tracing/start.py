"""Decides whether this process traces: OpenTelemetry's own variables say so, and the extra has to be there.

Whatever is wrong with them is a warning: tracing never keeps the broker from its work. Must not import
opentelemetry before it is wanted.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from service.logs import keep_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.broker.ports import Observer
    from service.tracing.spans import Tracing

_SIGNAL, _ALL = "OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"
_NO_EXTRA = (
    "an endpoint for traces is set and the extra that sends them is not installed: "
    "install requirements-run.lock (docs/tracing.md), or leave the endpoint out"
)


def start_tracing(role: str, observer: Observer) -> Tracing | None:
    """Start tracing if the environment asks for it; None when it does not, or it cannot be done."""
    if not _wanted():
        return None
    keep_secret(_secrets())
    problem = _problem()
    if problem is None:
        try:
            from service.tracing.export import open_provider
            from service.tracing.spans import Tracing

            return Tracing(open_provider(role, observer), observer)
        except ImportError:
            problem = _NO_EXTRA
        except Exception as error:  # noqa: BLE001 - its text may quote a variable
            problem = f"OpenTelemetry refuses its own variables (OTEL_...): {type(error).__name__}"
    observer.note("settings.warning", reason=f"Nothing is traced: {problem}")
    return None


def _wanted() -> bool:
    """Whether there is somewhere to send traces to, and nothing says not to."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return bool(_of("ENDPOINT")) and not disabled and os.environ.get("OTEL_TRACES_EXPORTER") != "none"


def _problem() -> str | None:
    """Return what is wrong with what was asked for, as far as it shows without trying."""
    if not _is_address(_of("ENDPOINT")):
        return "the endpoint must be an address such as http://collector:4318"
    if _of("PROTOCOL") not in {"", "http/protobuf"}:
        return "only http/protobuf is spoken (the collector's port for it is usually 4318)"
    if os.environ.get("OTEL_TRACES_EXPORTER", "") not in {"", "otlp"}:
        return "otlp is the only exporter there is"
    return None


def _of(name: str) -> str:
    """Return a variable of the exporter; the one for traces alone comes first."""
    return os.environ.get(_SIGNAL + name) or os.environ.get(_ALL + name) or ""


def _is_address(text: str) -> bool:
    """Whether it names a host, and a port that there can be, over HTTP."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _secrets() -> Iterator[str]:
    """Give what the collector is shown to let us in."""
    for prefix in (_SIGNAL, _ALL):
        for pair in os.environ.get(f"{prefix}HEADERS", "").split(","):
            value = pair.partition("=")[2].strip()
            yield from (value, unquote(value), unquote(value).rpartition(" ")[2])
        with suppress(ValueError):
            yield urlsplit(os.environ.get(f"{prefix}ENDPOINT", "")).password or ""
