"""The sandbox's switches over HTTP, under `/_sandbox`, for processes that do not hold the sandbox.

JSON in and out; errors are `{"error": text}`. No authentication and no CORS: it is a tool for one machine.

  GET    /_sandbox                            clients, counts, faults, gates and settings
  PATCH  /_sandbox                            {throttle?, redis_warm?, advance_s?}
  GET POST DELETE /_sandbox/faults            POST {kind, route?, and the options of Fault};
                                              DELETE ?id=&kind=&route=&client=
  GET    /_sandbox/journal                    ?after=&limit=
  GET POST /_sandbox/gates                    POST {route, point?, client?, user?}
  GET DELETE /_sandbox/gates/{gate}           GET ?arrived=&timeout_s= waits; DELETE opens
  POST   /_sandbox/gates/{gate}/release       {count?}
  PATCH  /_sandbox/clients/{client}           fields of the OAuth client
  POST   /_sandbox/clients/{client}/purge
  GET POST /_sandbox/clients/{client}/users   POST {email, name?} seeds one (the only answer with raw tokens)
  GET DELETE /_sandbox/users/{user}
  POST   /_sandbox/users/{user}/expire
  POST   /_sandbox/tokens/state, /kill        {token}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.calcom.control.gates import GateDoors
from sandbox.calcom.control.rows import RowDoors
from sandbox.calcom.control.switches import SwitchDoors

if TYPE_CHECKING:
    from sandbox.calcom.sandbox import Sandbox


def add_control_routes(app: web.Application, sandbox: Sandbox) -> None:
    """Add every door of this package."""
    for doors in (SwitchDoors(sandbox), GateDoors(sandbox), RowDoors(sandbox)):
        app.router.add_routes(doors.routes())


__all__ = ["add_control_routes"]
