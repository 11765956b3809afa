"""The chain of timeouts: a pod gets the time that the program counts on; a broken chain is not installed."""

import pytest

from tests.chart.found import Rendered, refusal, shape


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"UPSTREAM_TIMEOUT": "17s"},
            "config.LEASE_TTL: must be longer than config.UPSTREAM_TIMEOUT + config.DATABASE_TIMEOUT"
            " (17s + 3s); it is 20s",
        ),
        ({"LEASE_TTL": "21s"}, "config.CLAIM_DEADLINE: must be at least config.LEASE_TTL (21s); it is 20s"),
        (
            {"CLAIM_DEADLINE": 22},
            "config.PUBLIC_ANSWER_TIMEOUT: must be longer than config.CLAIM_DEADLINE"
            " + config.UPSTREAM_TIMEOUT + config.DATABASE_TIMEOUT (22 + 10s + 3s); it is 35s",
        ),
        (
            {"PUBLIC_ANSWER_TIMEOUT": "0.75m"},
            "config.DRAIN: must be longer than config.PUBLIC_ANSWER_TIMEOUT (0.75m); it is 45s",
        ),
        ({"DRAIN": "1m"}, "config.GRACE: must be longer than config.DRAIN (1m); it is 60s"),
        ({"GRACE": 45}, "config.GRACE: must be longer than config.DRAIN (45s); it is 45"),
        (
            {"BINDING_IDLE": "31d"},
            "config.BINDING_ABSOLUTE: must be at least config.BINDING_IDLE (31d); it is 30d",
        ),
    ],
)
def test_a_broken_chain_is_refused_with_the_names_and_figures_of_its_links(config, said):
    assert said in refusal({"config": config})


@pytest.mark.parametrize(
    "config",
    [{"LEASE_TTL": "13.001s"}, {"DRAIN": 35.5}, {"DRAIN": "0.7m", "GRACE": "43"}, {"BINDING_IDLE": "720h"}],
)
def test_a_chain_that_just_holds_is_accepted(config):
    assert Rendered({"config": config}).all("Deployment")


@pytest.mark.parametrize(("grace", "seconds"), [("60s", 65), (90, 95), ("1.5m", 95), ("60.5", 66)])
def test_the_service_has_all_of_its_grace_after_the_sleep_before_sigterm(grace, seconds):
    pod = Rendered({"config": {"GRACE": grace}}).pod("service")
    assert pod["terminationGracePeriodSeconds"] == seconds
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}


def test_a_longer_sleep_takes_nothing_from_the_grace():
    assert Rendered({"service": {"preStopSeconds": 20}}).pod("service")["terminationGracePeriodSeconds"] == 80


def test_without_a_sleep_there_is_no_hook():
    pod = Rendered({"service": {"preStopSeconds": 0}}).pod("service")
    assert pod["terminationGracePeriodSeconds"] == 60
    assert "lifecycle" not in pod["containers"][0]


def test_nobody_is_sent_to_a_worker_so_it_ends_without_waiting():
    pod = Rendered().pod("worker")
    assert pod["terminationGracePeriodSeconds"] == 60
    assert "lifecycle" not in pod["containers"][0]


def test_probes_ask_for_life_to_start_and_stay_and_for_readiness_to_be_sent_requests():
    for component in ("service", "worker"):
        container = Rendered().container(component)
        paths = {
            probe: container[probe]["httpGet"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        assert paths == {
            "startupProbe": {"path": "/healthz", "port": "observe"},
            "livenessProbe": {"path": "/healthz", "port": "observe"},
            "readinessProbe": {"path": "/readyz", "port": "observe"},
        }


def test_a_start_may_take_a_minute_and_so_may_a_silence():
    container = Rendered().container("service")
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["periodSeconds"] * container[probe]["failureThreshold"] == 60


def test_every_shape_keeps_what_the_program_counts_on():
    for name in ("everything-on", "several-processes"):
        pod = Rendered(values=shape(name)).pod("service")
        slept = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        grace = {"everything-on": 90, "several-processes": 60}[name]
        assert pod["terminationGracePeriodSeconds"] == grace + slept
