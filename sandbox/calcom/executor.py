"""Executes a call as upstream does: body parser, throttler, endpoint, exception filters.

Knows no faults of the way there and back; those are carried out in `pipeline`.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable

from aiohttp import web

from sandbox.calcom import errors
from sandbox.calcom.call import Answer, Call
from sandbox.calcom.state import RecordMissing, UniqueViolation
from sandbox.calcom.throttle import Throttle

Endpoint = Callable[[Call], Awaitable[Answer]]
_log = logging.getLogger("sandbox.calcom")


class Executor:
    """Runs endpoints, behind the throttler and in upstream's envelopes."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    async def run(self, call: Call, endpoint: Endpoint) -> web.Response:
        """Return the endpoint's answer, or what upstream makes of its refusal."""
        entry = call.entry
        try:
            await call.reach("before")
            call.json()  # the body parser comes before every guard
            if self._throttle.on and call.entry.route != "unknown":
                self._admit(call)
            response = _rendered(await endpoint(call))
            await call.reach("after")
        except Exception as error:  # noqa: BLE001 - like Nest, any fault of the server is a bare 500
            response = self._refused(call, error)
        entry.status = response.status
        response.headers.update(call.headers)
        return response

    @staticmethod
    def _refused(call: Call, error: Exception) -> web.Response:
        """Return what upstream's exception filters make of an error."""
        if isinstance(error, RecordMissing):
            error = errors.record_missing()
        elif isinstance(error, UniqueViolation):
            error = errors.already_exists()
        if isinstance(error, errors.Refusal):
            call.entry.code = error.code
            return errors.render(error, call.request.path_qs, str(uuid.uuid4()))
        if not isinstance(error, errors.Crash):
            _log.error("the sandbox failed on %s %s", call.entry.method, call.entry.path, exc_info=error)
        return errors.json_answer(500, errors.NEST_500)

    def _admit(self, call: Call) -> None:
        verdict = self._throttle.admit(call.request.headers, call.request.remote or "unknown")
        call.headers = verdict.headers
        if verdict.blocked:
            raise errors.rate_limited()


def _rendered(answer: Answer) -> web.Response:
    if answer.location is not None:
        return web.Response(status=answer.status, headers={"Location": answer.location})
    return errors.json_answer(answer.status, answer.body)
