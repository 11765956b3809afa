"""The commands of a page of the documentation, as a reader would run them: one shell, in order, unchanged."""

import os
import re
import subprocess
from pathlib import Path

from sandbox.embedded.programs import find_postgres

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"
TAKES_S = 120


def section(title):
    """Return the text of a section, up to the next heading of its own level or a higher one."""
    page = PAGE.read_text()
    heading = re.search(rf"^(#+) {re.escape(title)}$", page, re.MULTILINE)
    after = page[heading.end() :]
    end = re.search(rf"^#{{1,{len(heading[1])}}} ", after, re.MULTILINE)
    return after[: end.start() if end else len(after)]


def commands(text, test):
    """Return the blocks that are marked as run by this test, in their order."""
    parts = text.split(f"<!-- run by tests/deploy/{test} -->\n```sh\n")[1:]
    return [part.split("```")[0] for part in parts]


def shell(script, folder, **variables):
    """Run commands where PostgreSQL's and our own programs are, and return what they wrote; none may fail."""
    programs = [find_postgres().executable.parent, ROOT / ".venv" / "bin"]
    path = ":".join([*map(str, programs), os.environ["PATH"]])
    done = subprocess.run(
        ["/bin/sh", "-eu"], input=script, cwd=folder, env={"PATH": path, **variables},
        capture_output=True, text=True, check=False, timeout=TAKES_S,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout
