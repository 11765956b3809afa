"""Where the tools come from: by hash, once, or named by the user; and what is said where they cannot run."""

import platform
import re
import sys

import pytest

from tests.chart import fetch, tools
from tests.chart.helm import Refused, render, run
from tests.chart.manifests import Unreadable, documents_of
from tests.chart.versions import KUBE_VERSIONS


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder for the tools, and a pip that is never called."""
    for name in ("TOOLS", "SCHEMAS", "STAMP"):
        monkeypatch.setattr(fetch, name, tmp_path / name.lower())
    monkeypatch.setattr(fetch, "_download", lambda *_, **__: pytest.fail("pip was called"))
    for variable in fetch.PROGRAMS:
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.mark.parametrize("lock", [fetch.WHEELS, fetch.SDISTS], ids=lambda path: path.name)
def test_every_download_is_pinned_by_hash_and_names_no_index(lock):
    stated = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]

    assert all(re.fullmatch(r"[\w-]+==[\d.]+ \\", line) for line in stated[::2])
    assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}", line) for line in stated[1::2])


@pytest.mark.parametrize(
    ("system", "machine"), [("darwin", "arm64"), ("linux", "aarch64"), ("win32", "AMD64")]
)
def test_another_platform_is_told_to_bring_its_own_programs(elsewhere, monkeypatch, capsys, system, machine):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)

    assert fetch.main() == 2
    assert "make chart HELM=/path/to/helm COMPOSE=/path/to/docker-compose" in capsys.readouterr().err


def test_a_program_that_the_user_names_is_not_asked_for_elsewhere(elsewhere, monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("HELM", "/opt/helm")

    assert fetch.main() == 2
    assert "make chart COMPOSE=/path/to/docker-compose\n" in capsys.readouterr().err


def test_a_program_that_the_user_names_goes_first(monkeypatch):
    monkeypatch.setenv("HELM", sys.executable)

    assert tools.helm() == sys.executable


def test_what_is_missing_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "TOOLS", tmp_path)
    monkeypatch.setattr(tools, "SCHEMAS", tmp_path)
    for variable in fetch.PROGRAMS:
        monkeypatch.delenv(variable, raising=False)

    said = tools.missing_tools(KUBE_VERSIONS)

    assert len(said) == 2 + len(KUBE_VERSIONS)
    assert all("`make chart` fetches" in sentence for sentence in said)


def test_a_refusal_is_helms_own_message(tmp_path):
    with pytest.raises(Refused, match=r"Chart\.yaml"):
        render(chart=tmp_path)


def test_helm_is_a_real_one():
    assert run("version", "--template", "{{ .Version }}").startswith("v4.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: {c: 1, c: 2}\n", "the key c is given twice"),
        ("apiVersion: v1\nkind: Secret\n", "no apiVersion, kind and metadata"),
        ("- a\n", "no apiVersion, kind and metadata"),
        ("a: [", "while parsing"),
    ],
)
def test_what_is_no_list_of_objects_is_unreadable(text, said):
    with pytest.raises(Unreadable, match=said):
        documents_of(text)


def test_an_empty_document_is_none():
    assert documents_of("---\n# nothing\n---\n") == []
