"""The files of a run: who writes what where, so that the checker finds it. Imports nothing of the project."""

from __future__ import annotations

import os
import time
from pathlib import Path

import orjson

RUN = "run.json"
"""How the run was set up, its keys and secrets included."""
JOURNAL = "upstream.jsonl"
ANSWERS = "answers.jsonl"
BLOWS = "blows.jsonl"
AUDIT = "audit.jsonl"
GRANTS = "grants.jsonl"
LINEAGE = "lineage.jsonl"
OUTPUT = "output"
"""Everything that could leak: what processes wrote, dumps of both stores, metrics."""
STORES = "stores"
"""The two servers' own files; what they log could leak, too."""


def now_ms():
    """Return the wall clock in epoch milliseconds."""
    return time.time() * 1000


def write_private(path, content):
    """Write a file that nobody else can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


def write_lines(path, lines):
    """Write objects, one JSON line each."""
    write_private(path, b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines))


def read_lines(path):
    """Return the objects of a file of JSON lines; of none when there is no file."""
    path = Path(path)
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


class Lines:
    """A file of JSON lines that grows; each line is there as soon as it is added."""

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, **fields):
        """Add one line."""
        os.write(self._file, orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))
