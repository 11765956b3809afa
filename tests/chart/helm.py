"""Runs the real Helm on the chart: renders it to parsed documents, or says why Helm refused.

Without a cluster and without the network; a developer's own settings of Helm do not count.
"""

import os
import subprocess
from pathlib import Path

import yaml

from tests.chart.manifests import documents_of
from tests.chart.tools import HELM_HOMES, ROOT, helm
from tests.chart.versions import KUBE_VERSIONS

CHART = ROOT / "helm"


class Refused(Exception):
    """Helm would not render or lint the chart; the message is Helm's own."""


def render(values=None, **options):
    """Return all documents of the rendered chart, hooks and tests too; options are those of `template`."""
    return documents_of(template(values, **options))


def template(
    values=None,
    *,
    kube_version=KUBE_VERSIONS[-1],
    name="broker",
    namespace="broker",
    chart=CHART,
    api_versions=(),
    upgrade=False,
    strict=False,
):
    """Return what `helm template` writes; `values` is a dict, a file's path, or a list of them."""
    options = ["--namespace", namespace, "--kube-version", f"{kube_version}.0", "--include-crds"]
    options += [word for version in api_versions for word in ("--api-versions", version)]
    options += ["--is-upgrade"] if upgrade else []
    return run("template", name, str(chart), *options, values=values, strict=strict)


def lint(values=None, *, kube_version=KUBE_VERSIONS[-1], chart=CHART):
    """Have Helm lint the chart with these values; a warning is refused like an error."""
    return run(
        "lint", str(chart), "--strict", "--quiet", "--kube-version", f"{kube_version}.0", values=values
    )


def run(*arguments, values=None, strict=False):
    """Run Helm; returns what it wrote, or raises what it said; with `strict`, a warning is a refusal.

    Where several values are given, the later ones win.
    """
    command, text = [helm(), *arguments], ""
    for given in values if isinstance(values, list | tuple) else [values]:
        if isinstance(given, str | Path):
            command += ["--values", str(given)]
        elif given is not None:
            command += ["--values", "-"]
            text = yaml.safe_dump(given)
    ended = subprocess.run(
        command,
        input=text,
        env=os.environ | HELM_HOMES | {"KUBECONFIG": os.devnull},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if ended.returncode != 0 or (strict and ended.stderr.strip()):
        raise Refused(f"{ended.stderr.strip()}\n{ended.stdout.strip() if ended.returncode else ''}".strip())
    return ended.stdout
