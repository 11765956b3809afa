"""Reads a Dockerfile: its stages with their steps, variables filled in, and what may be copied into them.

As much of the language as ours uses; a word it does not know is an error.
"""

import fnmatch
import json
import re
import shlex
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
KNOWN = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL",
    "USER", "WORKDIR",
}  # fmt: skip


@dataclass
class Stage:
    """One FROM and what follows it; a step is (word, text)."""

    name: str
    base: str
    steps: list = field(default_factory=list)


def read_stages(path=ROOT / "Dockerfile"):
    """Return the stages by name, in order."""
    stages, outer, arguments = {}, {}, {}
    for word, written in _instructions(path.read_text()):
        text = re.sub(r"\$\{(\w+)\}", partial(_value, arguments), written)
        if word == "ARG":
            name, _, default = text.partition("=")
            arguments[name] = default
            outer = outer if stages else arguments
        elif word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\w+)", text).groups()
            stages[name] = Stage(name, base)
            arguments = dict(outer)
        else:
            stages[list(stages)[-1]].steps.append((word, text))
    return stages


def _value(arguments, found):
    return arguments[found[1]]


def _instructions(text):
    """Yield (word, rest) of each instruction: comments are left out and broken lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for instruction in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, rest = instruction.partition(" ")
        if word:
            assert word in KNOWN, f"{word} is not known here"
            yield word, rest.strip()


def pairs(text):
    """Return what `A=1 B="2 3"` says."""
    return dict(pair.split("=", 1) for pair in shlex.split(text))


def in_exec_form(text):
    """Return the words of `["a", "b"]`; None for a line that a shell would read."""
    return json.loads(text) if text.startswith("[") else None


def options(text):
    """Return ({"name": "value"} of the leading --name=value, the words after them)."""
    words = text.split()
    given = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    return given, [word for word in words if not word.startswith("--")]


def context(folder=ROOT):
    """Return the files that .dockerignore lets into a build; the last line that matches wins."""
    rules = [line for line in (folder / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    tops = [path for path in folder.iterdir() if _let_in(path.name, rules)]
    found = [path for top in tops for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
    return sorted(path.relative_to(folder) for path in found if _let_in(str(path.relative_to(folder)), rules))


def _let_in(name, rules):
    let_in = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        parents = ["/".join(name.split("/")[: depth + 1]) for depth in range(name.count("/") + 1)]
        loose = pattern.removeprefix("**/")
        targets = [parent.rpartition("/")[2] for parent in parents] if loose != pattern else parents
        if any(fnmatch.fnmatchcase(target, loose) for target in targets):
            let_in = rule.startswith("!")
    return let_in
