"""Reads docker-compose.yml as Docker Compose itself does: what each container would be given."""

import json
import os
import shutil
import subprocess
from functools import cache

from tests.deploy.dockerfile import ROOT

GIVEN = {"CAL_OAUTH_CLIENT_ID": "an-oauth-client"}


@cache
def docker_compose():
    """Return Docker Compose 2 as a program of its own; None where there is none."""
    named = os.environ.get("COMPOSE") or str(ROOT / ".tools/bin/docker-compose")
    return shutil.which(named) or shutil.which("docker-compose")


def compose(*arguments, env_file=os.devnull, **variables):
    """Run Compose on the file; nothing of our own environment is taken for a variable of the file."""
    command = [docker_compose(), "--project-directory", str(ROOT), "--env-file", str(env_file), *arguments]
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def config(*options, env_file=os.devnull, **variables):
    """Return the whole file as Compose understands it."""
    ended = compose(*options, "config", "--format", "json", env_file=env_file, **variables)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return json.loads(ended.stdout)


def demo(**variables):
    """Return what the demo's own command line gives."""
    return config(env_file=ROOT / "deploy/demo.env", **variables)


def order_of(services):
    """Return the services' names, each after those it waits for."""
    placed = []
    while len(placed) < len(services):
        waiting = {name: set(of.get("depends_on", ())) - set(placed) for name, of in services.items()}
        placed += sorted(name for name, still in waiting.items() if name not in placed and not still)
    return placed
