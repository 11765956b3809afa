"""Secrets by reference: each role has the files it needs and no others, and nothing is in the environment."""

import pytest

from tests.chart.found import Rendered, mounted_secrets, refusal, shape

WORKERS = {"DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEYS", "FINGERPRINT_KEYS", "X_CAL_SECRET_KEY"}
SERVICES = WORKERS | {"API_KEYS"}


@pytest.mark.parametrize(
    ("component", "names"), [("service", SERVICES), ("worker", WORKERS), ("migrate", {"DATABASE_URL"})]
)
def test_a_role_has_its_own_secrets_and_no_others(component, names):
    rendered = Rendered()
    assert mounted_secrets(rendered.pod(component)) == {name: ("token-broker", name) for name in names}
    files = {value for key, value in rendered.env(component).items() if key.endswith("_FILE")}
    assert files == {f"/run/secrets/token-broker/{name}" for name in names}


def test_what_signs_the_webhooks_messages_is_the_workers_alone_and_only_where_there_is_a_webhook():
    rendered = Rendered({"config": {"WEBHOOK_URL": "https://app.example.com/hooks"}})
    assert set(mounted_secrets(rendered.pod("worker"))) == WORKERS | {"WEBHOOK_SECRETS"}
    assert set(mounted_secrets(rendered.pod("service"))) == SERVICES
    file = "/run/secrets/token-broker/WEBHOOK_SECRETS"
    assert rendered.env("worker")["TOKEN_BROKER_WEBHOOK_SECRETS_FILE"] == file


def test_it_must_lie_somewhere_as_any_other():
    homes = {name: {"existingSecret": "one"} for name in SERVICES}
    said = refusal(
        {"config": {"WEBHOOK_URL": "https://a.example.com"}, "secrets": {"existingSecret": "", **homes}}
    )
    assert "secrets.WEBHOOK_SECRETS.existingSecret: is missing" in said


def test_the_tests_pod_has_no_secret():
    pod = Rendered().pod("test")
    assert [volume["name"] for volume in pod["volumes"]] == ["token-broker-tmp"]
    assert "env" not in pod["containers"][0]


@pytest.mark.parametrize("name", ["minimal", "many-clients", "everything-on"])
def test_secrets_rotate_without_a_restart_because_no_file_is_mounted_alone(name):
    for component in ("service", "worker", "migrate"):
        container = Rendered(values=shape(name)).container(component)
        assert all("subPath" not in mount for mount in container["volumeMounts"])


def test_a_secret_may_lie_in_another_secret_under_another_key():
    rendered = Rendered({"secrets": {"DATABASE_URL": {"existingSecret": "db-app", "key": "uri"}}})
    for component in ("service", "worker", "migrate"):
        assert mounted_secrets(rendered.pod(component))["DATABASE_URL"] == ("db-app", "uri")


def test_migrations_may_have_a_role_of_their_own_that_no_other_pod_knows():
    rendered = Rendered({"migrations": {"databaseUrl": {"existingSecret": "db-owner", "key": "uri"}}})
    assert mounted_secrets(rendered.pod("migrate")) == {"DATABASE_URL": ("db-owner", "uri")}
    assert mounted_secrets(rendered.pod("service"))["DATABASE_URL"] == ("token-broker", "DATABASE_URL")


def test_a_secret_that_lies_nowhere_is_refused_by_its_name():
    own = {"secrets": {"existingSecret": "", "DATABASE_URL": {"existingSecret": "db", "key": "uri"}}}
    said = refusal(own)
    assert "secrets.REDIS_URL.existingSecret: is missing" in said
    assert "secrets.DATABASE_URL" not in said


def test_without_any_secret_the_one_for_all_is_asked_for():
    assert "secrets.existingSecret: is missing; name the Secret that holds DATABASE_URL" in refusal(
        {"secrets": {"existingSecret": ""}}
    )


def test_a_secrets_own_value_has_no_place_in_the_values():
    assert "/secrets/ENCRYPTION_KEYS" in refusal(
        {"secrets": {"ENCRYPTION_KEYS": {"value": "2026a:c2VjcmV0"}}}
    )


def test_external_secrets_bring_every_secret_under_the_name_that_pods_mount():
    rendered = Rendered(values=shape("external-secrets"))
    (shared,) = (each for each in rendered.all("ExternalSecret") if "helm.sh/hook" not in annotations(each))
    brought = {entry["secretKey"] for entry in shared["spec"]["data"]}
    assert brought == SERVICES
    assert {name for name, _ in mounted_secrets(rendered.pod("service")).values()} == {
        shared["spec"]["target"]["name"]
    }


def test_on_a_first_install_the_migrations_bring_their_own_external_secret():
    rendered = Rendered(values=shape("external-secrets"))
    external = rendered.named("ExternalSecret", "migrate")
    ((secret, key),) = mounted_secrets(rendered.pod("migrate")).values()
    assert (external["spec"]["target"]["name"], external["spec"]["data"][0]["secretKey"]) == (secret, key)
    assert external["spec"]["data"][0]["remoteRef"] == {"key": "broker/database", "property": "migrator_url"}
    assert annotations(external)["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert int(annotations(external)["helm.sh/hook-weight"]) < 0


def test_an_external_secret_that_says_not_where_it_is_is_refused():
    values = shape("external-secrets")
    del values["externalSecret"]["remoteRefs"]["API_KEYS"]
    assert "externalSecret.remoteRefs.API_KEYS: is missing" in refusal(values=values)


def test_two_ways_to_the_same_secret_are_refused():
    assert "secrets.existingSecret: cannot be used with externalSecret.enabled" in refusal(
        {"secrets": {"existingSecret": "token-broker"}}, values=shape("external-secrets")
    )


def annotations(document):
    return document["metadata"].get("annotations", {})
