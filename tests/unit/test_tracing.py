"""When this process traces, what it says when it cannot, and what a span may say."""

import asyncio
import logging
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.broker.model import UserKey
from service.tracing import start_tracing
from service.tracing.export import NotedExporter
from service.tracing.facts import attributes
from service.tracing.spans import Tracing
from tests.support.collector import collecting
from tests.support.doors import Notes
from tests.support.raw_peer import running, send
from tests.support.written_logs import written_logs

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
NOWHERE = "http://127.0.0.1:9"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJvd25lcklkIjo3fQ.c2lnbmF0dXJl"


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def seen():
    """Where the spans of `tracing` end."""
    return InMemorySpanExporter()


@pytest.fixture
def tracing(seen, notes):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(seen))
    return Tracing(provider, notes)


@pytest.fixture
def start(notes, monkeypatch):
    """Starts tracing to an endpoint; ends its thread with the test, which others would stumble over."""
    processors = []

    def start_one(endpoint, role="serve", **variables):
        for name, value in {ENDPOINT: endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2", **variables}.items():
            monkeypatch.setenv(name, value)
        tracing = start_tracing(role, notes)
        processors.append(processor_of(tracing))
        return tracing

    yield start_one
    for processor in processors:
        processor.shutdown()
        processor._worker_thread.join(20)
        assert not processor._worker_thread.is_alive()


def processor_of(tracing):
    return tracing._provider._active_span_processor._span_processors[0]._batch_processor


def warned(notes):
    return [facts["reason"] for facts in notes.of("settings.warning")]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: NOWHERE, "OTEL_SDK_DISABLED": "True"},
        {ENDPOINT: NOWHERE, "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_SAMPLER": "always_on"},
    ],
)
def test_without_an_endpoint_or_when_disabled_nothing_is_traced_or_said(notes, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (start_tracing("serve", notes), notes.heard) == (None, [])


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({ENDPOINT: "collector:4318"}, "http://collector:4318"),
        ({ENDPOINT: "http://[fd00::1:4318/v1"}, "http://collector:4318"),
        ({ENDPOINT: "http://collector:431800"}, "http://collector:4318"),
        ({ENDPOINT: NOWHERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
        ({ENDPOINT: NOWHERE, "OTEL_TRACES_EXPORTER": "zipkin"}, "otlp"),
        ({ENDPOINT: NOWHERE, "OTEL_BSP_MAX_QUEUE_SIZE": "5"}, "ValueError"),
    ],
)
def test_what_is_wrong_is_a_warning_and_no_failure(notes, monkeypatch, variables, said):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert start_tracing("serve", notes) is None
    (reason,) = warned(notes)
    assert reason.startswith("Nothing is traced: ")
    assert said in reason


def test_an_endpoint_without_the_extra_is_a_warning_that_says_how_to_install_it(notes, monkeypatch):
    monkeypatch.setenv(ENDPOINT, NOWHERE)
    monkeypatch.delitem(sys.modules, "service.tracing.export")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert start_tracing("serve", notes) is None
    assert "requirements-run.lock" in warned(notes)[0]


def test_nothing_of_opentelemetry_is_loaded_where_nothing_is_traced():
    script = (
        "import sys, service.cli, service.serving, service.wiring, worker.main\n"
        "from service.tracing import start_tracing\n"
        "assert start_tracing('serve', None) is None\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('opentelemetry', 'requests')])"
    )
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "token-broker-work"),
        ({"OTEL_SERVICE_NAME": "tokens"}, "tokens"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=other,team=a"}, "other"),
    ],
)
async def test_spans_name_their_service(start, variables, name):
    async with collecting() as collector:
        tracing = start(collector.url, "work", OTEL_EXPORTER_OTLP_TIMEOUT="10", **variables)
        await tracing.begin("sweep", "acme").follow(lambda: asyncio.sleep(0))
        await tracing.aclose(5)
        assert (await collector.one("sweep")).service == name


def test_only_listed_facts_reach_a_span_and_no_secret_in_them():
    said = {"route": "/refresh", "user_id": "anna", "detail": "x", "reason": f"met {JWT}", "status": 200}
    assert attributes({**said, "call": ["a"], "code": None, "kind": object()}) == {
        "http.route": "/refresh",
        "token_broker.reason": "met [redacted]",
        "http.response.status_code": 200,
    }


