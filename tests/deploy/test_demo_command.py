"""`python3 -m sandbox.demo`: what the Compose file starts beside a broker that runs elsewhere."""

import pytest

from sandbox.demo import __main__ as demo

HERE = {"CAL_API_URL": "http://demo:8000/v2"}


@pytest.fixture
def arguments(tmp_path):
    """A complete command line, with its secrets in files."""
    for name in ("key", "secret"):
        (tmp_path / name).write_text(f"a {name}\n")
    return [
        "--port=8000", "--public-url=http://service:8080", "--internal-url=http://service:8081",
        "--shown-url=http://127.0.0.1:8081", f"--api-key-file={tmp_path}/key",
        f"--client-secret-file={tmp_path}/secret", f"--data={tmp_path}",
    ]  # fmt: skip


@pytest.mark.parametrize("elsewhere", ["", "https://api.cal.com/v2", "http://demo:8001/v2"])
def test_beside_a_broker_of_another_calcom_it_starts_nothing(arguments, capsys, elsewhere):
    assert demo.main(arguments, {"CAL_API_URL": elsewhere}) == 2
    assert "deploy/demo.env" in capsys.readouterr().err


def test_a_secret_that_is_missing_is_named_with_what_makes_it(arguments, tmp_path, capsys):
    (tmp_path / "key").unlink()
    assert demo.main(arguments, HERE) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path}/key" in said
    assert "deploy/secrets.sh --demo" in said


def test_its_user_is_the_same_after_a_restart(arguments):
    first, second = (demo._home(demo._arguments(arguments)).keys for _ in range(2))
    assert (first.suffix, first.backend, first.client_secret) == (second.suffix, "a key", "a secret")
