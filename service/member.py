"""One of several service processes, as the supervisor starts it: `python -m service.member PLACE`.

It serves from sockets that it was given, says once a second that its loop turns, and drains when it is
told to end or the supervisor is gone. Light to import: the supervisor makes its places.
"""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.metrics import Telemetry
    from service.settings import Settings

BEAT_EVERY_S = 1.0
BEAT = b"."


@dataclass(frozen=True, slots=True)
class Place:
    """What a process is given: its number, the line to the supervisor, the service's folder and sockets."""

    number: int
    line: int
    folder: str
    sockets: Sequence[Mapping[str, int]]

    def write(self) -> str:
        """Return the place as one argument."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def read(cls, argument: str) -> Place:
        """Return the place that an argument describes."""
        return cls(**json.loads(argument))

    @property
    def files(self) -> list[int]:
        """Every open file that the process must be given."""
        return [self.line, *(number for sockets in self.sockets for number in sockets.values())]


def main(argv: Sequence[str]) -> int:
    """Serve in a place; returns the exit code, as `token-broker serve` would."""
    from structlog.contextvars import bind_contextvars

    from service.metrics.shared import share_figures
    from service.roles import prepare, reporting, run

    place = Place.read(argv[0])
    share_figures(place.folder, place.number)
    bind_contextvars(process=place.number)

    def serve() -> int:
        settings, telemetry = prepare("serve", place.folder)
        return run(_serve(place, settings, telemetry))

    return reporting(serve)


async def _serve(place: Place, settings: Settings, telemetry: Telemetry) -> None:
    from service.serving import on_signals, serve_from

    sockets = [
        {name: socket.socket(fileno=number) for name, number in sockets.items()} for sockets in place.sockets
    ]
    own = sockets.pop(place.number)
    stop = on_signals()
    line = _Line(socket.socket(fileno=place.line), stop, settings.grace.total_seconds())
    await serve_from(own, settings, telemetry, stop, others=sockets, up=line.begin, shared=place.folder)
    if line.cut:
        # Nobody else is left to tidy up; others that still end need no figures any more.
        shutil.rmtree(place.folder, ignore_errors=True)


class _Line:
    """The line to the supervisor: beats go out, and nothing comes in but its end."""

    def __init__(self, sock: socket.socket, stop: asyncio.Event, grace_s: float) -> None:
        self.cut = False
        self._sock = sock
        self._stop = stop
        self._grace_s = grace_s
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._end)

    def begin(self) -> None:
        """Say that this process serves, and go on saying that it lives."""
        loop = asyncio.get_running_loop()
        loop.call_later(BEAT_EVERY_S, self.begin)
        try:
            self._sock.send(BEAT)
        except OSError:
            return  # a supervisor that hangs or is gone cannot listen

    def _end(self) -> None:
        """Drain as after a SIGTERM: no port may be held by what nobody supervises."""
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self.cut = True
        signal.alarm(math.ceil(self._grace_s))  # nobody else would end it, should it hang
        self._stop.set()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
