"""Has the real Docker Compose read docker-compose.yml, without an engine: alone, and with each profile."""

import json
import os
import re
import subprocess

import yaml

from tests.chart.problems import Problem
from tests.chart.tools import ROOT, compose

COMPOSE_FILE = ROOT / "docker-compose.yml"
# ${NAME?message} and ${NAME:?message}: what a user must give.
_REQUIRED = re.compile(r"(?<!\$)\$\{(\w+):?\?")


def check_compose(path=COMPOSE_FILE):
    """Return a problem for each thing that Compose refuses or warns about."""
    if not path.exists():
        return [Problem("compose", path.name, "(the file)", "is not there")]
    required = sorted(set(_REQUIRED.findall(path.read_text())))
    problems = []
    for chosen in [[], *([profile] for profile in _profiles(path)), ["*"]]:
        ended = _run(path, chosen, "config", "--quiet", **dict.fromkeys(required, "given"))
        if ended.returncode != 0 or ended.stderr.strip():
            name = f"(profile {chosen[0]})" if chosen else "(no profile)"
            said = ended.stderr.strip() or f"exit code {ended.returncode}"
            problems.append(Problem("compose", path.name, name, said))
    return problems + [_unsaid(path, name) for name in required if not _is_named(path, required, name)]


def _is_named(path, required, name):
    """Whether Compose says what is missing when this variable is."""
    others = dict.fromkeys(set(required) - {name}, "given")
    ended = _run(path, ["*"], "config", "--quiet", **others)
    return ended.returncode != 0 and name in ended.stderr


def _unsaid(path, name):
    return Problem("compose", path.name, name, "is required, and Compose does not say so when it is missing")


def resolved(path=COMPOSE_FILE, profiles=("*",), **variables):
    """Return the file as Compose understands it, with these profiles and variables."""
    ended = _run(path, profiles, "config", "--format", "json", **variables)
    if ended.returncode != 0:
        raise ValueError(ended.stderr.strip())
    return json.loads(ended.stdout)


def _profiles(path):
    return sorted({name for service in _services(path) for name in service.get("profiles") or []})


def _services(path):
    try:
        read = yaml.safe_load(path.read_text())
    except yaml.YAMLError:
        # Compose itself says better what is wrong.
        return []
    services = read.get("services") if isinstance(read, dict) else None
    return [service for service in (services or {}).values() if isinstance(service, dict)]


def _run(path, profiles, *arguments, **variables):
    """Run Compose; nothing of the caller's environment may stand in for what the file itself must say."""
    command = [compose(), "--file", str(path), "--env-file", os.devnull]
    command += [*(f"--profile={name}" for name in profiles), *arguments]
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")} | variables
    return subprocess.run(
        command, cwd=path.parent, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