def test_a_method_that_a_caller_made_up_is_not_told(tracing, seen):
    with tracing.request("public", None, trusted=False):
        facts = {"route": "unmatched", "method": "X5ECRET", "status": 405, "seconds": 0.1}
        tracing.hear("request.done", UserKey("acme", "anna"), facts)
    (span,) = seen.get_finished_spans()
    assert (span.name, span.attributes["http.request.method"]) == ("_OTHER unmatched", "_OTHER")
    assert "5ECRET" not in span.to_json()
    assert "anna" not in span.to_json()


def test_what_nobody_follows_makes_no_span_of_a_step(tracing, seen):
    with tracing.step("claim"):
        tracing.hear("refresh.rotated", None, {"trigger": "ahead"})
    assert seen.get_finished_spans() == ()


def test_an_error_leaves_its_class_and_none_of_its_text(tracing, seen):
    with pytest.raises(ValueError, match="5ecret"), tracing.request("public", None, trusted=False):
        raise ValueError("5ecret")
    (span,) = seen.get_finished_spans()
    assert span.attributes["error.type"] == "ValueError"
    assert "5ecret" not in span.to_json()


async def test_upstream_is_told_nothing_of_the_trace(tracing):
    async def silent(peer):
        peer.writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with running(silent) as peer:
        with tracing.request("public", None, trusted=False), tracing.step("upstream.refresh"):
            await send(peer.url)
    assert b"trace" not in peer.requests[0].lower()
    assert b"baggage" not in peer.requests[0].lower()


class Scripted:
    """An exporter that succeeds or fails as told."""

    def __init__(self, *results):
        self._results = [SpanExportResult.SUCCESS if ok else SpanExportResult.FAILURE for ok in results]

    def export(self, spans):
        return self._results.pop(0)


def test_a_collector_that_is_away_is_noted_once_and_its_return_once(notes):
    exporter = NotedExporter(Scripted(True, False, False, False, True, True, False), notes)
    for _ in range(7):
        exporter.export([])
    events = [event for event, _, _ in notes.heard]
    assert events == ["tracing.failed", "tracing.recovered", "tracing.failed"]


async def test_a_collector_that_never_answers_costs_no_more_than_a_full_queue(start, notes):
    async with hanging() as peer:
        with written_logs() as written:
            tracing = start(peer.root, OTEL_BSP_MAX_QUEUE_SIZE="600", OTEL_EXPORTER_OTLP_TIMEOUT="3")
            for _ in range(5000):
                tracing.begin("refresh", "acme")._span.end()
            await peer.read.wait()
        assert len(processor_of(tracing)._queue) <= 600
        assert 1 <= sum("Queue full" in line.get("message", "") for line in written.lines) <= 3  # one in 20 s


async def test_a_collector_that_never_answers_holds_up_the_end_for_two_seconds(start, notes):
    async with hanging() as peer:
        tracing = start(peer.root, OTEL_BSP_SCHEDULE_DELAY="10", OTEL_EXPORTER_OTLP_TIMEOUT="9")
        tracing.begin("refresh", "acme")._span.end()
        await peer.read.wait()
        started = time.monotonic()
        await tracing.aclose(60)
        assert time.monotonic() - started < 6
    assert [facts["reason"] for facts in notes.of("tracing.failed")] == [
        "the collector did not take the last spans in time"
    ]


async def test_the_end_takes_no_longer_than_what_is_left_of_the_drain(start):
    tracing = start(NOWHERE)
    tracing.begin("refresh", "acme")._span.end()
    started = time.monotonic()
    await tracing.aclose(0)
    assert time.monotonic() - started < 1


def test_what_the_exporter_says_itself_is_not_heard_and_the_sdk_only_from_warnings_up(start):
    with written_logs("debug") as written:
        start(NOWHERE)
        logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").error("batch")
        logging.getLogger("urllib3.connectionpool").debug("POST")
        logging.getLogger("opentelemetry.sdk.trace").info("odd")
        logging.getLogger("opentelemetry.sdk.trace").warning("odd %s", "5ecret")
    assert written.line["message"] == "odd …"


@asynccontextmanager
async def hanging():
    """A collector that takes a request and never answers it."""

    async def hang(peer):
        await peer.released.wait()

    async with running(hang) as peer:
        peer.root = f"http://127.0.0.1:{peer.port}"
        yield peer
