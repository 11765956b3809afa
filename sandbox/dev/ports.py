"""The ports that a run takes: checked, all of them, before anything is started.

Says who holds a taken one where the machine tells (Linux). Imports the standard library only.
"""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

HOST = "127.0.0.1"
_LISTENING = "0A"
_HIGHEST = 65_535


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a run listens, on loopback: the demo with the sandbox, and the listeners of the two processes."""

    demo: int = 8000
    public: int = 8080
    internal: int = 8081
    observe: int = 9090
    worker: int = 9091

    @classmethod
    def free(cls) -> Ports:
        """Return ports that are free now, below those the kernel gives to clients."""
        found: list[int] = []
        while len(found) < len(WHAT):
            port = 20_000 + secrets.randbelow(12_000)
            if port not in found and _is_free(port):
                found.append(port)
        return cls(*found)


WHAT = {
    "demo": ("the demo page and the sandbox Cal.com", "--port"),
    "public": ("the broker's public listener", "--public-port"),
    "internal": ("the broker's internal listener", "--internal-port"),
    "observe": ("the service's health and metrics", "--observe-port"),
    "worker": ("the worker's health and metrics", "--worker-port"),
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a port cannot be had, and the option that chooses another."""

    why: str
    instead: str


def complaints(ports: Ports) -> list[Complaint]:
    """Return a complaint about each port that cannot be had, none when all can."""
    seen: dict[int, str] = {}
    found = []
    for name, port in asdict(ports).items():
        what, option = WHAT[name]
        why = None
        if port in seen:
            why = f"Port {port} is wanted twice, for {seen[port]} and for {what}."
        elif not _is_free(port):
            why = f"Port {port}, for {what}, is taken{_by(port)}."
        if why is not None:
            found.append(Complaint(why, f"{option} {_other(port)}"))
        seen[port] = what
    return found


def _other(port: int) -> int:
    """Propose a port that is free now."""
    return next(filter(_is_free, range(port + 100, _HIGHEST, 100)), Ports.free().demo)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the listeners do: what a run that has just ended left in TIME_WAIT is in nobody's way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _by(port: int) -> str:
    """Name the process that listens there, if it can be known."""
    for inode in _listening_inodes(port):
        for pid in _holders(inode):
            with suppress(OSError):
                return f" by {_command(pid)} (process {pid})"
    return ""


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _holders(inode: str) -> Iterator[int]:
    """Find the processes with this socket among their open files; those of others cannot be seen."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for file in (process / "fd").iterdir():
                with suppress(OSError):
                    if str(file.readlink()) == f"socket:[{inode}]":
                        yield int(process.name)


def _command(pid: int) -> str:
    """Return the program's name with its first words: interpreters are told apart by what they run."""
    words = [word for word in Path(f"/proc/{pid}/cmdline").read_text().split("\0") if word]
    shown = [Path(word).name for word in words if not word.startswith("-")][:3]
    return re.sub(r"[^ -~]", "?", " ".join(shown))[:60] or "a process"
