"""Wraps the ports whose calls are steps of a trace: lease, budget, claims, grants, users and upstream.

One table says which. Of a call's arguments none is read: they hold tokens.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from service.tracing.facts import attributes

if TYPE_CHECKING:
    from service.broker.model import UserKey
    from service.broker.ports import Leases, LeaseState, Ports
    from service.tracing.spans import Tracing

_CLAIMS = {"claim": "claim", "restamp": "claim.restamp", "settle": "settle", "end_claim": "claim.end"}
_GRANTS = {
    name: f"grant.{name}"
    for name in (
        "load", "find", "mark_refused", "distrust", "clear_distrust", "vouch", "request_force", "set_state",
    )
}  # fmt: skip
_USERS = {
    name: f"user.{name}"
    for name in (
        "load_user", "list_users", "begin_create", "note_attempt", "abandon_create", "link",
        "change_profile", "forget",
    )
}  # fmt: skip
_PROVIDER = {
    name: f"upstream.{name}"
    for name in (
        "refresh", "recover", "check", "probe", "create_user", "find_users", "read_user", "change_user",
        "delete_user",
    )
}  # fmt: skip


def follow_ports(ports: Ports, tracing: Tracing) -> Ports:
    """Return the ports so that their calls are seen as steps of whatever trace they are made in."""

    def steps(port: object, names: Mapping[str, str], system: str = "") -> Any:  # noqa: ANN401 - as the port
        return _Followed(port, names, tracing, system)

    return replace(
        ports,
        tracer=tracing,
        claims=steps(ports.claims, _CLAIMS, "postgresql"),
        grants=steps(ports.grants, _GRANTS, "postgresql"),
        users=steps(ports.users, _USERS, "postgresql"),
        events=steps(ports.events, {"page": "event.page"}, "postgresql"),
        providers={name: steps(provider, _PROVIDER) for name, provider in ports.providers.items()},
        wakeups=steps(ports.wakeups, {"wait": "lease.wait"}, "redis"),
        budget=steps(ports.budget, {"take": "budget.take"}, "redis"),
        leases=cast("Leases", _FollowedLeases(ports.leases, tracing)),
    )


class _Followed:
    """A port of which some methods are steps; everything else is the port's own."""

    def __init__(self, port: object, names: Mapping[str, str], tracing: Tracing, system: str) -> None:
        self._port = port
        for method, name in names.items():
            setattr(self, method, _step(getattr(port, method), name, tracing, system))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the port has
        return getattr(self._port, name)


def _step(
    call: Callable[..., Awaitable[object]], name: str, tracing: Tracing, system: str
) -> Callable[..., Awaitable[object]]:
    @functools.wraps(call)
    async def step(*args: object, **named: object) -> object:
        with tracing.step(name, system) as span:
            result = await call(*args, **named)
            if result is None or isinstance(result, bool):
                # Not ours, not there, not in time; of any other result only that there was one.
                span.set_attributes(attributes({"result": bool(result)}))
            return result

    return step


class _FollowedLeases:
    """Leases whose taking is a step; what is done while one is held is not part of it."""

    def __init__(self, leases: Leases, tracing: Tracing) -> None:
        self._leases = leases
        self._tracing = tracing

    @asynccontextmanager
    async def hold(self, key: UserKey) -> AsyncIterator[LeaseState]:
        async with AsyncExitStack() as stack:
            with self._tracing.step("lease.take", "redis") as span:
                state = await stack.enter_async_context(self._leases.hold(key))
                span.set_attributes(attributes({"held": state.held, "busy": state.busy}))
            yield state
