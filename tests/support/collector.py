"""A collector of traces: takes OTLP over HTTP as a real one does, and keeps every byte it was sent.

async with collecting() as collector:
    ...                                    # with OTEL_EXPORTER_OTLP_ENDPOINT=collector.url
    request = await collector.one("GET /refresh")
"""

from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.waiting import eventually

ERROR = 2


@dataclass(frozen=True)
class Seen:
    """A span as it arrived."""

    name: str
    trace: str
    id: str
    parent: str
    service: str
    instance: str
    facts: dict
    events: list
    links: list
    failed: bool
    message: str
    kind: int
    begun: int
    ended: int


class Collector:
    """What has arrived so far."""

    def __init__(self):
        self.url = ""
        self.raw = []
        self.heads = []
        self.spans = []

    async def take(self, request):
        """Take a batch."""
        raw = await request.read()
        self.raw.append(raw)
        self.heads += [request.raw_path.encode(), repr(request.raw_headers).encode()]
        for resource in ExportTraceServiceRequest.FromString(raw).resource_spans:
            sender = _facts(resource.resource.attributes)
            self.spans += [_seen(span, sender) for scope in resource.scope_spans for span in scope.spans]
        body = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=body, content_type="application/x-protobuf")

    def named(self, name):
        """The spans of this name so far, in the order in which they began."""
        return sorted((span for span in self.spans if span.name == name), key=lambda span: span.begun)

    async def first(self, name, count=1):
        """The first `count` spans of this name, once they are here."""
        await eventually(lambda: len(self.named(name)) >= count, within_s=15)
        return self.named(name)[:count]

    async def one(self, name):
        """The only span of this name, once it is here."""
        await self.first(name)
        (span,) = self.named(name)
        return span

    def below(self, span):
        """The names of the spans that this one began, in order."""
        children = [other for other in self.spans if (other.trace, other.parent) == (span.trace, span.id)]
        return [child.name for child in sorted(children, key=lambda child: child.begun)]


@asynccontextmanager
async def collecting(port=0):
    """Run a collector on a free port, or on this one."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        await runner.cleanup()


def _seen(span, sender):
    return Seen(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        service=sender["service.name"],
        instance=sender["service.instance.id"],
        facts=_facts(span.attributes),
        events=[(event.name, _facts(event.attributes)) for event in span.events],
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        failed=span.status.code == ERROR,
        message=span.status.message,
        kind=span.kind,
        begun=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
    )


def _facts(attributes):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
