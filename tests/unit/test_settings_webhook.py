"""Where messages are sent and what signs them: refused before anything is sent in the clear or unsigned."""

import base64

import pytest

from service.settings import ConfigurationError, load_settings
from service.settings.keys import sensitive_parts
from service.settings.webhooks import parse_webhook_secrets
from tests.support.environment import environment
from tests.support.sending import secret_of

ONE, OTHER = secret_of("w"), secret_of("v")
URL = "https://app.example.com/hooks?from=broker"


def loaded(role="work", **changes):
    given = {"WEBHOOK_URL": URL, "WEBHOOK_SECRETS": ONE} | changes
    return load_settings(environment(**given), role=role)


def complaint(**changes):
    with pytest.raises(ConfigurationError) as refused:
        loaded(**changes)
    return str(refused.value)


def of_bytes(count):
    return "whsec_" + base64.b64encode(b"x" * count).decode()


def test_every_secret_signs_the_first_one_first():
    settings = loaded(WEBHOOK_SECRETS=f"{ONE}, {OTHER}")
    assert settings.webhook_url == URL
    assert settings.webhook_secrets.value == (b"w" * 32, b"v" * 32)
    assert settings.sensitive_texts() >= {ONE, OTHER}


def test_the_secrets_may_come_from_a_file_that_is_read_again_when_it_changes(tmp_path):
    file = tmp_path / "secrets"
    file.write_text(ONE + "\n")
    secrets = loaded(WEBHOOK_SECRETS=None, WEBHOOK_SECRETS_FILE=str(file)).webhook_secrets
    file.write_text(f"{OTHER},{ONE}\n")
    assert secrets.recheck(lambda *_: pytest.fail("it cannot be used"))
    assert secrets.value == (b"v" * 32, b"w" * 32)


def test_only_the_worker_needs_them():
    assert loaded("serve", WEBHOOK_SECRETS=None).webhook_secrets.value == ()
    assert loaded(WEBHOOK_URL=None, WEBHOOK_SECRETS=None).webhook_secrets.value == ()
    assert "WEBHOOK_SECRETS: is missing" in complaint(WEBHOOK_SECRETS=None)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("c2VjcmV0", "must begin with whsec_"),
        ("whsec_secret!", "not base64"),
        (of_bytes(23), "a secret of 23 bytes: it must have 24 to 64"),
        (of_bytes(65), "a secret of 65 bytes"),
        (f"{ONE},{ONE}", "the same secret twice"),
        (",".join(secret_of(letter) for letter in "abcde"), "4 secrets at most"),
    ],
)
def test_a_secret_that_cannot_sign_is_refused_and_not_shown(text, what):
    with pytest.raises(ValueError, match=what) as refused:
        parse_webhook_secrets(text)
    assert not any(part in str(refused.value) for part in text.split(",") if len(part) > 10)


def test_each_secret_of_a_list_is_kept_out_of_the_logs():
    assert sensitive_parts(f"{ONE}, {OTHER}") >= {ONE, OTHER}


@pytest.mark.parametrize("text", [of_bytes(24), of_bytes(64)])
def test_the_bounds_of_a_secret_are_those_of_the_specification(text):
    assert parse_webhook_secrets(text)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://app.internal/hooks", "must be https .*ALLOW_INSECURE_WEBHOOK=true"),
        ("https://169.254.169.254/latest", "link-local"),
        ("https://[::ffff:169.254.169.254]/latest", "without an IPv4 address"),
        ("https://user:pass@app.example.com/", "user name or password"),
        ("ftp://app.example.com/", "https:// or http://"),
        ("https://app.example.com/#part", "fragment"),
    ],
)
def test_an_address_that_must_not_be_told_anything_is_refused(url, what):
    with pytest.raises(ConfigurationError, match=rf"TOKEN_BROKER_WEBHOOK_URL: .*{what}"):
        loaded(WEBHOOK_URL=url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8090/hooks", "http://localhost/hooks", "http://[::1]:1/x"])
def test_this_machine_may_be_told_in_the_clear(url):
    assert loaded(WEBHOOK_URL=url).webhook_url == url


def test_anybody_may_who_says_so():
    assert loaded(WEBHOOK_URL="http://app.internal/hooks", ALLOW_INSECURE_WEBHOOK="true").webhook_url


def test_what_it_is_told_of_may_be_less_than_everything():
    assert loaded(WEBHOOK_EVENTS="grant.died, circuit.opened").webhook_events == (
        "grant.died",
        "circuit.opened",
    )
    assert "WEBHOOK_EVENTS: entry 1 of 1 must be of grant.died," in complaint(WEBHOOK_EVENTS="grant.borne")


def test_messages_are_kept_at_least_as_long_as_they_are_sent():
    assert "WEBHOOK_KEPT: must be at least TOKEN_BROKER_WEBHOOK_GIVE_UP (40d)" in complaint(
        WEBHOOK_GIVE_UP="40d"
    )
