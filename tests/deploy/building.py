"""Carries out the Dockerfile's own steps into empty roots, without a container engine.

The steps of the stage that builds run on this machine, in the folder that stands for that stage's root; they
name no absolute path, so nothing else is touched. Those of a stage that is kept run inside it.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy import containers, debian
from tests.deploy.dockerfile import ROOT, context, in_exec_form, options, pairs, read_stages

BUILDS = "build"
# Where packages come from is the machine's own business, and so is its cache.
_KEPT = {"HOME", "PIP_CACHE_DIR", "PIP_CONFIG_FILE", "PIP_INDEX_URL", "XDG_CONFIG_DIRS"}


@dataclass
class Image:
    """What a stage came to: its tree, and what an engine would be told about it."""

    root: Path
    environment: dict = field(default_factory=dict)
    labels: dict = field(default_factory=dict)
    told: dict = field(default_factory=dict)
    workdir: str = "/"

    @property
    def program(self):
        """The folder of what was installed."""
        return self.root / "opt/token-broker"

    def files(self):
        """Return every file of the tree."""
        return sorted(path for path in self.root.rglob("*") if path.is_symlink() or not path.is_dir())

    def digest(self):
        """Return a hash over every file's name, mode and content."""
        whole = hashlib.sha256()
        for path in self.files():
            content = bytes(path.readlink()) if path.is_symlink() else path.read_bytes()
            whole.update(f"{path}\0{path.lstat().st_mode}\0".encode() + hashlib.sha256(content).digest())
        return whole.hexdigest()

    def command(self, *arguments):
        """Return what an engine starts with these arguments, or with none."""
        return [*in_exec_form(self.told["ENTRYPOINT"]), *(arguments or in_exec_form(self.told["CMD"]))]

    @property
    def health_check(self):
        """The command that says whether it is healthy."""
        return in_exec_form(self.told["HEALTHCHECK"].partition("CMD ")[2])


class StepFailed(AssertionError):
    """A RUN ended with an error; the message holds the command and what it said."""


class Builder:
    """Builds stages in a folder, each once."""

    def __init__(self, folder):
        self._folder = folder
        self._built = {}

    def image(self, name):
        """Return the Image of a stage, after the stage that it takes from. Raises StepFailed."""
        for stage in (BUILDS, name):
            if stage not in self._built:
                self._built[stage] = self._build(read_stages()[stage])
        return self._built[name]

    def _build(self, stage):
        image = Image(self._folder / stage.name)
        image.root.mkdir()
        if stage.name != BUILDS and containers.is_isolated():
            debian.make_base(image.root)
        for word, text in stage.steps:
            _STEPS.get(word, _note(word))(self._built, image, text)
        return image


def _env(_, image, text):
    image.environment |= pairs(text)


def _label(_, image, text):
    image.labels |= pairs(text)


def _workdir(_, image, text):
    image.workdir = text
    (image.root / text.lstrip("/")).mkdir(parents=True, exist_ok=True)


def _note(word):
    return lambda _, image, text: image.told.__setitem__(word, text)


def _copy(built, image, text):
    given, words = options(text)
    *sources, target = words
    place = image.root / Path(image.workdir, target).relative_to("/")
    for source in sources:
        if "from" in given:
            shutil.copytree(
                built[given["from"]].root / source.lstrip("/"), place, symlinks=True, dirs_exist_ok=True
            )
        else:
            _copy_context(source, place)
    if "chown" in given and os.geteuid() == 0:
        os.chown(place, *map(int, given["chown"].split(":")))


def _copy_context(source, place):
    """Copy a file or folder of the context; a folder's contents go into the target, as an engine has it."""
    files = [path for path in context() if path == Path(source) or Path(source) in path.parents]
    assert files, f".dockerignore keeps {source} out of the build"
    for path in files:
        inside = path.relative_to(source) if path != Path(source) else Path(path.name)
        (place / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, place / inside)


def _run(_, image, text):
    words = in_exec_form(text)
    if words:
        ended = containers.build_in(image, words)
    else:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("HOME", "PIP_INDEX_URL", "PIP_CONFIG_FILE")
        }
        ended = subprocess.run(
            ["sh", "-c", text], cwd=image.root / image.workdir.lstrip("/"), capture_output=True, text=True,
            check=False, timeout=300, env={"PATH": path, "LC_ALL": "C.UTF-8", **kept, **image.environment},
        )  # fmt: skip
    if ended.returncode != 0:
        raise StepFailed(f"RUN {shlex.join(words) if words else text}\n{ended.stdout}{ended.stderr}")


_STEPS = {"COPY": _copy, "ENV": _env, "LABEL": _label, "RUN": _run, "WORKDIR": _workdir}
