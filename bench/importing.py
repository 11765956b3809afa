"""Measures `token-broker import`: how long so many users take, in how much memory, and what a kill costs.

    python -m bench.importing --users 100000

One run goes on to its end, for the time; another, into a database of its own, is killed (SIGKILL) when half
of the users are there, and begun again. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg

from bench.settings import environment
from bench.stored import create_database, prepare_broker
from bench.tokens import CLIENT_ID
from sandbox.embedded import servers

ROOT = Path(__file__).parent.parent
LIFETIME_S = 3600
Found = dict[str, Any]
_LOOK_EVERY_S = 0.05
_LOOK_CLOSELY_S = 0.01
_HOW_MANY, _ANY = "SELECT count(*) FROM grants", "SELECT EXISTS (SELECT FROM grants)"


def write_table(path: Path, users: int) -> None:
    """Write an app's table: tokens of the length that Cal.com's have, of all ages up to a day."""
    now = int(time.time())
    with path.open("w") as file:
        file.write("id,email,name,calUserId,accessToken,refreshToken\n")
        for number in range(1, users + 1):
            access, refresh = (_token(number, now - number % 86_400, kind) for kind in ("access", "refresh"))
            email = f"user-{number}@example.com"
            file.write(f"user-{number},{email},User {number},{number},{access},{refresh}\n")


def _token(owner: int, issued: int, kind: str) -> str:
    claims = {
        "type": f"{kind}_token", "clientId": CLIENT_ID, "ownerId": owner, "iat": issued,
        "expiresAt": (issued + LIFETIME_S) * 1000,
    }  # fmt: skip
    parts = (b'{"alg":"HS256","typ":"JWT"}', json.dumps(claims).encode(), f"{kind}-{owner:026}".encode())
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


class Child:
    """One run of the command; `samples` are of its resident memory, in MB."""

    def __init__(self, env: dict[str, str], table: Path) -> None:
        self._env, self._table = env, table
        self.samples: list[tuple[float, float]] = []

    async def run(self, database_url: str, kill_at: int | None = None) -> tuple[int, float, str]:
        """Run it, killed when so many users are there; returns exit code, seconds and last words."""
        # Before the program runs: it may be done before a busy machine has a connection for whoever watches.
        connection = await asyncpg.connect(database_url)
        began = time.monotonic()
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service.cli", "import", str(self._table), "--json",
            cwd=ROOT, env=self._env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        watching = asyncio.create_task(self._watch(program.pid, connection, kill_at))
        said, _ = await program.communicate()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return program.returncode or 0, time.monotonic() - began, said.decode()

    async def _watch(
        self, pid: int, connection: asyncpg.Connection[asyncpg.Record], kill_at: int | None
    ) -> None:
        try:
            while True:
                there = await connection.fetchval(_HOW_MANY if kill_at else _ANY)
                if kill_at and there >= kill_at:
                    os.kill(pid, signal.SIGKILL)
                    return
                if there:  # what it takes to begin with is no part of how memory grows with the users
                    self.samples.append((time.monotonic(), _resident_mb(pid)))
                await asyncio.sleep(_LOOK_CLOSELY_S if kill_at else _LOOK_EVERY_S)
        finally:
            connection.terminate()

    def memory(self) -> tuple[float, float]:
        """Return the most memory in the first third of the run and in the rest of it."""
        cut = self.samples[0][0] + (self.samples[-1][0] - self.samples[0][0]) / 3
        early = max(mb for at, mb in self.samples if at <= cut)
        return early, max((mb for at, mb in self.samples if at > cut), default=early)


def _resident_mb(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def _rows(database_url: str) -> dict[str, int]:
    connection = await asyncpg.connect(database_url)
    try:
        return {
            what: await connection.fetchval(f"SELECT count(*) FROM {what}")  # noqa: S608 - constants
            for what in ("users", "grants", "lineage", "audit_events WHERE event = 'grant.enrolled'")
        }
    finally:
        await connection.close()


async def _measure(users: int, folder: Path, server_url: str, redis_url: str) -> dict[str, Found]:
    table = folder / "users.csv"
    write_table(table, users)
    whole = await _whole(users, table, await _database(server_url, "whole"), redis_url)
    killed = await _killed(users, table, await _database(server_url, "killed"), redis_url)
    return {"whole": whole, "killed_and_resumed": killed}


async def _database(server_url: str, name: str) -> str:
    url = await create_database(server_url, name)
    await prepare_broker(url)
    return url


async def _whole(users: int, table: Path, url: str, redis_url: str) -> Found:
    child = Child(_variables(url, redis_url), table)
    code, seconds, said = await child.run(url)
    early, late = child.memory()
    return {
        "exit": code,
        "seconds": round(seconds, 1),
        "users_a_second": round(users / seconds),
        "peak_mb_first_third": round(early, 1),
        "peak_mb_after": round(late, 1),
        "said": json.loads(said),
        "rows": await _rows(url),
    }


async def _killed(users: int, table: Path, url: str, redis_url: str) -> Found:
    child = Child(_variables(url, redis_url), table)
    killed, _, _ = await child.run(url, kill_at=users // 2)
    half = await _rows(url)
    code, seconds, said = await child.run(url)
    rows = await _rows(url)
    return {
        "killed_with": killed,
        "rows_then": half,
        "exit": code,
        "seconds": round(seconds, 1),
        "said": json.loads(said),
        "rows": rows,
    }


def _variables(database_url: str, redis_url: str) -> dict[str, str]:
    settings = environment(database_url, redis_url, 1, (8080, 8081, 9090))
    return {"PATH": os.environ["PATH"], **settings}


def main() -> int:
    """Measure, and say it as JSON; 1 when a row was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m bench.importing", description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    users = parser.parse_args().users
    with tempfile.TemporaryDirectory() as folder, servers() as pair:
        found = asyncio.run(_measure(users, Path(folder), pair.postgres.url, pair.valkey.url))
    sys.stdout.write(f"{json.dumps({'users': users, **found})}\n")
    return int(any(set(run["rows"].values()) != {users} for run in found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
