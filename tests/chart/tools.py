"""Where the chart's tools are: Helm, Docker Compose and the schemas of Kubernetes, in .tools unless named.

HELM and COMPOSE of the environment go before what `python -m tests.chart.fetch` put there. Nothing here
uses the network.
"""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools"
SCHEMAS = TOOLS / "kubernetes"
# A developer's own settings of Helm, its plugins and caches change nothing here.
HELM_HOMES = {
    f"HELM_{kind}_HOME": str(TOOLS / "helm-home" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")
}


class Missing(Exception):
    """A tool that is needed is not there; the message says how to get it."""


def helm():
    """Return the path of Helm."""
    return _program("HELM", "helm")


def compose():
    """Return the path of Docker Compose, as a program of its own."""
    return _program("COMPOSE", "docker-compose")


def schema_folder(kube_version):
    """Return the folder of the strict schemas of one Kubernetes version, such as "1.34"."""
    folder = SCHEMAS / f"v{kube_version}.0"
    if not folder.is_dir():
        raise Missing(f"The schemas of Kubernetes {kube_version} are missing. `make chart` fetches them.")
    return folder


def missing_tools(kube_versions):
    """Return what is missing, a sentence for each tool."""
    return [said for said in map(_missing, (helm, compose)) if said] + [
        said
        for version in kube_versions
        if (said := _missing(lambda version=version: schema_folder(version)))
    ]


def _missing(find):
    try:
        find()
    except Missing as missing:
        return str(missing)
    return None


def _program(variable, name):
    named = os.environ.get(variable)
    found = shutil.which(named or str(TOOLS / "bin" / name))
    if found:
        return found
    if named:
        raise Missing(f"{variable}={named} is no program that can be run.")
    raise Missing(f"{name} is missing. `make chart` fetches it, or set {variable} to its path.")
