"""Makes the spans: a request, the flight it starts, the steps of that flight; and hears how they end.

Whoever runs inside a span need not know of it. Errors are told by their class alone: texts and stack
traces can quote what was sent.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bound_contextvars

from service.tracing.facts import attributes, belongs_to_span, is_told, known_method, outcome_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from service.broker.model import UserKey
    from service.broker.ports import Observer

Result = TypeVar("Result")

FLUSH_S = 2.0
_OUR_FAULT = 500
_W3C = TraceContextTextMapPropagator()


class Tracing:
    """Traces of one process; implements the broker's port `Tracer`."""

    def __init__(self, provider: TracerProvider, observer: Observer) -> None:
        """Make spans with this provider."""
        self._provider = provider
        self._observer = observer
        self._tracer = provider.get_tracer("token-broker", version("token-broker"))

    @contextmanager
    def request(self, listener: str, traceparent: str | None, *, trusted: bool) -> Iterator[None]:
        """Follow a request. A caller that is trusted has its own trace continued; any other's is linked.

        Linked only, because who continues a stranger's trace lets him decide what is recorded, and where.
        """
        theirs = _context_of(traceparent)
        begun = self._tracer.start_span(
            "request",
            context=trace.set_span_in_context(theirs) if trusted and theirs else contexts.Context(),
            kind=SpanKind.SERVER,
            links=[Link(theirs.get_span_context())] if theirs and not trusted else None,
            attributes=attributes({"listener": listener}),
        )
        with _running(begun), _named_in_lines(begun):
            yield

    def begin(self, name: str, client: str, why: str = "") -> SpanTrail:
        """Begin a trail below what runs now."""
        facts = {"client": client, "trigger": why} if why else {"client": client}
        return SpanTrail(self._tracer.start_span(name, attributes=attributes(facts)))

    @contextmanager
    def step(self, name: str, system: str = "", **facts: object) -> Iterator[Span]:
        """Follow one step of what runs now; without anything that is followed there is no step either."""
        if not trace.get_current_span().is_recording():
            yield trace.INVALID_SPAN
            return
        described = attributes(facts) | ({"db.system.name": system} if system else {})
        with _running(self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=described)) as span:
            yield span

    def hear(self, event: str, key: UserKey | None, facts: Mapping[str, object]) -> None:
        """Let the span that runs now carry what an event says of it."""
        span = trace.get_current_span()
        if not span.is_recording():
            return
        told = attributes({**facts, **({"client": key.client} if key else {})})
        if belongs_to_span(event):
            span.set_attributes(told)
        elif is_told(event):
            span.add_event(event, told)
        if event == "request.done":
            _end_of_request(span, facts)
        if outcome := outcome_of(event):
            span.set_attributes(attributes({"outcome": outcome}))

    async def aclose(self, timeout_s: float) -> None:
        """Send what is pending, for 2 s at most and no longer than `timeout_s`; the rest is dropped."""
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop may have ended before
                loop.call_soon_threadsafe(sent.set)

        # A thread that nobody has to wait for: the collector may not answer at all.
        threading.Thread(target=shut_down, name="tracing-end", daemon=True).start()
        try:
            async with asyncio.timeout(min(FLUSH_S, timeout_s)):
                await sent.wait()
        except TimeoutError:
            self._observer.note("tracing.failed", reason="the collector did not take the last spans in time")


class SpanTrail:
    """A span that is begun where work is decided on, and runs and ends where it is done."""

    def __init__(self, span: Span) -> None:
        """Follow the work with this span."""
        self._span = span

    async def follow(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Do the work inside the span."""
        with _running(self._span), _named_in_lines(self._span):
            return await work()

    def joined(self) -> None:
        """Link what runs now to the span: it belongs to the trace of whoever came first."""
        waiter = trace.get_current_span()
        if waiter.is_recording():
            waiter.add_link(self._span.get_span_context())


@contextmanager
def _running(span: Span) -> Iterator[Span]:
    """Run the block inside the span, and end it."""
    token = contexts.attach(trace.set_span_in_context(span))
    try:
        yield span
    except BaseException as error:
        span.set_attribute("error.type", type(error).__name__)
        if isinstance(error, Exception):
            span.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        contexts.detach(token)
        span.end()


def _named_in_lines(span: Span) -> AbstractContextManager[None]:
    """Let log lines carry the trace's id; one that is not recorded could not be found by it."""
    if not span.is_recording():
        return nullcontext()
    return bound_contextvars(trace_id=trace.format_trace_id(span.get_span_context().trace_id))


def _context_of(traceparent: str | None) -> Span | None:
    """Return the caller's span; of its headers nothing but the two ids and the flags."""
    if traceparent is None:
        return None
    span = trace.get_current_span(_W3C.extract({"traceparent": traceparent}, contexts.Context()))
    return span if span.get_span_context().is_valid else None


def _end_of_request(span: Span, facts: Mapping[str, object]) -> None:
    """Name the span by the route's template; the path, the query and the ids in them stay out."""
    method, status = known_method(facts.get("method")), facts["status"]
    span.update_name(f"{method} {facts['route']}")
    span.set_attribute("http.request.method", method)
    if isinstance(status, int) and status >= _OUR_FAULT:
        span.set_status(Status(StatusCode.ERROR))
