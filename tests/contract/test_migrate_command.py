"""The command `token-broker migrate`: what it prints, what it returns, and that a dry run changes nothing."""

import pytest

from service.cli import main
from sql.files import read
from tests.support.environment import environment

NAMES = [migration.name for migration in read()]


@pytest.fixture
def command(empty_database_url, monkeypatch, capsys):
    """Runs the command on an empty database; gives its exit code and what it wrote."""
    monkeypatch.setenv("TOKEN_BROKER_DATABASE_URL", empty_database_url)

    def run(*options):
        code = main(["migrate", *options])
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


def test_it_names_what_it_applied_and_then_has_nothing_to_apply(command):
    assert command() == (0, "".join(f"applied {name}\n" for name in NAMES), "")
    assert command() == (0, "nothing to apply\n", "")


def test_a_dry_run_names_what_would_be_applied_and_applies_nothing(command):
    would = "".join(f"would apply {name}\n" for name in NAMES)
    assert [command("--dry-run"), command("--dry-run")] == [(0, would, "")] * 2
    command()
    assert command("--dry-run") == (0, "nothing to apply\n", "")


def test_a_database_that_is_not_there_is_said_at_once_and_nothing_secret_with_it(monkeypatch, capsys):
    for name, value in environment(DATABASE_URL="postgresql://broker:hidden@127.0.0.1:1/broker").items():
        monkeypatch.setenv(name, value)
    assert main(["migrate"]) == 1
    said = capsys.readouterr().err
    assert "the database cannot be reached" in said
    assert "hidden" not in said


def test_a_duration_that_is_none_is_wrong_usage(command, capsys):
    with pytest.raises(SystemExit) as refused:
        command("--wait", "soon")
    assert refused.value.code == 2
    assert "like 90s or 5m" in capsys.readouterr().err
