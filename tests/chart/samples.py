"""Builds what the tests of the gates need: a release that breaks no rule, to change one thing in."""

import json
from pathlib import Path

import yaml

from tests.chart.campaign import judge
from tests.chart.manifests import pods_of
from tests.chart.versions import KUBE_VERSIONS

# Helm adds `global` where the chart is another's dependency.
KNOWN = {"replicas": {"type": "integer"}, "global": {"type": "object"}}
STRICT = {"type": "object", "additionalProperties": False, "properties": KNOWN}
GOOD = Path(__file__).parent / "good.yaml"


def good():
    """Return the documents of a release that no gate has anything against; each call returns fresh ones."""
    return json.loads(json.dumps(yaml.safe_load(GOOD.read_text())))


def of(documents, kind, name="web"):
    """Return the document of this kind and name."""
    return next(each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name))


def pod_of(documents, kind="Deployment", name="web"):
    """Return the pod in that document."""
    return pods_of(of(documents, kind, name))[0]


def changed(document, path, value):
    """Set what lies at a path of words, such as "spec containers 0 image"; None removes it."""
    *way, last = [int(step) if step.isdigit() else step for step in path.split()]
    for step in way:
        document = document[step] if isinstance(step, int) else document.setdefault(step, {})
    if value is None:
        del document[last]
    else:
        document[last] = value


def small_chart(folder, documents, *, template="", values="replicas: 2\n", strict=True):
    """Write a chart of these documents and one shape; returns the arguments to check it with."""
    chart, shapes = folder / "chart", folder / "shapes"
    for place in (chart / "templates", shapes):
        place.mkdir(parents=True)
    about = {"apiVersion": "v2", "name": "web", "version": "1.0.0", "icon": "https://example.com/web.svg"}
    about["kubeVersion"] = f">={KUBE_VERSIONS[0]}.0-0"
    (chart / "Chart.yaml").write_text(yaml.safe_dump(about))
    (chart / "values.yaml").write_text(values)
    if strict:
        (chart / "values.schema.json").write_text(json.dumps(STRICT))
    (chart / "templates" / "all.yaml").write_text(yaml.safe_dump_all(documents) + template)
    (shapes / "everything-on.yaml").write_text("replicas: 3\n")
    (folder / "compose.yml").write_text("services: {web: {image: 'web:1'}}\n")
    return ["--chart", str(chart), "--shapes", str(shapes), "--compose-file", str(folder / "compose.yml")]


def rules_broken(documents, gates=("restricted_violations", "hardening", "release_rules")):
    """Return the names of the rules that these documents break, in the eyes of these gates."""
    return {problem.rule for gate, problem in judge(documents, KUBE_VERSIONS[-1]) if gate in gates}
