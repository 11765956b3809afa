"""Renders every shape for every Kubernetes version, and puts what came out before each gate.

A gate that says nothing was passed. What a shape does on purpose against a rule stands in exemptions.toml,
with its reason; an exemption that nothing needs is a finding itself.
"""

import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from tests.chart import hardening, pod_security, rules_manners, rules_network, rules_wiring
from tests.chart.helm import Refused, lint, template
from tests.chart.manifests import Unreadable, documents_of, title
from tests.chart.problems import Problem
from tests.chart.release import Release
from tests.chart.schemas import Unvalidated, validate
from tests.chart.versions import KUBE_VERSIONS

EXEMPTIONS = Path(__file__).parent / "exemptions.toml"
# As long as Helm lets a release's name be.
LONG_NAME = "a-release-whose-name-is-as-long-as-helm-will-let-it-b"
RELEASE_RULES = rules_wiring.RULES | rules_network.RULES | rules_manners.RULES
AT_ONCE = 2
GATES = ("unvalidated", "invalid", "restricted_violations", "hardening", "release_rules", "lint", "render")


@dataclass(frozen=True)
class Finding:
    """What a gate said: of which shape, rendered for which version, and where."""

    gate: str
    shape: str
    kube_version: str
    problem: Problem

    def __str__(self):
        return f"{self.shape}, Kubernetes {self.kube_version}: {self.problem}"


@dataclass
class Outcome:
    """What a campaign counted and found."""

    shapes: int = 0
    documents: int = 0
    findings: list = field(default_factory=list)
    exempted: list = field(default_factory=list)

    def figures(self):
        """Return the figures: what was looked at, then what each gate found."""
        found = Counter(finding.gate for finding in self.findings)
        looked_at = {"shapes": self.shapes, "kube_versions": len(KUBE_VERSIONS), "documents": self.documents}
        return looked_at | {gate: found[gate] for gate in GATES}


def run_campaign(shapes, exemptions=None):
    """Render and judge every shape; returns the outcome."""
    exemptions = tomllib.loads(EXEMPTIONS.read_text()) if exemptions is None else exemptions
    outcome = Outcome(shapes=len(shapes))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        judged = list(pool.map(_judge_shape, shapes))
    for shape, (documents, found) in zip(shapes, judged, strict=True):
        spared = exemptions.get(shape.name, {})
        outcome.documents += documents
        outcome.exempted += [finding for finding in found if _is_spared(finding, spared)]
        outcome.findings += [finding for finding in found if not _is_spared(finding, spared)]
    outcome.findings += _unneeded(exemptions, outcome.exempted)
    return outcome


def _is_spared(finding, spared):
    """The schemas and the standard know no exemption, nor do lint and rendering."""
    return finding.gate in ("hardening", "release_rules") and finding.problem.rule in spared


def _unneeded(exemptions, exempted):
    used = {(finding.shape, finding.problem.rule) for finding in exempted}
    for shape, rules in exemptions.items():
        for rule in rules:
            if (shape, rule) not in used:
                problem = Problem(
                    "exemptions", EXEMPTIONS.name, shape, f'"{rule}" is exempted, and nothing breaks it'
                )
                yield Finding("release_rules", shape, "any", problem)


def _judge_shape(shape):
    """Return how many documents one shape has, and every finding: for all versions, and under a long name."""
    count, text, findings = 0, "", [*_linted(shape), *_under_a_long_name(shape)]
    for version in KUBE_VERSIONS:
        try:
            text = template(shape.values, kube_version=version, chart=shape.chart, strict=True)
            documents = documents_of(text)
        except (Refused, Unreadable) as refused:
            findings.append(_about_all("render", shape, version, str(refused)))
            text = ""
            continue
        count += len(documents)
        findings += [
            Finding(gate, shape.name, version, problem) for gate, problem in judge(documents, version)
        ]
    return count, findings + list(_rendered_alike(shape, version, text))


def _linted(shape):
    try:
        lint(shape.values, chart=shape.chart)
    except Refused as refused:
        yield _about_all("lint", shape, KUBE_VERSIONS[-1], str(refused))


def _rendered_alike(shape, version, text):
    """Render once more: what differs would be changed by an upgrade that changes nothing."""
    if text and template(shape.values, kube_version=version, chart=shape.chart) != text:
        yield _about_all("render", shape, version, "the same values were rendered twice, differently")


def _under_a_long_name(shape):
    version = KUBE_VERSIONS[-1]
    try:
        documents = documents_of(
            template(shape.values, kube_version=version, name=LONG_NAME, chart=shape.chart)
        )
    except (Refused, Unreadable) as refused:
        yield _about_all(
            "render", shape, version, f"with a release name of {len(LONG_NAME)} characters: {refused}"
        )
        return
    for gate, problem in judge(documents, version):
        if gate in ("invalid", "release_rules"):
            said = replace(problem, text=f"{problem.text} (with a long release name)")
            yield Finding(gate, shape.name, version, said)


def check_kube_version(chart):
    """Yield a finding unless the chart admits the oldest version that is looked at, and none before it."""
    stated = yaml.safe_load((chart / "Chart.yaml").read_text()).get("kubeVersion")
    wanted = f">={KUBE_VERSIONS[0]}.0-0"
    if stated != wanted:
        problem = Problem(
            "lint", "Chart.yaml", "kubeVersion", f'is "{stated}"; what is rendered here is "{wanted}"'
        )
        yield Finding("lint", "(every shape)", KUBE_VERSIONS[0], problem)


def _about_all(gate, shape, version, text):
    return Finding(gate, shape.name, version, Problem(gate, "(the chart)", "(all)", text))


def judge(documents, kube_version, namespace="broker"):
    """Yield gate and problem for everything that is wrong with these documents."""
    of_form = list(_of_form(documents, kube_version))
    yield from of_form
    if of_form:
        # The rules below read documents of the right form, and would stumble over others.
        return
    for pod in Release(documents, namespace).pods:
        yield from (("restricted_violations", problem) for problem in pod_security.violations(pod))
        yield from (("hardening", problem) for problem in hardening.violations(pod))
    for name, rule in RELEASE_RULES.items():
        for document, path, text in rule(Release(documents, namespace)):
            yield "release_rules", Problem(name, title(document), path, text)


def _of_form(documents, kube_version):
    for document in documents:
        try:
            yield from (("invalid", problem) for problem in validate(document, kube_version))
        except Unvalidated as missing:
            yield "unvalidated", Problem("schema", title(document), "kind", str(missing))
