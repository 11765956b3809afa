"""The containers of docker-compose.yml as processes: with the commands, settings, secrets and checks it says.

What stands in for the file's own: loopback ports for its networks ("postgres:5432" and the like become
addresses of this machine), embedded servers for the images of PostgreSQL and Valkey.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from sandbox.dev.ports import HOST, Ports
from sandbox.embedded.programs import find_postgres, find_valkey
from tests.deploy.compose import order_of
from tests.deploy.containers import UID, in_container, run_in

STORES = ("postgres", "valkey")
HEALTHY_WITHIN_S = 90
_LISTENS = {"service": (8080, 8081, 9090), "worker": (9090,)}


class Rehearsal:
    """The file's containers; `image` gives an Image by the name of its stage."""

    def __init__(self, config, image, folder, postgres_port):
        self.config = config
        self._image = image
        self._folder = folder
        self.ports = {("postgres", 5432): postgres_port}
        wanted = [("valkey", 6379), *((name, port) for name, ports in _LISTENS.items() for port in ports)]
        for place, port in zip(wanted, _free(len(wanted)), strict=True):
            self.ports[place] = port
        self.running = {}
        self.order = []

    def start_all(self):
        """Start each container once those it waits for are as it wants them."""
        for name in order_of(self.config["services"]):
            if name == "valkey":
                self._start_valkey()
            if name in STORES:
                continue
            self._start(name)
            conditions = {
                how["condition"] for of in self.config["services"].values()
                for on, how in of.get("depends_on", {}).items() if on == name
            }  # fmt: skip
            self._wait_for(name, conditions or {"service_healthy"})

    def stop_all(self):
        """Tell them to end, those that others need last; returns each one's exit code, None for killed."""
        codes = {}
        for name in reversed(self.order):
            process = self.running[name]
            process.send_signal(signal.SIGTERM)
            try:
                codes[name] = process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait() and None
        return codes

    def said(self, name):
        """Return what a container has written so far."""
        return (self._folder / f"{name}.log").read_text()

    def secret(self, name):
        """Return the text of a secret, with this machine's addresses in it."""
        return self._addressed("", Path(self.config["secrets"][name]["file"]).read_text().strip())

    def url(self, name, port):
        """Return where a container's port is."""
        return f"http://{HOST}:{self.ports[name, port]}"

    def prepare_database(self, psql_url):
        """Run what PostgreSQL's image runs when it makes the database: its scripts, by their names."""
        service = self.config["services"]["postgres"]
        psql = [find_postgres().executable.with_name("psql"), "--no-psqlrc", "-v", "ON_ERROR_STOP=1"]
        made = [
            *psql,
            "-c",
            f"CREATE DATABASE {service['environment']['POSTGRES_DB']}",
            f"{psql_url}/postgres",
        ]
        subprocess.run(made, check=True, capture_output=True)
        for told in sorted(service["configs"], key=lambda told: told["target"]):
            script = self._here("postgres", Path(self.config["configs"][told["source"]]["file"]).read_text())
            database = f"{psql_url}/{service['environment']['POSTGRES_DB']}"
            subprocess.run(
                [*psql, "-f", "-", database], input=script, text=True, check=True, capture_output=True
            )

    def _start_valkey(self):
        words = [self._here("valkey", word) for word in self.config["services"]["valkey"]["command"]]
        words[0] = find_valkey().executable
        place = ["--port", str(self.ports["valkey", 6379]), "--bind", HOST]
        with (self._folder / "valkey.log").open("w") as log:
            self.running["valkey"] = subprocess.Popen([*words, *place], stdout=log, stderr=log, cwd="/")
        self.order.append("valkey")

    def _start(self, name):
        words, keywords = in_container(*self._container(name))
        with (self._folder / f"{name}.log").open("w") as log:
            self.running[name] = subprocess.Popen(words, stdout=log, stderr=log, **keywords)
        self.order.append(name)

    def _container(self, name):
        """Return the image, command, environment and mounts of a service."""
        service = self.config["services"][name]
        image = self._image(service["build"]["target"])
        command = image.command(*(service.get("command") or ()))
        environment = service.get("environment") or {}
        mounts = [(self._secrets_of(name), "/run/secrets", "ro")]
        mounts += [(self._volume(volume), volume["target"], "rw") for volume in service.get("volumes", [])]
        return (
            image,
            [self._addressed(name, word) for word in command],
            {key: self._addressed(name, value) for key, value in environment.items()},
            mounts,
        )

    def _wait_for(self, name, conditions):
        if conditions == {"service_completed_successfully"}:
            code = self.running[name].wait(timeout=60)
            assert code == 0, f"{name} ended with {code}: {self.said(name)}"
            self.order.remove(name)
            return
        end = time.monotonic() + HEALTHY_WITHIN_S
        while not self.is_healthy(name):
            assert self.running[name].poll() is None, f"{name} has ended: {self.said(name)}"
            assert time.monotonic() < end, f"{name} is not healthy: {self.said(name)}"
            time.sleep(0.2)

    def is_healthy(self, name):
        """Whether the file's own check says so."""
        kind, *command = self.config["services"][name]["healthcheck"]["test"]
        assert kind == "CMD", "a shell would be needed"
        image, _, environment, mounts = self._container(name)
        return (
            run_in(image, [self._addressed(name, word) for word in command], environment, mounts).returncode
            == 0
        )

    def _addressed(self, name, text):
        """Put this machine's addresses in the place of the networks' names and the container's own ports."""
        for (other, port), here in self.ports.items():
            text = re.sub(rf"\b{other}:{port}\b", f"{HOST}:{here}", text)
            if other == name:
                text = text.replace(f"0.0.0.0:{port}", f"{HOST}:{here}")
        # The demo's own port is the same on both sides already.
        return re.sub(r"\bdemo:(\d+)", rf"{HOST}:\1", text)

    def _here(self, name, text):
        return text.replace("/run/secrets", str(self._secrets_of(name)))

    def _secrets_of(self, name):
        """Return a folder of a container's own secrets, with the modes they have."""
        folder = self._folder / f"{name}.secrets"
        if not folder.exists():
            folder.mkdir()
            for told in self.config["services"][name].get("secrets", ()):
                source = self.config["secrets"][told["source"]]["file"]
                shutil.copy(source, folder / told["source"])
                place = folder / told["source"]
                place.write_text(self._addressed(name, place.read_text()))
        return folder

    def _volume(self, volume):
        folder = self._folder / f"{volume['source']}.volume"
        if not folder.exists():
            folder.mkdir()
            if os.geteuid() == 0:
                os.chown(folder, UID, UID)
        return folder


def _free(count):
    found = set()
    while len(found) < count:
        found.add(Ports.free().demo)
    return found
