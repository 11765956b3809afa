"""The command `token-broker doctor`: what it prints and returns, that it ends, and shows no secret."""

import asyncio
import json
import socket
import sys
import time

import pytest

from service.cli import main
from service.doctor import command
from service.doctor.findings import Finding, State, doubtful, fine, unseen, wrong
from service.doctor.report import as_json, as_table
from service.settings import inspect_settings
from tests.support.environment import environment, key_of

PASSWORDS = ("database-password", "redis-password", "hush-of-client-1", key_of("e"), key_of("f"))
SOME = [
    fine("settings", "all can be used"),
    doubtful("origins", "a page may ask over plain http", "Serve it over https."),
    wrong("postgres.writable", "it takes no writes", "Have it lead to the primary."),
    unseen("redis.policy", "not known"),
]


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command where everything is down; gives its exit code and what it wrote."""

    async def run(*options, **changes):
        here = dict.fromkeys(("PUBLIC_ADDRESS", "INTERNAL_ADDRESS", "OBSERVE_ADDRESS"), "127.0.0.1:0")
        everything_down = {
            "DATABASE_URL": "postgresql://broker:database-password@127.0.0.1:1/broker",
            "REDIS_URL": "redis://:redis-password@127.0.0.1:1/0",
            "CAL_API_URL": "http://127.0.0.1:1/v2",
        }
        for name, value in environment(**{**here, **everything_down, **changes}).items():
            monkeypatch.setenv(name, value)
        code = await asyncio.to_thread(main, ["doctor", *options])
        return code, capsys.readouterr().out

    return run


async def test_with_everything_down_each_of_them_is_named_with_its_mend(run):
    code, said = await run("--json")
    told = json.loads(said)
    down = {one["check"] for one in told["findings"] if one["state"] == "wrong"}
    assert (code, told["code"]) == (1, 1)
    assert down == {"postgres.reachable", "redis.reachable", "upstream.default"}
    assert all(one["mend"] for one in told["findings"] if one["state"] in {"wrong", "doubtful"})


async def test_with_everything_down_and_the_settings_wrong_it_says_both(run):
    code, said = await run("--json", LEASE_TTL="1s", ALLOWED_ORIGINS="*", ENCRYPTION_KEYS="e1:short")
    found = {one["check"] for one in json.loads(said)["findings"] if one["state"] == "wrong"}
    assert code == 2
    assert found == {
        "settings",
        "timeouts",
        "origins",
        "postgres.reachable",
        "redis.reachable",
        "upstream.default",
    }


async def test_without_any_setting_it_says_what_is_missing(run):
    nothing = dict.fromkeys(("CAL_API_URL", *environment()))
    code, said = await run("--json", **nothing)
    states = {one["check"]: one["state"] for one in json.loads(said)["findings"]}
    assert code == 2
    assert {states[name] for name in ("postgres", "redis", "upstream.default")} == {"unseen"}


async def test_no_secret_is_shown(run):
    _, said = await run()
    _, object_ = await run("--json", ENCRYPTION_KEYS=f"e1:{key_of('e')},e1:{key_of('f')}")
    assert [secret for secret in PASSWORDS if secret in said + object_] == []


def test_a_secret_that_got_into_a_finding_is_blotted_out():
    settings, _ = inspect_settings(environment(), role="serve")
    text = as_table([wrong("x", "user broker:database-password@db", f"the key is {key_of('e')}")], 100)
    clean = command.without_secrets(text, settings)
    assert [secret for secret in PASSWORDS if secret in clean] == []
    assert "[redacted]" in clean


async def test_what_never_answers_is_given_up_in_time(run):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        began_s = time.monotonic()
        code, said = await run(
            "--json",
            "--within",
            "2s",
            DATABASE_URL=f"postgresql://broker:hush-hush@{at}/broker",
            REDIS_URL=f"redis://{at}/0",
            CAL_API_URL=f"http://{at}/v2",
        )
        took_s = time.monotonic() - began_s
    down = {one["check"].split(".")[0] for one in json.loads(said)["findings"] if one["state"] == "wrong"}
    assert (code, down) == (1, {"postgres", "redis", "upstream"})
    assert took_s < 4


async def test_an_examination_that_breaks_hides_no_other(monkeypatch, run):
    async def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(command, "examine_redis", broken)
    _, said = await run("--json")
    [found] = [one for one in json.loads(said)["findings"] if one["check"] == "redis"]
    assert found["what"] == "the examination broke off (ZeroDivisionError)"
    assert "postgres.reachable" in said


async def test_a_worker_need_not_have_what_only_the_service_needs(run):
    code, said = await run("--role", "work", "--json", API_KEYS=None, INTERNAL_ADDRESS="0.0.0.0:1")
    checks = {one["check"] for one in json.loads(said)["findings"]}
    assert code == 1
    assert "listeners.observe" in checks
    assert not checks & {"listeners.public", "listeners.internal", "origins"}


@pytest.mark.parametrize("options", [["--role", "nobody"], ["--within", "soon"], ["--what"]])
def test_a_wrong_option_is_wrong_usage(options):
    with pytest.raises(SystemExit) as refused:
        main(["doctor", *options])
    assert refused.value.code == 2


def test_the_table_has_a_row_for_each_its_mend_below_and_a_count():
    assert as_table(SOME, 80).splitlines() == [
        "fine      settings           all can be used",
        "DOUBTFUL  origins            a page may ask over plain http",
        "                             mend: Serve it over https.",
        "WRONG     postgres.writable  it takes no writes",
        "                             mend: Have it lead to the primary.",
        "not seen  redis.policy       not known",
        "",
        "1 wrong, 1 doubtful, 1 unseen, 1 fine",
    ]


def test_the_object_has_the_same():
    told = json.loads(as_json(SOME, 1))
    assert told["counts"] == {"fine": 1, "doubtful": 1, "wrong": 1, "unseen": 1}
    assert told["findings"][2] == {
        "check": "postgres.writable",
        "state": "wrong",
        "what": "it takes no writes",
        "mend": "Have it lead to the primary.",
    }


@pytest.mark.parametrize(
    ("state", "problems", "code"), [(State.WRONG, [], 1), (State.DOUBTFUL, [], 0), (State.FINE, ["x"], 2)]
)
def test_only_what_is_wrong_makes_it_fail(state, problems, code):
    assert command.exit_code([Finding("x", state, "y")], problems) == code


HELD_UP = """
import socket, sys, time
def never(*_, **__):
    time.sleep(60)
socket.getaddrinfo = never
from service.cli import main
sys.exit(main(["doctor", "--json", "--within", "1s"]))
"""


async def test_names_that_no_server_resolves_do_not_keep_it():
    nowhere = {
        "DATABASE_URL": "postgresql://broker:hush-hush@db.nowhere/broker",
        "REDIS_URL": "redis://nowhere/0",
    }
    env = environment(**nowhere, CAL_API_URL="https://api.nowhere/v2", OBSERVE_ADDRESS="127.0.0.1:0")
    began_s = time.monotonic()
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HELD_UP, env=env | {"PATH": "/usr/bin"}, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await program.communicate()
    assert program.returncode == 1
    assert json.loads(said)["counts"]["wrong"] >= 3
    assert time.monotonic() - began_s < 15
