"""What `config` becomes: the program's own settings, under the program's own names, with its own defaults."""

import json

import pytest
import yaml

from service.settings.fields import env_name
from service.settings.grammar import parse_duration
from service.settings.model import Values
from tests.chart.found import SHAPES, Rendered, merged, refusal
from tests.chart.helm import CHART, Refused, template
from tests.chart.values import keys, merge_in

# Where it listens, how many processes share that, where its clients' file lies; who calls, and how.
THE_CHARTS_OWN = {
    *("PUBLIC_ADDRESS", "INTERNAL_ADDRESS", "OBSERVE_ADDRESS", "WORKERS", "CLIENTS_FILE"),
    *("SERVICE_ACCOUNTS", "SERVICE_ACCOUNT_ISSUER", "SERVICE_ACCOUNT_JWKS", "SERVICE_ACCOUNT_JWKS_CA_FILE"),
    *("SERVICE_ACCOUNT_JWKS_TOKEN_FILE", "CALLER_CERTIFICATES", "INTERNAL_TLS_CERTIFICATE_FILE"),
    *("INTERNAL_TLS_KEY_FILE", "INTERNAL_TLS_CA_FILE"),
}


def schema_of_config():
    schema = json.loads((CHART / "values.schema.json").read_text())
    return schema["properties"]["config"]["properties"]


def defaults():
    return yaml.safe_load((CHART / "values.yaml").read_text())


def test_the_chart_knows_every_setting_of_the_program_and_no_other():
    program = {field.upper() for field in Values.model_fields}
    assert set(schema_of_config()) == program - THE_CHARTS_OWN


def test_durations_that_the_chart_names_have_the_programs_defaults():
    config = defaults()["config"]
    fields = {name: Values.model_fields[name.lower()].default for name in config}
    durations = {name: value for name, value in config.items() if hasattr(fields[name], "total_seconds")}
    assert len(durations) == 9
    assert {name: parse_duration(value) for name, value in durations.items()} == {
        name: fields[name] for name in durations
    }


def test_a_setting_reaches_service_and_worker_under_its_full_name():
    rendered = Rendered({"config": {"LOG_LEVEL": "debug", "CAL_API_URL": "https://api.cal.eu/v2"}})
    for component in ("service", "worker"):
        env = rendered.env(component)
        assert env[env_name("log_level")] == "debug"
        assert env["CAL_API_URL"] == "https://api.cal.eu/v2"


def test_a_list_is_written_as_the_program_reads_lists():
    origins = ["https://app.example.com", "https://admin.example.com"]
    env = Rendered({"config": {"ALLOWED_ORIGINS": origins}}).env("service")
    assert env["TOKEN_BROKER_ALLOWED_ORIGINS"] == "https://app.example.com,https://admin.example.com"


@pytest.mark.parametrize(
    ("given", "written"), [(0, "0"), (90, "90"), (0.5, "0.500"), (1000000, "1000000"), ("7d", "7d")]
)
def test_a_number_is_written_as_the_program_reads_durations(given, written):
    name = "BINDING_ABSOLUTE" if given == 1000000 else "SUPERSEDED_WINDOW"
    env = Rendered({"config": {name: given}}).env("service")
    assert env[f"TOKEN_BROKER_{name}"] == written


@pytest.mark.parametrize("nothing", ["", [], None])
def test_a_setting_without_a_value_is_not_set(nothing):
    env = Rendered({"config": {"TRUSTED_PROXIES": nothing}}).env("service")
    assert "TOKEN_BROKER_TRUSTED_PROXIES" not in env


def test_processes_are_the_services_alone():
    rendered = Rendered({"service": {"processes": 4}})
    assert rendered.env("service")["TOKEN_BROKER_WORKERS"] == "4"
    assert "TOKEN_BROKER_WORKERS" not in rendered.env("worker")


