"""What people are told of the settings is what the settings hold."""

import pytest

from service.cli import main
from service.settings.fields import SECRETS, env_name
from service.settings.load import load_settings
from service.settings.model import Values
from service.settings.reference import described_settings, settings_text
from tests.support.environment import environment

DESCRIBED = described_settings()


def test_no_setting_is_left_out():
    fields = [*SECRETS, *Values.model_fields]
    assert list(DESCRIBED) == [env_name(field) for field in fields]


@pytest.mark.parametrize("name", DESCRIBED)
def test_each_says_how_it_is_written_what_it_means_and_who_acts_on_it(name):
    setting = DESCRIBED[name]
    assert setting.form
    assert setting.meaning.endswith(".")
    assert setting.example
    assert setting.roles


@pytest.mark.parametrize("name", [name for name, setting in DESCRIBED.items() if setting.default])
def test_the_default_it_tells_is_the_default_there_is(name):
    field = name.removeprefix("TOKEN_BROKER_").lower()
    told = load_settings(environment(**{name: DESCRIBED[name].default}))
    assert getattr(told, field) == getattr(load_settings(environment()), field)


def test_a_role_is_told_of_what_it_acts_on_and_of_nothing_else():
    assert "TOKEN_BROKER_API_KEYS" in settings_text("serve")
    assert "TOKEN_BROKER_API_KEYS" not in settings_text("work")
    assert settings_text("migrate").count("TOKEN_BROKER_") == 1


@pytest.mark.parametrize("role", ["serve", "work", "migrate", "rewrap"])
def test_the_help_of_a_command_lists_its_settings(role, capsys):
    with pytest.raises(SystemExit):
        main([role, "--help"])
    assert settings_text(role) in capsys.readouterr().out
