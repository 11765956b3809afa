"""Follows a piece of work through the broker as an OpenTelemetry trace, where that is switched on.

The only room that imports opentelemetry, and only once it is switched on; off, nothing is wrapped and
nothing is asked. A span says what happened and how long it took, never to whom, and never a secret.
"""

from service.tracing.start import start_tracing

__all__ = ["start_tracing"]
