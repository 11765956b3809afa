"""The commands of the pages that need nothing but Helm are typed here, in order and unchanged."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.adapters.service_accounts import BOUNDS
from service.adapters.signed import AUDIENCE
from tests.chart.helm import render
from tests.chart.manifests import documents_of
from tests.chart.tools import HELM_HOMES, ROOT, helm

PAGE = ROOT / "docs" / "kubernetes.md"
RUN = ("needs Helm", "your own values")
_BLOCK = re.compile(r"<!-- (?P<mark>[^>]+) -->\n```sh\n(?P<commands>.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """Return the folder in which the page's commands were typed, and what they wrote."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "helm", folder / "helm")
    (folder / "bin").mkdir()
    (folder / "bin" / "helm").symlink_to(Path(helm()).resolve())
    commands = [found["commands"] for found in _BLOCK.finditer(PAGE.read_text()) if found["mark"] in RUN]
    ended = subprocess.run(
        ["/bin/sh", "-eu"],
        input="\n".join(commands),
        cwd=folder,
        env=HELM_HOMES | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return folder, ended.stdout


def test_the_page_has_commands_that_are_typed():
    marks = [found["mark"] for found in _BLOCK.finditer(PAGE.read_text())]
    assert {"needs Helm", "your own values", "needs a cluster", "needs a container engine"} == set(marks)


def test_the_pages_values_render_the_release_that_it_tells_of(typed):
    folder, _ = typed
    documents = documents_of((folder / "rendered.yaml").read_text())
    names = {(document["kind"], document["metadata"]["name"]) for document in documents}
    assert {
        ("Service", "token-broker-internal"),
        ("Ingress", "token-broker-public"),
        ("Job", "token-broker-migrate"),
    } <= names


def test_its_secrets_are_those_that_the_pods_mount(typed):
    folder, _ = typed
    made = {path.name for path in (folder / "secrets").iterdir()}
    assert made == {
        "DATABASE_URL",
        "REDIS_URL",
        "ENCRYPTION_KEYS",
        "FINGERPRINT_KEYS",
        "API_KEYS",
        "X_CAL_SECRET_KEY",
    }


def test_its_sidecar_is_rendered_into_the_apps_pod(typed):
    folder, said = typed
    assert "http://127.0.0.1:18081" in said
    assert any(
        each["metadata"]["name"] == "shop-app"
        for each in documents_of((folder / "with-sidecar.yaml").read_text())
    )


def shown_on_the_page(kind):
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    documents = [document for block in blocks for document in yaml.safe_load_all(block)]
    return [document for document in documents if document.get("kind") == kind]


def test_its_callers_are_told_to_the_service_as_they_are_shown(typed):
    _, said = typed
    assert 'value: "app/backend,app/reports:users:read+tokens:read"' in said
    assert 'value: "spiffe://cluster.local/ns/app/sa/backend"' in said


def test_the_token_of_its_callers_pod_is_one_that_counts():
    (pod,) = shown_on_the_page("Pod")
    (source,) = pod["spec"]["volumes"][0]["projected"]["sources"]
    token = source["serviceAccountToken"]
    assert token["audience"] == AUDIENCE
    assert token["expirationSeconds"] <= BOUNDS.longest_life_s
    assert pod["spec"]["containers"][0]["volumeMounts"][0]["name"] == pod["spec"]["volumes"][0]["name"]


def test_its_certificates_are_those_that_the_values_name(typed):
    folder, _ = typed
    values = yaml.safe_load((folder / "internal-tls.yaml").read_text())
    served, shown = shown_on_the_page("Certificate")
    assert served["spec"]["secretName"] == values["internalTls"]["existingSecret"]
    assert shown["spec"]["uris"] == [caller["name"] for caller in values["callers"]["certificates"]]


def values_shown():
    page = (ROOT / "helm" / "README.md").read_text()
    shown = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    return [yaml.safe_load(each.replace("sha256:...", "sha256:" + "0" * 64)) for each in shown]


@pytest.mark.parametrize("values", values_shown(), ids=min)
def test_the_values_in_the_charts_own_page_are_taken(values):
    image = {"repository": "registry.example.com/token-broker"}
    assert render({"image": image} | values)


def test_the_charts_own_page_shows_what_there_is_to_choose():
    shown = [values.keys() for values in values_shown()]
    for choice in ("ingress", "externalSecret", "clients"):
        assert any(choice in values for values in shown)
