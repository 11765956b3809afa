"""Several OAuth clients out of one TOML file."""

from datetime import timedelta

import pytest

from service.settings import ConfigurationError, Rate, load_settings
from tests.support.environment import environment

ALONE = {"CAL_OAUTH_CLIENT_ID": None, "X_CAL_SECRET_KEY": None}


@pytest.fixture
def load(tmp_path):
    """Loads the settings with this text as the clients' file."""

    def load(text, **changes):
        (tmp_path / "clients.toml").write_text(text, encoding="utf-8")
        env = environment(CLIENTS_FILE=str(tmp_path / "clients.toml"), **{**ALONE, **changes})
        return load_settings(env)

    return load


@pytest.fixture
def complain(load):
    """The lines that this file is refused with."""

    def complain(text):
        with pytest.raises(ConfigurationError) as refused:
            load(text)
        return str(refused.value).splitlines()

    return complain


def table(**changes):
    """One client's table, complete; None leaves a key out."""
    keys = {"name": '"acme"', "id": '"client-a"', "secret": '"secret-of-acme"', **changes}
    return "[[clients]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items() if value is not None)


def test_a_client_has_the_defaults_of_the_environment(load):
    (client,) = load(table(), UPSTREAM_RATE="9/s", ALLOWED_ORIGINS="https://one.example").clients
    assert (client.name, client.kind, client.id, client.secret.value) == (
        "acme", "calcom-platform", "client-a", ("secret-of-acme",),
    )  # fmt: skip
    assert (client.api_url, client.rate) == ("https://api.cal.com/v2", Rate(9, timedelta(seconds=1)))
    assert client.origins == ("https://one.example",)


def test_a_client_may_have_everything_of_its_own(load):
    own = table(api_url='"https://cal.acme.example/v2/"', rate='"5/s"', origins='["https://acme.example"]')
    settings = load(own, ALLOWED_ORIGINS="https://one.example")
    (client,) = settings.clients
    assert (client.api_url, client.rate.count) == ("https://cal.acme.example/v2", 5)
    assert client.origins == ("https://acme.example",)
    assert settings.public_origins == {"https://one.example", "https://acme.example"}


def test_a_secret_file_lies_beside_the_clients_file(load, tmp_path):
    (tmp_path / "acme.secret").write_text("from-the-file\n")
    settings = load(table(secret=None, secret_file='"acme.secret"'))
    assert settings.clients[0].secret.value == ("from-the-file",)


def test_a_clients_secret_can_change_while_running(load, tmp_path):
    (tmp_path / "acme.secret").write_text("first")
    settings = load(table(secret=None, secret_file='"acme.secret"'))
    (tmp_path / "acme.secret").write_text("second")
    assert settings.recheck_secrets(pytest.fail) == ("TOKEN_BROKER_CLIENTS_FILE, client acme, secret_file",)
    assert settings.clients[0].secret.value == ("second",)


FILE = "TOKEN_BROKER_CLIENTS_FILE"


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("", f"{FILE}: must hold one [[clients]] table for each client"),
        ("[clients]\nname = 'a'", f"{FILE}: must hold one [[clients]] table"),
        ("clients = [1]", f"{FILE}: must hold one [[clients]] table"),
        ("clients = []", f"{FILE}: must hold one [[clients]] table"),
        (table() + "[other]\n", f"{FILE}: must hold one [[clients]] table"),
        ("[[clients]", f"{FILE}: is not TOML: "),
        (table(name=None), f"{FILE}, client 1, name: is missing"),
        (table(name='"Acme"'), f"{FILE}, client 1, name: must match"),
        (table(name='"a\\n"'), f"{FILE}, client 1, name: must match"),
        (table(name='"' + "a" * 33 + '"'), f"{FILE}, client 1, name: must match"),
        (table(id='"../../admin"'), f"{FILE}, client 1, id: must match"),
        (table(id="7"), f"{FILE}, client 1, id: must be a valid string"),
        (table(kind='"google"'), f"{FILE}, client 1, kind: must be 'calcom-platform'"),
        (table(secret=None), f"{FILE}, client 1, secret: must have exactly one of secret and secret_file"),
        (table(secret_file='"x"'), f"{FILE}, client 1, secret_file: must have exactly one of"),
        (table(secret=None, secret_file='"none"'), f"{FILE}, client 1, secret_file: its file cannot be read"),
        (table(secret='"a b"'), f"{FILE}, client 1, secret: must be 1 to 4096 visible ASCII"),
        (table(secret='"a\\r\\n"'), f"{FILE}, client 1, secret: must be 1 to 4096 visible ASCII"),
        (table(api_url='"http://api.cal.com"'), f"{FILE}, client 1, api_url: must be https"),
        (table(rate="450"), f"{FILE}, client 1, rate: must be text, in quotes (example: 450/min)"),
        (table(origins='["https://a.example/"]'), f"{FILE}, client 1, origins: must be scheme://host[:port]"),
        (table(origin='["https://a.example"]'), f"{FILE}, client 1, origin: is not a known name here"),
        (table() + table(id='"b"'), f"{FILE}: has two clients named acme"),
        (table() + table(name='"b"'), f"{FILE}: has the id of client b twice for one api_url"),
    ],
)
def test_a_faulty_file_is_refused_with_the_place(complain, text, begins):
    (line,) = complain(text)
    assert line.startswith(begins)
    assert "secret-of-acme" not in line


def test_every_faulty_client_is_named(complain):
    lines = complain(table(id=None) + table(name='"b"', rate='"x"', kind='"y"'))
    assert [line.split(":")[0] for line in lines] == [
        f"{FILE}, client 1, id", f"{FILE}, client 2, kind", f"{FILE}, client 2, rate",
    ]  # fmt: skip


def test_a_missing_file_is_named():
    with pytest.raises(ConfigurationError, match=rf"^{FILE}: cannot be read \(No such file"):
        load_settings(environment(CLIENTS_FILE="/nowhere/clients.toml", **ALONE))


def test_a_binary_file_is_refused(complain, tmp_path):
    (tmp_path / "clients.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        load_settings(environment(CLIENTS_FILE=str(tmp_path / "clients.toml"), **ALONE))


def test_the_client_of_the_environment_gives_way_to_the_file_with_a_warning(load):
    settings = load(table(), CAL_OAUTH_CLIENT_ID="client-1", X_CAL_SECRET_KEY="x")
    assert [client.name for client in settings.clients] == ["acme"]
    assert settings.warnings == (
        "CAL_OAUTH_CLIENT_ID is not used: the clients come from the file",
        "X_CAL_SECRET_KEY is not used: the clients come from the file",
    )
