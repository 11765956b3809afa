"""A private Valkey.

Its configuration comes over standard input, so that no password stands in a file or a command line.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from signal import Signals

from sandbox.embedded.child import Child
from sandbox.embedded.errors import EmbeddedError
from sandbox.embedded.programs import find_valkey
from sandbox.embedded.server import HOST, Server

_OURS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": '""',
    "maxmemory-policy": "noeviction",
}


class Valkey(Server):
    """A Valkey server; `options` are settings of valkey.conf, such as `{"appendonly": "no"}`."""

    name = "valkey"
    stop_steps = ((Signals.SIGTERM, 10.0),)

    def __init__(self, base: Path, *, options: Mapping[str, str] | None = None) -> None:
        """Keep where its files go and settings that override ours; draw the password."""
        super().__init__(base, options=options)
        self._password = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """The address of database 0."""
        if not self.port:
            raise EmbeddedError("valkey has no address yet: start it first.")
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    def _prepare(self) -> None:
        self._program, _ = self.account.usable(find_valkey(), self.base)
        self._data = self.base / "valkey"
        self.account.make_folder(self._data)

    def _launch(self) -> Child:
        fixed = {
            "bind": HOST,
            "port": str(self.port),
            "dir": _quoted(self._data),
            "requirepass": self._password,
        }
        settings = {**_OURS, **self.options, **fixed}
        config = "".join(f"{name} {value}\n" for name, value in settings.items())
        return Child([self._program.executable, "-"], self.log_path, self.account, Signals.SIGTERM, config)

    def _answers(self) -> bool:
        """Whether it takes our password and has loaded its data."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answers:
                    return [answers.readline(), answers.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
