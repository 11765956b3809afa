"""The client is a package of its own: who installs it gets aiohttp and nothing of the broker's."""

import subprocess
import sys
import tomllib
import zipfile

from tests.docs.blocks import ROOT

PACKAGE = ROOT / "clients" / "python"
OTHERS = {"asyncpg", "arq", "redis", "pydantic", "orjson", "structlog", "cryptography", "service", "worker"}


def python(*words, **how):
    return subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True, **how).stdout


def test_importing_it_loads_nothing_of_the_brokers():
    code = "import sys, token_broker_client; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(python("-c", code, env={"PYTHONPATH": str(PACKAGE / "src")}).split())
    assert "aiohttp" in loaded
    assert loaded & OTHERS == set()


def test_its_wheel_needs_aiohttp_alone_and_says_that_it_is_typed(tmp_path):
    how = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path))
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        (source / name).write_text((PACKAGE / name).read_text())
    (source / "src").symlink_to(PACKAGE / "src")
    python("-m", "pip", "wheel", *how, str(source))
    [wheel] = tmp_path.glob("token_broker_client-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        [metadata] = [packed.read(name).decode() for name in names if name.endswith("/METADATA")]
    needs = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert needs == ["Requires-Dist: aiohttp<4,>=3.12"]
    assert "token_broker_client/py.typed" in names


def test_it_has_the_version_of_the_broker_it_was_made_with():
    versions = {
        tomllib.loads((place / "pyproject.toml").read_text())["project"]["version"]
        for place in (ROOT, PACKAGE)
    }
    assert len(versions) == 1
