"""The figures that Prometheus reads: every metric by its documented name, each in a registry of its own.

Decides nothing; what moves a figure stands in `telemetry`. Must import nothing of this program but the
broker's words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Generic, Literal, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from service.broker.model import GrantState, Trigger
from service.metrics.shared import render_shared
from service.metrics.tally import Tally

Metric = TypeVar("Metric", Counter, Gauge, Histogram)

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

_HTTP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 35)
_UPSTREAM_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)
_WAIT_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 35)
_LEAD_SECONDS = (0, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_REUSES = ("revoked", "far_behind", "many_addresses", "session_mismatch", "secret", "secret_like")

# A second series a counter that says when it was made: nobody asked for them.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class Series(Generic[Metric]):
    """One metric's children by their labels: a dictionary look-up is five times cheaper than `labels()`."""

    __slots__ = ("_children", "_metric")

    def __init__(self, metric: Metric) -> None:
        """Bind children of this metric as they are asked for."""
        self._metric: Metric = metric
        self._children: dict[tuple[str, ...], Metric] = {}

    def of(self, *labels: str) -> Metric:
        """Return the child with these labels, in the metric's order."""
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels) if labels else self._metric
        return child


class Metrics:
    """Every metric of the process; `registry` may be shared with others that are to be read with it.

    `folder` is where `share_figures` was told that the service's processes keep theirs, if they do.
    """

    def __init__(self, registry: CollectorRegistry | None = None, folder: str | None = None) -> None:
        """Register everything once."""
        self.registry = registry or CollectorRegistry()
        self._folder = folder
        self._tallies: list[Tally] = []
        if self._folder is None:
            # Of several processes it would show the one that happens to answer.
            ProcessCollector(registry=self.registry)
        self.http_requests = self._counter("http_requests", "Requests answered.", "route", "status")
        self.http_request_seconds = self._histogram(
            "http_request_seconds", "Time from a request to its answer.", _HTTP_SECONDS, "route"
        )
        self.answers = self._counter("answers", "Tokens handed out, by where they came from.", "source")
        self.refreshes = self._counter(
            "refreshes", "Refreshes that ended, by why and how.", "client", "trigger", "outcome"
        )
        self.upstream_requests = self._counter(
            "upstream_requests", "Calls made.", "client", "call", "outcome"
        )
        self.upstream_seconds = self._histogram(
            "upstream_seconds", "Time one upstream call took.", _UPSTREAM_SECONDS, "client", "call"
        )
        self.coalesced_waiters = self._counter("coalesced_waiters", "Callers who joined a refresh under way.")
        self.lease_wait_seconds = self._histogram(
            "lease_wait_seconds", "Time waited for another replica's refresh.", _WAIT_SECONDS
        )
        self.refresh_lead_seconds = self._histogram(
            "refresh_lead_seconds", "Life a pair had left when it was replaced.", _LEAD_SECONDS
        )
        self.recoveries = self._counter(
            "recoveries", "Pairs had back without their refresh token.", "client", "kind"
        )
        self.token_reuse = self._counter("token_reuse", "Tokens presented that should not be.", "kind")
        self.unreadable = self._counter(
            "unreadable", "Grants found due whose tokens no key here can open.", "client"
        )
        self.events_dropped = self._counter("events_dropped", "Events of the audit that found no room.")
        self.webhook_messages = self._counter(
            "webhook_messages", "Messages sent to the webhook, by what came of each try.", "type", "outcome"
        )
        self.webhook_seconds = self._histogram("webhook_seconds", "Time one try took.", _UPSTREAM_SECONDS)
        self.cache_key_missing = self._counter(
            "cache_key_missing", "Cached answers met whose key is no longer in the ring."
        )
        self.seals = self._counter("seals", "Values sealed, by the key that sealed them.", "key_id")
        self._register_gauges()

    def _register_gauges(self) -> None:
        self.users = self._gauge(
            "users", "Users by the state of their grant.", "mostrecent", "client", "state"
        )
        self.due = self._gauge("due", "Grants the worker has something to do for.", "mostrecent", "client")
        self.overdue_seconds = self._gauge(
            "overdue_seconds", "How long the most overdue grant has waited.", "mostrecent", "client"
        )
        self.expired_claims = self._gauge(
            "expired_claims", "Claims past their deadline.", "mostrecent", "client"
        )
        self.bricked_users = self._gauge(
            "bricked_users",
            "Users without a live token for over two minutes, in spite of trying.",
            "mostrecent",
            "client",
        )
        self.rate_budget_remaining = self._gauge(
            "rate_budget_remaining", "Upstream calls that may be made now.", "mostrecent", "client"
        )
        self.circuit_open = self._gauge(
            "circuit_open", "1 while a client's calls are held.", "livemax", "client"
        )
        self.client_secret_old = self._gauge(
            "client_secret_old", "1 while upstream takes a client's old secret alone.", "livemax", "client"
        )
        self.degraded = self._gauge(
            "degraded", "1 while a dependency does not work.", "livemax", "dependency"
        )
        for dependency in ("postgres", "redis", "upstream"):
            self.degraded.of(dependency).set(0)

    @cached_property
    def last_sweep_timestamp_seconds(self) -> Series[Gauge]:
        """When the worker last swept; absent in a process that never does, so that no alert reads its 0."""
        return self._gauge("last_sweep_timestamp_seconds", "When the worker last swept.", "livemax")

    @cached_property
    def webhook_waiting(self) -> Series[Gauge]:
        """What waits to be sent; like the next one absent where nothing is sent."""
        return self._gauge("webhook_waiting", "Messages that wait to be sent to the webhook.", "mostrecent")

    @cached_property
    def webhook_oldest_seconds(self) -> Series[Gauge]:
        """How long the oldest of them has waited."""
        words = "How long the oldest message that waits has waited."
        return self._gauge("webhook_oldest_seconds", words, "mostrecent")

    def expect(self, clients: Sequence[str]) -> None:
        """Show what is 0 until something happens, for every client there is.

        A counter that begins at 1 has not risen for Prometheus: of what is rare, the first would be missed.
        """
        for kind in _REUSES:
            self.token_reuse.of(kind)
        self.events_dropped.of()
        for client in clients:
            self.circuit_open.of(client).set(0)
            self.client_secret_old.of(client).set(0)
            self.unreadable.of(client)
            for kind in ("force", "recover"):
                self.recoveries.of(client, kind)
            for trigger in Trigger:
                self.refreshes.of(client, trigger, "rotated")

    def _counter(self, name: str, words: str, *labels: str) -> Series[Counter]:
        return Series(Counter(f"token_broker_{name}", words, labels, registry=self.registry))

    def _gauge(
        self, name: str, words: str, several: Literal["livemax", "mostrecent"], *labels: str
    ) -> Series[Gauge]:
        # `several` says which process's figure counts once those of several are read together: what one says
        # of itself only while it lives (`live...`), what it says of all of them until another one does.
        return Series(
            Gauge(f"token_broker_{name}", words, labels, registry=self.registry, multiprocess_mode=several)
        )

    def _histogram(self, name: str, words: str, buckets: Sequence[float], *labels: str) -> Series[Histogram]:
        return Series(
            Histogram(f"token_broker_{name}", words, labels, registry=self.registry, buckets=buckets)
        )

    def set_users(self, client: str, counts: dict[str, int]) -> None:
        """Set a client's users by state; a state that nobody is in any more is 0, not what it was."""
        for state in GrantState:
            self.users.of(client, state.value).set(counts.get(state, 0))

    def tally(self, route: str, sources: Sequence[str]) -> Tally:
        """Return what counts this route's good answers, whose token came from one of these sources."""
        tally = Tally(self, route, _HTTP_SECONDS, sources)
        self._tallies.append(tally)
        return tally

    def answered(self, route: str, by_source: Mapping[str, int], took: Sequence[int], seconds: float) -> None:
        """Add so many good answers of a route: by where the token came from, and to each bucket of times.

        prometheus_client has a way to observe one time at a time only; this is what it does there.
        """
        for source, count in by_source.items():
            if count:
                self.answers.of(source).inc(count)
        self.http_requests.of(route, "200").inc(sum(took))
        child = self.http_request_seconds.of(route)
        child._sum.inc(seconds)  # noqa: SLF001
        for bucket, count in zip(child._buckets, took, strict=True):  # noqa: SLF001
            if count:
                bucket.inc(count)

    def pour(self) -> None:
        """Take in what was counted in plain numbers."""
        for tally in self._tallies:
            tally.pour()

    def render(self) -> bytes:
        """Return every figure in Prometheus' text form (`CONTENT_TYPE`), of all processes that share them."""
        self.pour()
        if self._folder is not None:
            return render_shared(self._folder, self.registry)
        return generate_latest(self.registry)
