"""Schemathesis against both listeners: every check, wrong data too, and calls that follow from one another.

What it has come to is one case a listener; what it found is printed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.hostile.cases import Story

EXAMPLES = 5
LINE = 300
SEED = "1"
# A schema cannot say which time zones, clients or users there are: it also allows what is refused.
_BEYOND_SCHEMAS = "positive_data_acceptance"
_DOORS = {"internal": ("/openapi.json", "backend"), "public": ("/openapi-public.json", "ann")}


def _what_failed(output):
    """Return the part that tells of failures, its lines cut: they repeat whole bodies."""
    lines = output[max(0, output.find("= FAILURES")) :].splitlines()
    return "\n".join(line[:LINE] for line in lines)


def _explores(door):
    document, bearer = _DOORS[door]

    async def play(town):
        ports = town.drawn["ports"]["main"]
        command = [
            Path(sys.executable).with_name("schemathesis"),
            "--config-file", Path(__file__).with_suffix(".toml"),
            "run", f"http://127.0.0.1:{ports['internal']}{document}",
            "--url", f"http://127.0.0.1:{ports[door]}",
            "-H", f"Authorization: Bearer {town.names[bearer]}",
            "--checks", "all", "--exclude-checks", _BEYOND_SCHEMAS, "--mode", "all",
            "--max-examples", str(EXAMPLES), "--seed", SEED, "--generation-database", "none", "--no-color",
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, cwd=town.folder, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        return [] if process.returncode == 0 else [_what_failed(output.decode())]

    return Story("schema", f"the {door} listener is as it is described", play, patient=True)


CASES = [_explores(door) for door in _DOORS]
