"""An app that has refreshed its users' tokens by hand: its table as files, and the commands that move it."""

import asyncio
import csv
import io
import json
import sys

from tests.support.programs import ROOT

COLUMNS = ("id", "email", "access_token", "refresh_token")


def row_of(person, enrolment):
    """A user's row in the app's table."""
    return {
        "id": person.key.user_id,
        "email": enrolment.profile.email,
        "access_token": enrolment.access_token,
        "refresh_token": enrolment.refresh_token,
    }


def as_csv(rows, columns=COLUMNS):
    """The rows as a CSV file with a header."""
    written = io.StringIO()
    writer = csv.DictWriter(written, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def as_jsonl(rows):
    """The rows as JSON Lines."""
    return "".join(f"{json.dumps(row)}\n" for row in rows)


async def start(variables, *words):
    """Start a command of the broker as a child with its output apart."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.cli", *words, cwd=ROOT, env=variables,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