def test_ports_move_listeners_container_ports_and_services_together():
    rendered = Rendered({"ports": {"observe": 19090}})
    assert rendered.env("worker")["TOKEN_BROKER_OBSERVE_ADDRESS"] == "0.0.0.0:19090"
    assert {"name": "observe", "containerPort": 19090} in rendered.container("worker")["ports"]
    assert rendered.named("Service", "worker-observe")["spec"]["ports"][0]["port"] == 19090


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"config": {"LOG_LEVL": "debug"}}, "LOG_LEVL"),
        ({"config": {"LOG_LEVEL": "loud"}}, "/config/LOG_LEVEL"),
        ({"config": {"GRACE": "a while"}}, "/config/GRACE"),
        ({"config": {"GRACE": None}}, "GRACE"),
        ({"config": {"UPSTREAM_RATE": 450}}, "/config/UPSTREAM_RATE"),
        ({"config": {"ALLOWED_ORIGINS": ["*"]}}, "/config/ALLOWED_ORIGINS/0"),
        ({"config": {"PUBLIC_PATH": "refresh/"}}, "/config/PUBLIC_PATH"),
        ({"config": {"PUBLIC_PATH": "/healthz"}}, "/config/PUBLIC_PATH"),
        ({"config": {"MIN_LIFE": "0s"}}, "/config/MIN_LIFE"),
        ({"config": {"MIN_LIFE": 0}}, "/config/MIN_LIFE"),
        (
            {"config": {"SUPERSEDED_WINDOW": "169h"}},
            "config.SUPERSEDED_WINDOW: must be at most 7d; it is 169h",
        ),
        ({"config": {"EVENTS_KEPT": "23h"}}, "config.EVENTS_KEPT: must be at least 1d; it is 23h"),
        ({"config": {"WEBHOOK_URL": "http://app.internal/hooks"}}, "config.WEBHOOK_URL: must be https"),
        ({"config": {"WEBHOOK_URL": "https://user:secret@app.internal/hooks"}}, "/config/WEBHOOK_URL"),
        ({"config": {"ALLOWED_ORIGINS": "https://a.example.com/page"}}, "/config/ALLOWED_ORIGINS"),
        ({"config": {"TRUSTED_PROXIES": ["ingress"]}}, "/config/TRUSTED_PROXIES/0"),
        ({"config": {"CAL_API_URL": "http://cal.internal/v2"}}, "config.CAL_API_URL: must be https"),
        ({"config": {"CAL_API_URL": "https://user:secret@cal.internal/v2"}}, "/config/CAL_API_URL"),
        ({"config": {"WORKERS": 2}}, "WORKERS"),
        ({"config": {"ENCRYPTION_KEYS": "2026a:c2VjcmV0"}}, "ENCRYPTION_KEYS"),
        ({"config": {"CAL_OAUTH_CLIENT_ID": ""}}, "config.CAL_OAUTH_CLIENT_ID: is missing"),
        ({"servce": {}}, "servce"),
        ({"service": {"replicas": "two"}}, "/service/replicas"),
        ({"service": {"processes": 0}}, "/service/processes"),
        ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
        ({"image": {"repository": ""}}, "image.repository: is missing"),
        ({"image": {"repository": "registry.example.com/token broker"}}, "/image/repository"),
        ({"image": {"repository": "registry.example.com/token-broker:1.0"}}, "/image/repository"),
        ({"image": {"repository": "https://registry.example.com/token-broker"}}, "/image/repository"),
        ({"image": {"tag": "1.0 beta"}}, "/image/tag"),
        ({"image": {"tag": 1.1}}, "/image/tag"),
        ({"commonLabels": {"team": "the schedulers"}}, "/commonLabels/team"),
        ({"networkPolicy": {"public": [{}]}}, "/networkPolicy/public/0"),
        ({"networkPolicy": {"observe": [{"podselector": {}}]}}, "/networkPolicy/observe/0"),
        ({"networkPolicy": {"database": {"to": [{}]}}}, "/networkPolicy/database/to/0"),
        ({"mode": "daemon"}, "/mode"),
        ({"ports": {"internal": 8080}}, "ports.internal: 8080 is ports.public already"),
        ({"pod": {"spread": "wide"}}, "/pod/spread"),
        ({"worker": {"pod": {"nodeSelectr": {}}}}, "nodeSelectr"),
        ({"tmp": {"sizeLimit": "much"}}, "/tmp/sizeLimit"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(changes, named):
    said = refusal(changes)
    assert named in said


def test_a_group_that_is_left_empty_is_refused_by_its_name_or_does_no_harm():
    groups = [path for path, value in keys(defaults()) if isinstance(value, dict) and len(path) < 3]
    said = {path: said_without(path) for path in groups}
    unnamed = [path for path, why in said.items() if why and not names(why, path)]
    assert unnamed == []
    assert said["service",]
    assert not said["podSecurityContext", "seccompProfile"]


def names(said, path):
    return f"missing property '{path[-1]}'" in said or f"{'.'.join(path)}." in said


def said_without(path):
    try:
        template([SHAPES / "everything-on.yaml", merge_in([(path, None)])])
    except Refused as refused:
        return str(refused)
    return ""


def test_several_problems_are_said_at_once():
    said = refusal({"image": {"repository": ""}, "config": {"DRAIN": "90s"}})
    assert "image.repository" in said
    assert "config.GRACE" in said


def with_variable(section, name):
    changes = {"extraEnv": [{"name": name, "value": "anything"}]}
    for key in reversed(section.split(".")):
        changes = {key: changes}
    return changes


@pytest.mark.parametrize("section", ["pod", "service.pod", "worker.pod", "migrations.pod", "tests.pod"])
def test_a_setting_has_one_place_in_every_pod(section):
    said = refusal(with_variable(section, "TOKEN_BROKER_GRACE"))
    assert f"{section}.extraEnv[0]: TOKEN_BROKER_GRACE is set by the chart" in said


@pytest.mark.parametrize(
    "name", ["TOKEN_BROKER_API_KEYS", "X_CAL_SECRET_KEY", "X_CAL_SECRET_KEY_FILE", "CAL_API_URL"]
)
def test_a_secret_is_no_variable(name):
    assert f"pod.extraEnv[0]: {name} is set by the chart" in refusal(with_variable("pod", name))


def test_values_of_all_charts_are_not_refused():
    assert Rendered({"global": {"anything": 1}}).all("Deployment")


def test_another_chart_may_make_the_broker_conditional():
    assert Rendered({"enabled": True}).all("Deployment")
    assert "enabled: has an effect as the condition of a dependency only" in refusal({"enabled": False})


def test_the_linters_values_are_the_minimal_shape():
    own = yaml.safe_load((CHART / "ci" / "minimal-values.yaml").read_text())
    assert own == merged(yaml.safe_load((CHART.parent / "tests/chart/shapes/minimal.yaml").read_text()), {})


def test_in_an_ipv6_cluster_every_listener_is_reached():
    env = Rendered({"listenAddress": "[::]"}).env("service")
    names = ("PUBLIC_ADDRESS", "INTERNAL_ADDRESS", "OBSERVE_ADDRESS")
    assert [env[f"TOKEN_BROKER_{name}"] for name in names] == ["[::]:8080", "[::]:8081", "[::]:9090"]
