"""`helm test`: the pod's own program, asking the real doors what a stranger may and may not have."""

import asyncio
import importlib.util

import pytest

from service.adapters.listener_tls import ListenerTls, TlsFiles
from tests.chart.found import Rendered, shape
from tests.chart.helm import CHART
from tests.chart.release import HOOK
from tests.support.certificates import Authority, Mount
from tests.support.doors import Notes, open_house

_SPEC = importlib.util.spec_from_file_location("answers", CHART / "files" / "answers.py")
answers = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(answers)


@pytest.fixture
async def house():
    async with open_house() as house:
        yield house


def questions_to(house):
    return [
        f"alive={house.url('observe', '/healthz')}",
        f"ready={house.url('observe', '/readyz')}",
        f"refresh={house.url('public', '/refresh')}",
        f"internal={house.url('internal', '/v1/users')}",
    ]


async def asked(questions, monkeypatch, capsys):
    """Return exit code and lines; nobody is waited for."""
    monkeypatch.setattr(answers, "PATIENCE_S", 0)
    code = await asyncio.to_thread(answers.main, questions)
    return code, capsys.readouterr().out.splitlines()


async def test_doors_that_let_no_stranger_in_are_right(house, monkeypatch, capsys):
    code, lines = await asked(questions_to(house), monkeypatch, capsys)
    assert code == 0
    assert [line.split()[:2] for line in lines] == [
        ["right", what] for what in ("alive", "ready", "refresh", "internal")
    ]


async def test_a_pod_that_is_draining_is_not_ready(house, monkeypatch, capsys):
    house.ready.draining = True
    code, lines = await asked(questions_to(house)[1:2], monkeypatch, capsys)
    assert code == 1
    assert lines[0].startswith("WRONG ready")
    assert "503" in lines[0]


async def test_another_door_behind_the_name_is_noticed(house, monkeypatch, capsys):
    swapped = [f"refresh={house.url('internal', '/v1/users')}", f"internal={house.url('public', '/refresh')}"]
    code, lines = await asked(swapped, monkeypatch, capsys)
    assert code == 1
    assert all("a stranger must be refused" in line for line in lines)


@pytest.fixture
def tls(tmp_path):
    """Return a function: the internal listener's TLS, with authorities of callers or without."""

    authority, mount = Authority(), Mount(tmp_path)
    mount.put(authority.issue("IP:127.0.0.1"), authority.certificate)

    def of(*, mutual):
        files = TlsFiles(mount["tls.crt"], mount["tls.key"], mount["ca.crt"] if mutual else None)
        return ListenerTls(files, Notes()).context

    return of


async def asked_with_tls(context, what, monkeypatch, capsys):
    async with open_house(internal_tls=context) as house:
        url = house.url("internal", "/v1/users").replace("http:", "https:")
        return await asked([f"{what}={url}"], monkeypatch, capsys)


async def test_a_listener_with_tls_is_asked_as_one_without(tls, monkeypatch, capsys):
    code, _ = await asked_with_tls(tls(mutual=False), "internal", monkeypatch, capsys)
    assert code == 0


async def test_one_that_answers_whoever_has_no_certificate_is_noticed(tls, monkeypatch, capsys):
    code, lines = await asked_with_tls(tls(mutual=False), "certified", monkeypatch, capsys)
    assert code == 1
    assert "a stranger without a certificate was answered" in lines[0]


@pytest.mark.parametrize(("what", "code"), [("certified", 0), ("internal", 1)])
async def test_one_that_wants_certificates_says_nothing_to_a_stranger(tls, monkeypatch, capsys, what, code):
    assert (await asked_with_tls(tls(mutual=True), what, monkeypatch, capsys))[0] == code


async def test_a_listener_without_tls_is_not_taken_for_one_with(house, monkeypatch, capsys):
    url = house.url("internal").replace("http:", "https:")
    assert (await asked([f"certified={url}"], monkeypatch, capsys))[0] == 1


async def test_a_door_that_is_shut_is_wrong_and_so_is_asking_nothing(house, monkeypatch, capsys):
    questions = questions_to(house)[:1]
    await house.listeners.close()
    assert (await asked(questions, monkeypatch, capsys))[0] == 1
    assert (await asked([], monkeypatch, capsys))[0] == 1


def test_the_pod_asks_every_door_of_the_release_by_its_services_name():
    rendered = Rendered({"config": {"PUBLIC_PATH": "/api/cal/refresh"}})
    container = rendered.container("test")
    program, *questions = container["args"]
    assert program == (CHART / "files" / "answers.py").read_text().rstrip() + "\n"
    assert container["command"] == ["python3", "-c"]
    hosts = {question.partition("://")[2].partition(":")[0] for question in questions}
    assert hosts <= set(rendered.names("Service"))
    assert "refresh=http://broker-token-broker-public:80/api/cal/refresh" in questions
    assert len(questions) == 6


def test_beside_an_app_it_asks_the_worker():
    _, *questions = Rendered(values=shape("sidecar")).container("test")["args"]
    assert [question.partition("=")[0] for question in questions] == ["alive", "ready"]


def test_it_need_not_be_there():
    assert Rendered({"tests": {"enabled": False}}).all("Pod") == []


def test_the_pod_is_there_until_the_next_test_so_that_its_lines_can_be_read():
    annotations = Rendered().pod_of("test")["metadata"]["annotations"]
    assert annotations == {HOOK: "test", f"{HOOK}-delete-policy": "before-hook-creation"}
