"""What an operator gets from an environment: settings, or one line for each thing that is wrong."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from service.settings import Address, ConfigurationError, Rate, load_settings
from service.settings.fields import env_name
from service.settings.grammar import parse_duration
from service.settings.model import Values
from tests.support.environment import environment, key_of

DURATIONS = {
    "SUPERSEDED_WINDOW": "24h", "BINDING_IDLE": "7d", "BINDING_ABSOLUTE": "30d", "REFRESH_MARGIN": "10m",
    "MIN_LIFE": "60s", "ACCESS_TOKEN_LIFETIME": "60m", "DATABASE_TIMEOUT": "3s", "UPSTREAM_TIMEOUT": "10s",
    "LEASE_TTL": "20s", "CLAIM_DEADLINE": "20s", "ANSWER_TIMEOUT": "8s", "PUBLIC_ANSWER_TIMEOUT": "35s",
    "DISTRUST_WINDOW": "60s", "DRAIN": "45s", "GRACE": "60s", "EVENTS_KEPT": "90d",
    "WEBHOOK_TIMEOUT": "10s", "WEBHOOK_GIVE_UP": "3d", "WEBHOOK_KEPT": "30d", "REFRESH_TOKEN_NOTICE": "14d",
}  # fmt: skip
OTHERS = {
    "PUBLIC_ADDRESS": Address("0.0.0.0", 8080), "PUBLIC_PATH": "/refresh",
    "INTERNAL_ADDRESS": Address("127.0.0.1", 8081), "OBSERVE_ADDRESS": Address("0.0.0.0", 9090),
    "TRUSTED_PROXIES": (), "WORKERS": 1, "ALLOWED_ORIGINS": (), "SESSION_CHECK_URL": None,
    "ASSERTION_JWKS": None, "AHEAD": "used", "UPSTREAM_RATE": Rate(450, timedelta(minutes=1)),
    "USER_ROTATIONS": Rate(6, timedelta(minutes=1)), "ADDRESS_FAILURES": Rate(20, timedelta(minutes=1)),
    "SERVICE_ACCOUNTS": (), "SERVICE_ACCOUNT_ISSUER": None, "SERVICE_ACCOUNT_JWKS": None,
    "SERVICE_ACCOUNT_JWKS_CA_FILE": None, "SERVICE_ACCOUNT_JWKS_TOKEN_FILE": None,
    "INTERNAL_TLS_CERTIFICATE_FILE": None, "INTERNAL_TLS_KEY_FILE": None, "INTERNAL_TLS_CA_FILE": None,
    "CALLER_CERTIFICATES": (), "ACCESS_LOG": "misses", "LOG_LEVEL": "info", "LOG_FORMAT": "json",
    "CLIENTS_FILE": None, "CAL_API_URL": "https://api.cal.com/v2",
    "WEBHOOK_URL": None, "WEBHOOK_EVENTS": (), "ALLOW_INSECURE_WEBHOOK": False,
}  # fmt: skip


def complaint(role="serve", **changes):
    """The lines that this environment is refused with."""
    with pytest.raises(ConfigurationError) as refused:
        load_settings(environment(**changes), role=role)
    return str(refused.value).splitlines()


@pytest.mark.parametrize(("name", "text"), DURATIONS.items())
def test_each_duration_has_its_documented_default(name, text):
    assert getattr(load_settings(environment()), name.lower()) == parse_duration(text)


@pytest.mark.parametrize(("name", "value"), OTHERS.items())
def test_each_other_setting_has_its_documented_default(name, value):
    assert getattr(load_settings(environment()), name.lower()) == value


def test_no_setting_is_left_out_of_these_tables():
    extra = {"CAL_OAUTH_CLIENT_ID", "TOKEN_BROKER_ALLOW_INSECURE_UPSTREAM"}
    names = {name if name.startswith("CAL_") else f"TOKEN_BROKER_{name}" for name in DURATIONS | OTHERS}
    assert {env_name(field) for field in Values.model_fields} == names | extra


NOT_ALONE = {"clients_file", "lease_ttl", "drain", "service_accounts", "caller_certificates"}


def names_a_file(field):
    return field.endswith("_file")


@pytest.mark.parametrize(
    "field",
    sorted(field for field in Values.model_fields if field not in NOT_ALONE and not names_a_file(field)),
)
def test_the_example_an_error_shows_is_a_value_that_works(field):
    example = Values.model_fields[field].examples[0]
    assert load_settings(environment(**{env_name(field): example}))


def test_the_clients_of_the_environment_are_one_named_default():
    (client,) = load_settings(environment(ALLOWED_ORIGINS="https://App.example.com")).clients
    assert (client.name, client.kind, client.id) == ("default", "calcom-platform", "client-1")
    assert (client.secret.value, client.api_url) == (("hush-of-client-1",), "https://api.cal.com/v2")
    assert (client.rate, client.origins) == (Rate(450, timedelta(minutes=1)), ("https://app.example.com",))


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        load_settings(environment()).drain = timedelta(0)


def test_without_any_setting_every_missing_one_is_named():
    with pytest.raises(ConfigurationError) as refused:
        load_settings({})
    assert [problem.name for problem in refused.value.problems] == [
        "TOKEN_BROKER_DATABASE_URL", "TOKEN_BROKER_REDIS_URL", "TOKEN_BROKER_ENCRYPTION_KEYS",
        "TOKEN_BROKER_FINGERPRINT_KEYS", "CAL_OAUTH_CLIENT_ID", "X_CAL_SECRET_KEY", "TOKEN_BROKER_API_KEYS",
    ]  # fmt: skip


def test_a_variable_set_to_nothing_is_not_set():
    assert load_settings(environment(DRAIN="", SESSION_CHECK_URL="")).drain == timedelta(seconds=45)


def test_the_worker_needs_no_callers():
    assert load_settings(environment(API_KEYS=None), role="work").api_keys.value == ()


def test_the_migration_needs_the_database_alone():
    env = {"TOKEN_BROKER_DATABASE_URL": "postgresql://h/d", "TOKEN_BROKER_REDIS_URL_FILE": "/not/mounted"}
    settings = load_settings(env, role="migrate")
    assert (settings.database_url.value, settings.clients) == ("postgresql://h/d", ())


def test_every_wrong_setting_has_its_own_line_with_an_example():
    lines = complaint(
        AHEAD="never", WORKERS="0", SUPERSEDED_WINDOW="8d", TRUSTED_PROXIES="10.0.0.0/8,x", EVENTS_KEPT="23h"
    )
    assert lines == [
        "TOKEN_BROKER_TRUSTED_PROXIES: entry 2 of 2 must be an address or a network such as 10.0.0.0/8"
        " (example: 10.0.0.0/8)",
        "TOKEN_BROKER_WORKERS: must be greater than or equal to 1 (example: 2)",
        "TOKEN_BROKER_SUPERSEDED_WINDOW: must be at most 7d (example: 24h)",
        "TOKEN_BROKER_AHEAD: must be 'used' or 'all' (example: used)",
        "TOKEN_BROKER_EVENTS_KEPT: must be at least 1d (example: 90d)",
    ]


@pytest.mark.parametrize(
    "name", ["WORKERS", "DRAIN", "PUBLIC_PATH", "UPSTREAM_RATE", "LOG_LEVEL", "CAL_API_URL"]
)
def test_a_wrong_value_is_never_repeated(name):
    assert "5ecret-value" not in "".join(complaint(**{name: "5ecret-value\x7f"}))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"LEASE_TTL": "13s"},
            "LEASE_TTL: must be longer than TOKEN_BROKER_UPSTREAM_TIMEOUT + TOKEN_BROKER_DATABASE_TIMEOUT"
            " (10s + 3s); it is 13s (example: 18s)",
        ),
        (
            {"LEASE_TTL": "21s"},
            "CLAIM_DEADLINE: must be at least TOKEN_BROKER_LEASE_TTL (21s); it is 20s (example: 26s)",
        ),
        (
            {"PUBLIC_ANSWER_TIMEOUT": "33"},
            "PUBLIC_ANSWER_TIMEOUT: must be longer than TOKEN_BROKER_CLAIM_DEADLINE +"
            " TOKEN_BROKER_UPSTREAM_TIMEOUT + TOKEN_BROKER_DATABASE_TIMEOUT"
            " (20s + 10s + 3s); it is 33s (example: 38s)",
        ),
        (
            {"DRAIN": "35s"},
            "DRAIN: must be longer than TOKEN_BROKER_PUBLIC_ANSWER_TIMEOUT (35s); it is 35s (example: 40s)",
        ),
        ({"GRACE": "45s"}, "GRACE: must be longer than TOKEN_BROKER_DRAIN (45s); it is 45s (example: 50s)"),
        (
            {"BINDING_IDLE": "31d"},
            "BINDING_ABSOLUTE: must be at least TOKEN_BROKER_BINDING_IDLE (31d); it is 30d (example: 32d)",
        ),
    ],
)
def test_durations_that_do_not_fit_together_are_refused_by_name(changes, line):
    assert complaint(**changes) == [f"TOKEN_BROKER_{line}"]


def test_the_bounds_of_the_timeout_chain_that_may_be_equal_may_be_equal():
    assert load_settings(environment(LEASE_TTL="14s", CLAIM_DEADLINE="14s"))


def test_a_duration_that_cannot_be_read_does_not_hide_what_else_is_wrong():
    names = [line.split(":")[0] for line in complaint(DRAIN="soon", LEASE_TTL="1s", REDIS_URL=None)]
    assert names == ["TOKEN_BROKER_DRAIN", "TOKEN_BROKER_LEASE_TTL", "TOKEN_BROKER_REDIS_URL"]


def test_two_listeners_cannot_share_an_address():
    lines = complaint(OBSERVE_ADDRESS="127.0.0.1:8081")
    assert lines == [
        "TOKEN_BROKER_OBSERVE_ADDRESS: is the same address as TOKEN_BROKER_INTERNAL_ADDRESS"
        " (example: 127.0.0.1:8082)"
    ]


def test_listeners_may_all_ask_for_a_free_port():
    free = dict.fromkeys(["PUBLIC_ADDRESS", "INTERNAL_ADDRESS", "OBSERVE_ADDRESS"], "127.0.0.1:0")
    assert load_settings(environment(**free)).public_address.port == 0


def test_a_key_file_for_statements_must_be_there(tmp_path):
    assert complaint(ASSERTION_JWKS=str(tmp_path / "none")) == [
        "TOKEN_BROKER_ASSERTION_JWKS: names a file that is not there"
    ]


def test_plain_http_upstream_needs_the_explicit_word():
    assert complaint(CAL_API_URL="http://cal:5000/v2")[0].startswith("CAL_API_URL: must be https")
    allowed = environment(CAL_API_URL="http://cal:5000/v2/", ALLOW_INSECURE_UPSTREAM="true")
    assert load_settings(allowed).clients[0].api_url == "http://cal:5000/v2"


def test_a_misspelled_name_is_noticed_and_the_right_one_proposed():
    settings = load_settings(environment(REFRESH_MARIGN="5m", ZEBRA="1"))
    assert settings.warnings == (
        "TOKEN_BROKER_REFRESH_MARIGN is not a setting: did you mean TOKEN_BROKER_REFRESH_MARGIN?",
        "TOKEN_BROKER_ZEBRA is not a setting",
    )


def test_what_kubernetes_sets_for_a_service_of_that_name_is_not_taken_for_a_typo():
    links = {"SERVICE_HOST": "10.0.0.1", "PORT": "tcp://10.0.0.1:80", "PORT_80_TCP_ADDR": "10.0.0.1"}
    worker = {"WORKER_SERVICE_PORT_METRICS": "9090"}
    assert load_settings(environment(**links, **worker)).warnings == ()


def test_one_key_for_two_purposes_is_warned_about():
    settings = load_settings(environment(FINGERPRINT_KEYS=f"f:{key_of('e')}"))
    assert settings.warnings == (
        "TOKEN_BROKER_ENCRYPTION_KEYS and TOKEN_BROKER_FINGERPRINT_KEYS share a key",
    )


def test_the_process_environment_is_read_when_none_is_given(monkeypatch):
    for name, value in environment(WORKERS="3").items():
        monkeypatch.setenv(name, value)
    assert load_settings().workers == 3


def test_a_callers_client_must_be_configured():
    key = environment()["TOKEN_BROKER_API_KEYS"]
    assert "names a client that is not configured" in complaint(API_KEYS=f"{key}:admin:acme")[0]
    assert load_settings(environment(API_KEYS=f"{key}:admin:default"))
