"""Migrations as a hook: before the release, and depending on nothing that the release brings."""

import pytest

from tests.chart.found import Rendered, shape
from tests.chart.release import HOOK, events, weight

POLICY = f"{HOOK}-delete-policy"


def hooks_of(name):
    rendered = Rendered(values=shape(name))
    return [document for document in rendered.documents if events(document) & {"pre-install", "pre-upgrade"}]


@pytest.mark.parametrize("name", ["minimal", "sidecar", "external-secrets", "many-clients"])
def test_hooks_run_before_install_and_upgrade_and_never_on_a_rollback(name):
    assert all(events(hook) == {"pre-install", "pre-upgrade"} for hook in hooks_of(name))
    assert {hook["kind"] for hook in hooks_of(name)} >= {"Job", "ServiceAccount", "NetworkPolicy"}


def test_what_the_job_needs_is_there_before_it_and_gone_with_it():
    hooks = hooks_of("external-secrets")
    (job,) = (hook for hook in hooks if hook["kind"] == "Job")
    others = [hook for hook in hooks if hook is not job]
    assert {hook["kind"] for hook in others} == {"ServiceAccount", "NetworkPolicy", "ExternalSecret"}
    assert all(weight(hook) < weight(job) for hook in others)
    assert {hook["metadata"]["annotations"][POLICY] for hook in hooks} == {
        "before-hook-creation,hook-succeeded"
    }


def test_the_job_mounts_no_config_map_and_uses_its_own_account():
    rendered = Rendered(values=shape("many-clients"))
    pod = rendered.pod("migrate")
    assert not any("configMap" in volume for volume in pod["volumes"])
    assert pod["serviceAccountName"] == "broker-token-broker-migrate"
    assert rendered.container("migrate")["args"] == ["migrate"]


def test_the_job_ends_and_a_wrong_configuration_ends_it_at_once():
    spec = Rendered().named("Job", "migrate")["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (
        3,
        600,
        86400,
    )
    fails = next(rule for rule in spec["podFailurePolicy"]["rules"] if rule["action"] == "FailJob")
    assert fails["onExitCodes"]["values"] == [2]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_a_failed_job_may_be_kept_for_a_month():
    kept = {"ttlSecondsAfterFinished": 30 * 86400, "activeDeadlineSeconds": 1000000}
    spec = Rendered({"migrations": kept}).named("Job", "migrate")["spec"]
    assert {name: spec[name] for name in kept} == kept


def test_the_job_is_told_how_to_log_and_nothing_else():
    env = Rendered({"config": {"LOG_LEVEL": "debug", "UPSTREAM_RATE": "400/min"}}).env("migrate")
    assert env == {
        "TOKEN_BROKER_LOG_LEVEL": "debug",
        "TOKEN_BROKER_DATABASE_URL_FILE": "/run/secrets/token-broker/DATABASE_URL",
    }


def test_a_pipeline_of_ones_own_may_migrate():
    assert hooks_of("own-pipeline") == []


def test_an_account_of_ones_own_is_used_by_every_pod():
    rendered = Rendered({"serviceAccount": {"create": False, "name": "existing"}})
    assert rendered.all("ServiceAccount") == []
    used = {rendered.pod(each)["serviceAccountName"] for each in ("service", "worker", "migrate", "test")}
    assert used == {"existing"}


def test_the_job_takes_no_container_that_would_keep_it_from_ending():
    extra = {"pod": {"extraContainers": [{"name": "shipper", "image": "shipper:1"}]}}
    rendered = Rendered(extra)
    assert [each["name"] for each in rendered.pod("migrate")["containers"]] == ["token-broker"]
    assert [each["name"] for each in rendered.pod("worker")["containers"]] == ["token-broker", "shipper"]
