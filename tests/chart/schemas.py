"""Validates a document strictly: Kubernetes' own kinds against that version's schema, others against ours.

Strictly means that a field which the schema does not know is refused. A kind without a schema is not valid:
it is unvalidated, and counted apart.
"""

import functools
import json
import re
from pathlib import Path

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.chart.manifests import title
from tests.chart.problems import Problem
from tests.chart.tools import schema_folder

OURS = Path(__file__).parent / "schemas"


class Unvalidated(Exception):
    """There is no schema for this kind in this version of its group."""


def validate(document, kube_version):
    """Return every place where the document breaks its schema; raises `Unvalidated` where there is none."""
    validator = _validator(document["apiVersion"], document["kind"], kube_version)
    errors = sorted(validator.iter_errors(document), key=lambda error: list(map(str, error.absolute_path)))
    return [Problem("schema", title(document), _path(error), _said(error)) for error in errors]


def _said(error):
    return error.message if len(error.message) < 300 else f"{error.message[:300]}…"


def _path(error):
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    return "".join(steps).lstrip(".") or "(the whole)"


@functools.cache
def _validator(api_version, kind, kube_version):
    group, _, version = api_version.rpartition("/")
    if ("." in group and not group.endswith(".k8s.io")) or group.startswith("gateway."):
        folder, name = OURS, f"{group}_{version}_{kind.lower()}.json"
    else:
        # Kubernetes' files are named by the first word of the group: networking.k8s.io/v1 is networking-v1.
        folder = schema_folder(kube_version)
        name = "-".join(filter(None, (kind.lower(), group.split(".")[0], version))) + ".json"
    if not re.fullmatch(r"[\w.-]+", name) or not (folder / name).is_file():
        raise Unvalidated(f"no schema for {api_version} {kind}: {folder.name}/{name} does not exist")
    return Draft202012Validator(_read(folder / name), registry=_registry(folder))


@functools.cache
def _registry(folder):
    """What the schemas of this folder refer to, read once: Kubernetes' definitions are a megabyte."""
    shared = [path for path in folder.iterdir() if path.name in ("_definitions.json", "common.json")]
    read = [(path.name, Resource.from_contents(_read(path))) for path in shared]
    return Registry().with_resources((resource.id() or name, resource) for name, resource in read)


def _read(path):
    return json.loads(path.read_text())
