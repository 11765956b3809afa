"""Whoever installs the package without the lock cannot get a release that is known to be weak, either."""

import tomllib

import pytest
from packaging.requirements import Requirement

from supply import advisories, locks
from supply.ranges import hit

PROJECT = tomllib.loads((locks.ROOT / "pyproject.toml").read_text())["project"]
ASKED = [Requirement(one) for one in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["otel"]]]
KNOWN = advisories.load().packages


def lowest(asked):
    """Return the least version that may be installed; None when every version may."""
    return next((one.version for one in asked.specifier if one.operator in {">=", "=="}), None)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)
def test_the_lowest_version_that_may_be_installed_is_hit_by_no_advisory_that_is_known(asked):
    vulns = [one for one in KNOWN[asked.name].vulns if not one.get("withdrawn")]
    floor = lowest(asked)
    assert floor or not vulns
    assert [one["id"] for one in vulns if hit(floor, one["affected"])] == []


def test_a_floor_below_the_last_fix_would_be_found():
    assert any(hit("3.14.2", one["affected"]) for one in KNOWN["aiohttp"].vulns)
    assert lowest(Requirement("aiohttp>=3.14.2,<3.15")) == "3.14.2"
