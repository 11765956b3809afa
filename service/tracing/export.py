"""Sends ended spans to a collector from a thread of its own, out of a queue that cannot grow.

A collector that is away costs spans and nothing else: whoever ends a span never waits for it, and its
absence is noted once, not at every batch.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from service.broker.ports import Observer

NAME = "token-broker"
_UNNAMED = "unknown_service"


class NotedExporter(SpanExporter):
    """Hands spans to another exporter, and notes when that begins and ceases to fail."""

    def __init__(self, exporter: SpanExporter, observer: Observer) -> None:
        """Send through this exporter."""
        self._exporter = exporter
        self._observer = observer
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; what was not taken is dropped."""
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed is not self._failing:
            self._failing = failed
            self._observer.note("tracing.failed" if failed else "tracing.recovered", reason=_WHY[failed])
        return result

    def shutdown(self) -> None:
        """End whatever is being tried."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Say that nothing is kept here."""
        return self._exporter.force_flush(timeout_millis)


_WHY = {
    True: "the collector does not take spans: they are dropped until it does",
    False: "the collector takes spans again",
}


def open_provider(role: str, observer: Observer) -> TracerProvider:
    """Open what makes spans and sends them, as OpenTelemetry's variables say."""
    exporter = NotedExporter(OTLPSpanExporter(), observer)
    # It writes a line or two about every batch that fails; ours, at the first and the last, say enough.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    # Not at exit: that would wait half a minute for a collector that is away.
    provider = TracerProvider(resource=_resource(role), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _resource(role: str) -> Resource:
    """Say who sends: `token-broker-serve` or `token-broker-work`, unless the environment names it."""
    given = Resource.create({SERVICE_VERSION: version(NAME)})
    if str(given.attributes[SERVICE_NAME]).startswith(_UNNAMED):
        return given.merge(Resource({SERVICE_NAME: f"{NAME}-{role}"}))
    return given
