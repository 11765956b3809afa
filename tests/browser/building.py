"""Finds Node and Chromium, and builds the page when its sources or the lock have changed.

What is built needs @calcom/atoms, which is AGPL-3.0-or-later: a tool of these tests, never shipped.
"""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
DIST = HERE / "dist"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
OLDEST_NODE = (20, 19)
_LOCKED = (HERE / "package.json", HERE / "package-lock.json")


def chromium_path():
    """Return where Chromium is, or None; the environment's CHROMIUM goes before what is on the path."""
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else CHROMIUMS)), None)


def missing_chromium():
    """Return a sentence that says how to get Chromium, unless it is there."""
    if chromium_path():
        return []
    return ["Chromium is missing: apt-get install chromium, or set CHROMIUM to its path."]


def missing_npm():
    """Return a sentence that says how to get npm, unless it is there."""
    if shutil.which("npm"):
        return []
    return ["npm is missing: it comes with Node.js; on Debian: apt-get install npm."]


def missing_node():
    """Return a sentence that says how to get Node.js, unless it is there and new enough."""
    if _node_version() >= OLDEST_NODE:
        return []
    wanted = ".".join(map(str, OLDEST_NODE))
    return [f"Node.js {wanted} or newer is missing: install it from https://nodejs.org."]


def install(folder):
    """Have the packages of a folder's lock in its node_modules."""
    locked = [folder / "package.json", folder / "package-lock.json"]
    unless_current(
        folder / "node_modules", locked, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"
    )


def built_page():
    """Return the folder of the page, built anew if its sources changed; fails with the tools' own words."""
    install(HERE)
    unless_current(DIST, [*_LOCKED, *_sources()], "npm", "run", "--silent", "build")
    unresolved = [path.name for path in DIST.rglob("*.js") if "Could not resolve" in path.read_text()]
    # Vite ends well all the same when a module is missing, and leaves the page's own code out.
    assert not unresolved, f"the build left modules out of {unresolved}"
    return DIST


def _sources():
    page = HERE / "page"
    return [HERE / "vite.config.js", *sorted(path for path in page.rglob("*") if path.is_file())]


def unless_current(made, sources, *command):
    """Run the command that makes this folder, beside it, unless it was made of these very sources."""
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = made / ".made-of"
    if stamp.exists() and stamp.read_text() == digest:
        return
    stamp.unlink(missing_ok=True)
    ended = subprocess.run(command, cwd=made.parent, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, f"{' '.join(command)} failed:\n{ended.stdout}{ended.stderr}"
    stamp.write_text(digest)


def _node_version():
    node = shutil.which("node")
    said = subprocess.run([node, "--version"], capture_output=True, check=False).stdout if node else b""
    found = re.match(rb"v(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0, 0)
