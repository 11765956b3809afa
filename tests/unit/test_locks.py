"""The locks agree: what the image runs on is what the tests ran on, all of it and nothing else."""

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = re.compile(
    r"^([a-z0-9-]+)==(\S+)(?: ; (.+?))? \\$((?:\n    --hash=sha256:[0-9a-f]{64}.*)+)", re.MULTILINE
)
# Needed by Python 3.11.2, which the image has, and by nothing later: redis-py says so in a marker.
OF_OLDER_PYTHONS = {"async-timeout"}
EXTRAS = ("otel",)


def lock(name):
    """Return what a lock pins: name → (version, hashes)."""
    text = (ROOT / name).read_text()
    pins = {row[1]: (row[2], frozenset(re.findall(r"[0-9a-f]{64}", row[4]))) for row in PINNED.finditer(text)}
    assert len(pins) == len(re.findall(r"^[a-z].*==", text, re.MULTILINE)), "a line of another shape"
    return pins


def name_of(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower().replace("_", "-").replace(".", "-")


def wanted(requirements):
    """Return the names and extras of requirements that hold here."""
    from packaging.requirements import Requirement

    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield name_of(requirement.name), frozenset(requirement.extras)


def needed():
    """Return the names of all that the product needs here, directly or not, as installed packages say."""
    project = PROJECT["project"]
    first = [*project["dependencies"], *(row for e in EXTRAS for row in project["optional-dependencies"][e])]
    found, open_ends = set(), set(wanted(first))
    while open_ends:
        name, extras = open_ends.pop()
        found.add(name)
        asked = [row for row in requires(name) or () if "extra ==" not in row]
        asked += [
            row.partition(";")[0] for e in extras for row in requires(name) or () if f'extra == "{e}"' in row
        ]
        open_ends |= {(other, more) for other, more in wanted(asked) if other not in found}
    return found


@pytest.mark.parametrize("name", ["requirements-run.lock", "requirements-build.lock"])
def test_every_version_and_hash_is_the_one_that_was_tested(name):
    whole, part = lock("requirements.lock"), lock(name)

    assert part
    assert {
        package: (version, hashes <= whole[package][1]) for package, (version, hashes) in part.items()
    } == {package: (whole[package][0], True) for package in part}


def test_the_image_gets_all_that_the_product_needs_and_nothing_else():
    assert lock("requirements-run.lock").keys() - OF_OLDER_PYTHONS == needed() - OF_OLDER_PYTHONS


def test_the_image_gets_what_its_older_interpreter_needs():
    # Without it redis-py cannot be imported on Debian 12's Python 3.11.2: the build would pass on 3.11.3.
    assert lock("requirements-run.lock").keys() >= OF_OLDER_PYTHONS


def test_the_builder_gets_what_the_project_is_built_with():
    assert lock("requirements-build.lock").keys() == {
        name_of(row) for row in PROJECT["build-system"]["requires"]
    }


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.lock")), ids=lambda path: path.name)
def test_a_lock_names_no_place_to_get_packages_from(path):
    assert not re.search(r"://|^-", path.read_text(), re.MULTILINE)
