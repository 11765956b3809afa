"""The listener for those who watch over the process: alive, ready, figures. Never a token.

Works for the service and the worker alike and knows nothing of either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import orjson

from service.api.answer import Answer
from service.api.routes import Call, Operation, Route
from service.api.usecases import Readiness
from service.api.views import Health, ReadyView

LOOK_S = 2.0
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

OPERATIONS = {
    "/healthz": Operation(
        "Tell that the process lives; depends on nothing else", {200: ("It lives", Health)}, anonymous=True
    ),
    "/readyz": Operation(
        "Tell whether to send requests here, and how each dependency is",
        {200: ("Send requests here", ReadyView), 503: ("Send none here", ReadyView)},
        anonymous=True,
    ),
    "/metrics": Operation(
        "Show the figures, in Prometheus' text format",
        {200: ("The figures", None)},
        media_type="text/plain",
        anonymous=True,
    ),
}
"""What is described of the listener, by path; both probes answer HEAD as well."""


async def healthz(_: Call) -> Answer:
    """Tell that the process lives; depends on nothing else."""
    return Answer(200, b'{"status":"ok"}')


class ObserveDoor:
    """The routes of the observing listener."""

    def __init__(self, readiness: Readiness, render_metrics: Callable[[], bytes]) -> None:
        self._readiness = readiness
        self._render_metrics = render_metrics

    def routes(self) -> list[Route]:
        """Return the listener's routes."""
        return [
            Route("GET", "/healthz", healthz),
            Route("HEAD", "/healthz", healthz),
            Route("GET", "/readyz", self.readyz),
            Route("HEAD", "/readyz", self.readyz),
            Route("GET", "/metrics", self.metrics),
        ]

    async def readyz(self, _: Call) -> Answer:
        """Tell whether to send requests here: also without a dependency, but not while draining.

        Nor before the database was ever seen, nor on a schema older than the release: a roll-out with a wrong
        address, or one that forgot to migrate, stops at its first replica.
        """
        dependencies = await self._look()
        body = {"status": self._word(dependencies), "dependencies": dependencies}
        unready = self._readiness.draining or self._readiness.behind or not self._readiness.begun
        return Answer(503 if unready else 200, orjson.dumps(body))

    async def _look(self) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(LOOK_S):
                return await self._readiness.dependencies()
        except TimeoutError:
            return {"all": "unknown"}

    def _word(self, dependencies: Mapping[str, str]) -> str:
        if self._readiness.draining:
            return "draining"
        if self._readiness.behind:
            return "schema_behind"
        if not self._readiness.begun:
            return "starting"
        return "ready" if all(state == "up" for state in dependencies.values()) else "degraded"

    async def metrics(self, _: Call) -> Answer:
        """Render the figures, in a thread: those of several processes are read from files."""
        return Answer(200, await asyncio.to_thread(self._render_metrics), content_type=METRICS_TYPE)
