"""Decides as whom the servers run: as us, or, since PostgreSQL refuses root, as an unprivileged account.

Nothing but our own folders changes hands or mode: no parent folder is ever opened to others.
"""

from __future__ import annotations

import errno
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sandbox.embedded.errors import EmbeddedError
from sandbox.embedded.programs import Program

QUIET = {"PATH": os.defpath, "LC_ALL": "C"}
"""The environment of every server program: the caller's would change locale, time zone and defaults."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom to become in a child; nobody else when all is None."""

    name: str | None = None
    uid: int | None = None
    gid: int | None = None

    @property
    def groups(self) -> list[int] | None:
        """The supplementary groups to keep: none of root's."""
        return None if self.uid is None else []

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a short command as this account and return what came of it, whatever it was."""
        try:
            return subprocess.run(  # noqa: S603 - programs of ours, no shell
                command,
                user=self.uid,
                group=self.gid,
                extra_groups=self.groups,
                env=QUIET,
                cwd="/",
                start_new_session=True,  # a terminal's Ctrl-C is for us: initdb would leave half a database
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        except PermissionError as refusal:
            if refusal.errno == errno.EPERM:
                raise EmbeddedError(
                    f"PostgreSQL does not run as root, and root may not become {self.name!r} here. "
                    "Run this as an ordinary user."
                ) from refusal
            return subprocess.CompletedProcess(command, 126, "", str(refusal))

    def make_folder(self, path: Path) -> None:
        """Make a folder that belongs to this account alone, if it is not there yet."""
        if path.exists():
            return
        path.mkdir(mode=0o700)
        self.own(path)

    def own(self, path: Path) -> None:
        """Hand one file or folder of ours over to this account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def make_base(self, path: Path) -> None:
        """Make the folder of all of a server's files; EmbeddedError when the account cannot enter it."""
        if not path.exists():
            path.mkdir(parents=True)
            path.chmod(0o700 if self.uid is None else 0o711)
        if self.uid is not None and self.run("test", "-x", path).returncode != 0:
            raise EmbeddedError(
                f"As root the servers run as {self.name!r}, which cannot enter {path}. "
                "Choose a folder that others may pass through, for example below /var/lib or /tmp."
            )

    def usable(self, program: Program, base: Path) -> tuple[Program, str]:
        """Return the program, or a copy in `base` when this account cannot run it, and its version line."""
        answer = self.run(program.executable, "--version")
        if answer.returncode != 0 and self.uid is not None:
            program = program.copy_to(base / f"{program.executable.name}.program")
            answer = self.run(program.executable, "--version")
        if answer.returncode != 0:
            raise EmbeddedError(
                f"{program.executable} does not run: {(answer.stderr or answer.stdout).strip()}"
            )
        return program, answer.stdout


def choose() -> Account:
    """Return ourselves when we are an ordinary user, else `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return Account()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and there is neither an account 'postgres' nor 'nobody' to become. "
        "Run this as an ordinary user, or add one of them."
    )
