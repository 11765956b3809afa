"""A private PostgreSQL: made by initdb on first use, kept in its folder, reached by password on loopback."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path
from signal import Signals

from sandbox.embedded.child import Child
from sandbox.embedded.errors import EmbeddedError
from sandbox.embedded.programs import Program, find_postgres
from sandbox.embedded.server import HOST, Server

_USER = "broker"
_BUILTIN_LOCALES_SINCE = 17
_OURS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # socket paths have a length limit that temporary folders exceed
    "logging_collector": "off",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres(Server):
    """A PostgreSQL server; `options` are settings of postgresql.conf, such as `{"fsync": "off"}`."""

    name = "postgres"
    stop_steps = ((Signals.SIGINT, 15.0), (Signals.SIGQUIT, 5.0))

    @property
    def url(self) -> str:
        """The address of the database `postgres` for its owner, a superuser."""
        if not self.port:
            raise EmbeddedError("postgres has no address yet: start it first.")
        return f"postgresql://{_USER}:{self._password_file.read_text()}@{HOST}:{self.port}/postgres"

    @property
    def _data(self) -> Path:
        return self.base / "postgres"

    @property
    def _password_file(self) -> Path:
        return self.base / "postgres.password"

    def _prepare(self) -> None:
        self._program, version = self.account.usable(find_postgres(), self.base)
        if not self._data.exists():
            self._initialize(self._program, version)

    def _initialize(self, program: Program, version: str) -> None:
        # Beside its place and moved there when done: an interrupted initdb leaves what looks like a database.
        unfinished = self.base / "postgres.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        self.account.make_folder(unfinished)
        password = secrets.token_urlsafe(24)
        _write_secret(self._password_file, password)
        handed_over = self.base / "postgres.password.initdb"
        _write_secret(handed_over, password)
        self.account.own(handed_over)
        try:
            self._initdb(program, version, unfinished, handed_over)
        finally:
            handed_over.unlink()
        unfinished.rename(self._data)

    def _initdb(self, program: Program, version: str, data: Path, password_file: Path) -> None:
        done = self.account.run(
            program.executable.with_name("initdb"),
            *("-D", data, "-U", _USER, "-A", "scram-sha-256", "--pwfile", password_file, "-E", "UTF8"),
            *_locale(version),
            *(["--no-sync"] if self.options.get("fsync") == "off" else []),
        )
        if done.returncode != 0:
            raise EmbeddedError(
                f"PostgreSQL's initdb failed in {self.base}:\n{(done.stderr or done.stdout).strip()}"
            )

    def _launch(self) -> Child:
        settings = {**_OURS, **self.options}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command: list[str | Path] = [self._program.executable, "-D", self._data, "-p", str(self.port), *flags]
        return Child(command, self.log_path, self.account, Signals.SIGINT)

    def _answers(self) -> bool:
        """Whether our own process, not one that crashed before, has written that it is ready."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"  # noqa: PLR2004 - its fixed form


def _locale(version: str) -> list[str]:
    """Return initdb's flags for the same sort order and letters on every machine."""
    found = re.search(r"(\d+)", version.partition(")")[2])
    if found and int(found[1]) >= _BUILTIN_LOCALES_SINCE:
        return ["--locale-provider=builtin", "--locale=C.UTF-8"]
    return ["--locale=C"]


def _write_secret(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(secret)
