"""`python -m tests.chart` on a small chart: green when all is well, red for each thing that can be wrong."""

import json

import pytest

from tests.chart.__main__ import main
from tests.chart.campaign import check_kube_version, run_campaign
from tests.chart.samples import changed, good, of, pod_of, small_chart
from tests.chart.shapes import all_shapes
from tests.chart.tools import Missing, missing_tools
from tests.chart.versions import KUBE_VERSIONS

FIRST = ["shapes", "kube_versions", "documents", "unvalidated", "invalid", "restricted_violations"]
STRANGER = {"apiVersion": "example.com/v1", "kind": "Stranger", "metadata": {"name": "web"}}
LONG = "{{ .Release.Name }}-with-more"
POD = "spec template spec"
# What is broken, the figure that counts it, and what the finding must say.
BROKEN = [
    ("Deployment", "spec replica", 2, "invalid", "Deployment/web spec: "),
    (
        "Deployment",
        f"{POD} hostNetwork",
        True,
        "restricted_violations",
        "Deployment/web spec.template.spec.hostNetwork",
    ),
    ("Deployment", f"{POD} enableServiceLinks", True, "hardening", "spec.template.spec.enableServiceLinks"),
    ("Service", "spec selector", {"app": "a"}, "release_rules", "Service/web spec.selector: selects no pod"),
]
# What a template may do that no document shows.
TEMPLATES = [
    ('{{ fail "no good" }}', "render", "no good"),
    ("# {{ randAlphaNum 12 }}\n", "render", "rendered twice, differently"),
    ("---\na: 1\na: 2\n", "render", "given twice"),
    ("---\nkind: Secret\n", "render", "no apiVersion"),
    ("{{ .Values.a.b }}", "lint", "nil pointer"),
    ("---\n" + json.dumps(STRANGER), "unvalidated", "no schema for example.com/v1 Stranger"),
    (
        "---\n" + json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": LONG}}),
        "release_rules",
        "(with a long release name)",
    ),
]


def run(arguments):
    """Run it, where its tools are there; returns the exit code."""
    if missing := missing_tools(KUBE_VERSIONS):
        raise Missing(" ".join(missing))
    return main(arguments)


def outcome(capsys, arguments):
    """Run it; returns exit code, figures and the lines before them."""
    code = run(arguments)
    *lines, last = capsys.readouterr().out.splitlines()
    return code, json.loads(last), "\n".join(lines)


def test_a_good_chart_passes_and_the_last_line_is_its_figures(tmp_path, capsys):
    code, figures, said = outcome(capsys, small_chart(tmp_path, good()))

    assert (code, said) == (0, "")
    assert list(figures)[: len(FIRST)] == FIRST
    assert [figures[name] for name in FIRST] == [1, 3, 3 * len(good()), 0, 0, 0]


@pytest.mark.parametrize(("kind", "path", "value", "gate", "finding"), BROKEN)
def test_a_broken_manifest_turns_its_gate_red(tmp_path, capsys, kind, path, value, gate, finding):
    documents = good()
    changed(of(documents, kind), path, value)

    code, figures, said = outcome(capsys, small_chart(tmp_path, documents))

    assert code == 1
    assert figures[gate] >= 3
    assert f"everything-on, Kubernetes 1.30: {finding}" in said or finding in said
    assert "Kubernetes 1.37" in said


@pytest.mark.parametrize(("template", "gate", "finding"), TEMPLATES)
def test_a_template_that_misbehaves_turns_its_gate_red(tmp_path, capsys, template, gate, finding):
    code, figures, said = outcome(capsys, small_chart(tmp_path, good(), template=template))

    assert code == 1
    assert figures[gate] >= 1
    assert finding in said


def test_a_value_that_nobody_refuses_is_a_finding(tmp_path, capsys):
    code, figures, said = outcome(capsys, small_chart(tmp_path, good(), strict=False))

    assert code == 1
    assert figures["wrong_values_tried"] == figures["wrong_values_taken"] == 2
    assert "replicas" in said
    assert "noSuchValue" in said


def test_a_chart_that_admits_a_version_nobody_looks_at_is_a_finding(tmp_path):
    small_chart(tmp_path, [])
    about = tmp_path / "chart" / "Chart.yaml"
    about.write_text(about.read_text().replace("1.30", "1.25"))

    assert [str(finding) for finding in check_kube_version(tmp_path / "chart")] == [
        "(every shape), Kubernetes 1.30: Chart.yaml kubeVersion:"
        ' is ">=1.25.0-0"; what is rendered here is ">=1.30.0-0" [lint]'
    ]


def test_a_compose_file_that_is_not_there_is_a_finding(tmp_path, capsys):
    arguments = small_chart(tmp_path, good())
    (tmp_path / "compose.yml").unlink()

    code, figures, said = outcome(capsys, arguments)

    assert (code, figures["compose"]) == (1, 1)
    assert "compose.yml (the file): is not there" in said


def test_without_a_shape_nothing_was_shown(tmp_path, capsys):
    arguments = small_chart(tmp_path, good())
    (tmp_path / "shapes" / "everything-on.yaml").unlink()

    assert run(arguments) == 1
    assert "there is no shape in" in capsys.readouterr().err


def test_an_example_chart_is_a_shape_and_leaves_nothing_behind(tmp_path, capsys):
    arguments = small_chart(tmp_path, good())
    example = tmp_path / "chart" / "examples" / "app"
    (example / "templates").mkdir(parents=True)
    needs = '[{"name": "web", "version": "1.0.0", "repository": "file://../.."}]'
    (example / "Chart.yaml").write_text(f"apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies: {needs}\n")
    before = sorted(tmp_path.rglob("*"))

    _, figures, _ = outcome(capsys, arguments)

    assert (figures["shapes"], figures["documents"]) == (2, 6 * len(good()))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def shapes_with_two_breaches(tmp_path):
    """A shape that breaks one of our own rules, and the standard."""
    documents = good()
    changed(pod_of(documents).spec, "enableServiceLinks", True)
    changed(pod_of(documents).spec, "hostNetwork", True)
    small_chart(tmp_path, documents)
    with all_shapes(tmp_path / "chart", tmp_path / "shapes") as found:
        yield found


def test_an_exemption_spares_a_rule_of_ours_in_that_shape(shapes_with_two_breaches):
    judged = run_campaign(
        shapes_with_two_breaches, {"everything-on": {"hardening: no service links": "a reason"}}
    )

    assert {each.problem.rule for each in judged.exempted} == {"hardening: no service links"}
    assert {each.gate for each in judged.findings} == {"restricted_violations"}


def test_the_standard_knows_no_exemption(shapes_with_two_breaches):
    judged = run_campaign(
        shapes_with_two_breaches, {"everything-on": {"baseline: host namespaces": "a reason"}}
    )

    assert judged.figures()["restricted_violations"] == 3
    assert judged.exempted == []


def test_an_exemption_that_nothing_needs_is_a_finding(shapes_with_two_breaches):
    judged = run_campaign(shapes_with_two_breaches, {"everything-on": {"manners: labels": "a reason"}})

    assert any("manners: labels" in str(finding) for finding in judged.findings)


def test_a_missing_tool_is_named_before_anything_is_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HELM", str(tmp_path / "no-helm"))

    assert main(small_chart(tmp_path, good())) == 2
    assert f"HELM={tmp_path / 'no-helm'} is no program that can be run" in capsys.readouterr().err
