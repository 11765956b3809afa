"""docker-compose.yml as Compose reads it: hardened by default, closed to the outside, nothing to guess."""

import re
import subprocess

import pytest

from sandbox.dev import environment as of_make_run
from sandbox.dev.plan import Plan
from service.settings.grammar import parse_duration
from service.settings.model import Values
from tests.deploy.compose import GIVEN, compose, config, demo, docker_compose
from tests.deploy.conftest import need
from tests.deploy.dockerfile import ROOT

BROKERS = ("service", "worker", "migrate")
ALL = (*BROKERS, "postgres", "valkey", "demo")


@pytest.fixture(scope="module", autouse=True)
def _compose_is_there():
    if docker_compose() is None:
        need("Docker Compose 2 is missing: `make chart` fetches it, or set COMPOSE to the program.")


@pytest.fixture(scope="module")
def usual():
    """What somebody gets who has set what must be set."""
    return config(**GIVEN)


@pytest.fixture(scope="module")
def with_demo():
    """What the demo's command line gets."""
    return demo()


def test_without_the_profile_there_is_no_demo(usual, with_demo):
    assert usual["services"].keys() == set(ALL) - {"demo"}
    assert with_demo["services"].keys() == set(ALL)


def test_without_the_client_it_starts_nothing_and_says_what_to_do():
    ended = compose("config", "--quiet")
    assert ended.returncode != 0
    assert "CAL_OAUTH_CLIENT_ID" in ended.stderr
    assert "into .env" in ended.stderr


@pytest.mark.parametrize("name", ALL)
def test_each_container_is_hardened(with_demo, name):
    service = with_demo["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] not in ("", "0", "root")
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & service.keys()


@pytest.mark.parametrize("name", ALL)
def test_each_container_is_bounded(with_demo, name):
    service = with_demo["services"][name]
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= limits.keys()
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()


@pytest.mark.parametrize("name", ALL)
def test_each_port_is_this_machines_own(with_demo, name):
    ports = with_demo["services"][name].get("ports", [])
    assert {port["host_ip"] for port in ports} <= {"127.0.0.1"}


@pytest.mark.parametrize("name", ["postgres", "valkey", "migrate"])
def test_the_stores_cannot_be_reached_from_outside(usual, name):
    assert usual["networks"]["back"]["internal"] is True
    assert list(usual["services"][name]["networks"]) == ["back"]
    assert "ports" not in usual["services"][name]


def test_every_secret_is_a_file(with_demo):
    told = {}
    for service in with_demo["services"].values():
        told |= service.get("environment") or {}
    secret = {
        name: value
        for name, value in told.items()
        if re.search(r"PASSWORD|SECRET_|_KEYS?(_|$)|DATABASE_|REDIS_", name)
    }
    files = {
        name for name, value in secret.items() if name.endswith("_FILE") and value.startswith("/run/secrets/")
    }
    assert secret.keys() - files == {"TOKEN_BROKER_DATABASE_TIMEOUT"}
    assert len(files) > 6


@pytest.mark.parametrize("name", ALL)
def test_a_container_is_given_the_secrets_it_names_and_no_other(with_demo, name):
    service = with_demo["services"][name]
    told = str([service.get("environment"), service.get("command"), service.get("healthcheck")])
    if name == "postgres":
        told += (ROOT / "deploy/passwords.sql").read_text()
    assert {secret["source"] for secret in service.get("secrets", [])} == set(
        re.findall(r"/run/secrets/(\w+)", told)
    )


def test_the_processes_that_run_cannot_change_the_schema(usual):
    given = {name: {secret["source"] for secret in usual["services"][name]["secrets"]} for name in BROKERS}
    assert given["migrate"] == {"migrator_database_url"}
    assert not {"migrator_database_url", "postgres_password"} & (given["service"] | given["worker"])


def test_each_waits_for_what_it_needs(with_demo):
    waits = {
        name: {
            on: how["condition"].removeprefix("service_") for on, how in service.get("depends_on", {}).items()
        }
        for name, service in with_demo["services"].items()
    }
    stores = {"migrate": "completed_successfully", "postgres": "healthy", "valkey": "healthy"}
    assert waits["migrate"] == {"postgres": "healthy"}
    assert (waits["service"], waits["worker"]) == (stores, stores)
    assert waits["demo"] == {"service": "healthy", "worker": "healthy"}


@pytest.mark.parametrize("name", ["service", "worker"])
def test_a_process_is_given_the_time_it_takes_to_end(usual, with_demo, name):
    default = Values.model_fields
    allowed = seconds(usual["services"][name]["stop_grace_period"])
    assert allowed > default["grace"].default.total_seconds() > default["drain"].default.total_seconds()
    told = with_demo["services"][name]
    assert (
        seconds(told["stop_grace_period"])
        > parse_duration(told["environment"]["TOKEN_BROKER_GRACE"]).total_seconds()
    )


def seconds(text):
    """Read a duration as Compose writes it, such as 1m5s."""
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(float(count) * units[unit] for count, unit in re.findall(r"([\d.]+)([hms])", text))


def test_a_full_valkey_refuses_and_forgets_nothing_in_silence(usual):
    command = usual["services"]["valkey"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    limit = int(usual["services"]["valkey"]["deploy"]["resources"]["limits"]["memory"])
    assert int(command[command.index("--maxmemory") + 1].removesuffix("mb")) * 2**20 <= limit / 2


def test_what_lasts_is_kept_in_a_volume_of_its_own(with_demo):
    kept = {
        name: [(volume["source"], volume["target"]) for volume in service.get("volumes", [])]
        for name, service in with_demo["services"].items()
    }
    assert {name: what for name, what in kept.items() if what} == {
        "postgres": [("postgres", "/var/lib/postgresql")],
        "demo": [("demo", "/data")],
    }


def test_the_demo_shares_nothing_with_the_rest(usual, with_demo):
    assert with_demo["name"] != usual["name"]
    for kind in ("networks", "volumes", "secrets"):
        names = [{part["name"] for part in of[kind].values()} for of in (usual, with_demo)]
        assert not names[0] & names[1]
    files = [{secret["file"] for secret in of["secrets"].values()} for of in (usual, with_demo)]
    assert not files[0] & files[1]


def test_the_demo_takes_the_time_that_make_run_takes(with_demo):
    told = with_demo["services"]["service"]["environment"]
    plan = Plan()
    expected = {f"TOKEN_BROKER_{name}": value for name, value in of_make_run._CHAIN.items()}
    assert expected.items() <= told.items()
    spans = {
        "ACCESS_TOKEN_LIFETIME": plan.lifetime_s,
        "REFRESH_MARGIN": plan.margin_s,
        "MIN_LIFE": plan.least_life_s,
    }
    for name, span in spans.items():
        assert parse_duration(told[f"TOKEN_BROKER_{name}"]).total_seconds() == span


def test_the_product_is_built_without_the_sandbox(with_demo):
    targets = {
        name: service.get("build", {}).get("target") for name, service in with_demo["services"].items()
    }
    assert {name for name, target in targets.items() if target == "product"} == set(BROKERS)
    assert {name for name, target in targets.items() if target == "demo"} == {"demo"}


def test_no_secret_can_be_committed():
    ignored = subprocess.run(
        ["git", "check-ignore", "secrets/encryption_keys", "secrets/demo/app_key", ".env"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert len(ignored.stdout.splitlines()) == 3
