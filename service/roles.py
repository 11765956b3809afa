"""What every long-lived command does first and last: settings, logs, figures and traces; the exit code.

Light to import: what only a role needs is imported when it is prepared.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from service.settings import ConfigurationError, load_settings

if TYPE_CHECKING:
    from service.metrics import Telemetry
    from service.settings import Role, Settings

_COLLECTED_AFTER = 50_000

FINE, FAILED, WRONG_USAGE = 0, 1, 2


def reporting(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; a wrong configuration is told in words."""
    try:
        return command()
    except ConfigurationError as wrong:
        sys.stderr.write(f"{wrong}\n")
        return WRONG_USAGE
    except KeyboardInterrupt:
        return FAILED


def prepare(role: Role, shared: str | None = None) -> tuple[Settings, Telemetry]:
    """Read the settings and begin to log and count; `shared` is the folder of several processes' figures."""
    from service.logs import configure_logs, keep_secret
    from service.metrics import Metrics, Telemetry
    from service.tracing import start_tracing

    settings = load_settings(role=role)
    configure_logs(settings.log_level, settings.log_format)
    keep_secret(settings.sensitive_texts())
    telemetry = Telemetry(Metrics(folder=shared), settings.access_log)
    telemetry.metrics.expect([client.name for client in settings.clients])
    for warning in settings.warnings if shared is None else ():
        telemetry.note("settings.warning", reason=warning)
    if settings.workers == 1 or role == "work" or shared is not None:  # a supervisor does nothing to trace
        telemetry.tracing = start_tracing(role, telemetry)
    return settings, telemetry


def collect_seldom() -> None:
    """Have the collector of cycles pass over what is there for good, and look at the rest less often.

    Neither an answer nor a refresh leaves cycles behind worth the name, but both leave objects alive, which
    would be looked through again and again: that costs more than to answer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER, 20, 50)


def run(role: Coroutine[Any, Any, None]) -> int:
    """Run a long-lived role on uvloop."""
    import uvloop

    collect_seldom()
    uvloop.run(role)
    return FINE
