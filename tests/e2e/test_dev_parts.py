"""The parts of a run that can be tried alone: what is kept, what is asked for, which ports are free."""

import json
import re
import socket
from dataclasses import asdict

import pytest

from sandbox.calcom import Sandbox, SandboxClient, SandboxConfig
from sandbox.dev import memory
from sandbox.dev.environment import ignored
from sandbox.dev.home import home_of, write_private
from sandbox.dev.plan import Plan, RealUpstream, WrongUsage
from sandbox.dev.ports import Ports, complaints
from sandbox.dev.terminal import greet

CLIENT = "sandbox-client"


def sandbox():
    return Sandbox(SandboxConfig(clients=(SandboxClient(CLIENT, "secret"),)))


def test_the_sandboxs_users_and_tokens_survive_in_a_new_one():
    old, new = sandbox(), sandbox()
    _, gone = old.create_user(CLIENT, "first@example.com")
    old.delete_user(gone.access.user_id)
    user, pair = old.create_user(CLIENT, "ada@example.com", "Ada")
    assert memory.load(new.state, CLIENT, memory.dump(old.state, CLIENT)) == 1
    assert new.user(user.id) == old.user(user.id)
    assert (new.is_live(pair.access.secret), new.is_usable(pair.refresh.secret)) == (True, True)


def test_an_id_that_was_used_is_never_given_again():
    old, new = sandbox(), sandbox()
    user, _ = old.create_user(CLIENT, "ada@example.com")
    memory.load(new.state, CLIENT, memory.dump(old.state, CLIENT))
    assert new.create_user(CLIENT, "bob@example.com")[0].id == user.id + 1


def test_an_expired_token_of_an_earlier_run_is_purged_in_the_next():
    old, new = sandbox(), sandbox()
    user, pair = old.create_user(CLIENT, "ada@example.com")
    old.expire(user.id)
    memory.load(new.state, CLIENT, memory.dump(old.state, CLIENT))
    assert new.purge(CLIENT) == 1
    assert not new.is_live(pair.access.secret)


def test_without_credentials_there_is_the_sandbox_and_with_both_the_real_one():
    assert RealUpstream.of({"CAL_API_URL": "https://api.example.com/v2"}) is None
    real = RealUpstream.of({"CAL_OAUTH_CLIENT_ID": "id", "X_CAL_SECRET_KEY": "very-secret"})
    assert (real.api_url, real.client_id) == ("https://api.cal.com/v2", "id")
    assert "very-secret" not in repr(real)


def test_the_secret_may_come_from_a_file():
    given = {"CAL_OAUTH_CLIENT_ID": "id", "X_CAL_SECRET_KEY_FILE": "/run/secret"}
    assert RealUpstream.of(given).variables["X_CAL_SECRET_KEY_FILE"] == "/run/secret"


@pytest.mark.parametrize(
    ("half", "missing"),
    [({"CAL_OAUTH_CLIENT_ID": "id"}, "X_CAL_SECRET_KEY"), ({"X_CAL_SECRET_KEY": "x"}, "CAL_OAUTH_CLIENT_ID")],
)
def test_half_of_the_credentials_names_the_other_half(half, missing):
    with pytest.raises(WrongUsage, match=f"^{missing} is missing"):
        RealUpstream.of(half)


def test_free_ports_are_no_reason_to_complain():
    assert complaints(Ports.free()) == []


def test_a_taken_port_is_named_with_its_use_its_holder_and_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        (said,) = complaints(Ports(port, *vars_of(Ports.free())[1:]))
    assert said.why.startswith(f"Port {port}, for the demo page and the sandbox Cal.com, is taken")
    assert re.fullmatch(r"--port \d+", said.instead)


def vars_of(ports):
    return [getattr(ports, name) for name in Ports.__slots__]


def test_the_brokers_settings_around_a_run_are_named_and_not_taken_over():
    assert ignored({"TOKEN_BROKER_REDIS_URL": "x", "PATH": "/bin"}) == ["TOKEN_BROKER_REDIS_URL"]


def test_a_kept_folder_opens_with_the_keys_it_was_made_with(tmp_path):
    plan = Plan(keep=tmp_path / "kept")
    with home_of(plan) as first, home_of(plan) as again:
        assert (first.keys, first.old, again.old) == (again.keys, False, True)
    assert (tmp_path / "kept" / "run.json").stat().st_mode & 0o077 == 0


def test_a_folder_of_an_earlier_release_opens_without_a_key_for_the_person(tmp_path):
    plan = Plan(keep=tmp_path / "kept")
    with home_of(plan) as first:
        kept = {name: value for name, value in asdict(first.keys).items() if name != "operator"}
    write_private(tmp_path / "kept" / "run.json", json.dumps(kept).encode())
    with home_of(plan) as again:
        assert again.keys.backend == first.keys.backend
        assert again.keys.operator


def test_whoever_starts_a_run_is_told_where_the_operator_page_is_and_the_key_for_it(tmp_path, capsys):
    with home_of(Plan(keep=tmp_path / "kept")) as home:
        greet(Plan(), home.keys)
    said = capsys.readouterr().out
    assert re.search(rf"operator page +http://127.0.0.1:\d+/  key: {home.keys.operator}\n", said)
    assert home.keys.backend not in said


def test_a_folder_of_the_sandboxs_users_is_not_opened_with_the_real_calcom(tmp_path):
    with home_of(Plan(keep=tmp_path / "kept")):
        pass
    real = RealUpstream("https://api.cal.com/v2", "id", {})
    with (
        pytest.raises(WrongUsage, match="each in a folder of its own"),
        home_of(Plan(keep=tmp_path / "kept", real=real)),
    ):
        pass


def test_damaged_keys_are_no_reason_to_make_new_ones(tmp_path):
    write_private(tmp_path / "run.json", b"{")
    with pytest.raises(WrongUsage, match="is damaged"), home_of(Plan(keep=tmp_path)):
        pass
