"""The units of deploy/systemd hold together: systemd says so, and so do the settings they start with."""

import os
import shutil
import subprocess
from collections import defaultdict
from datetime import timedelta

import pytest

from service.settings import load_settings
from tests.docs.blocks import ROOT
from tests.support.environment import environment
from tests.support.needs import need

UNITS = ROOT / "deploy" / "systemd"
COMMON = UNITS / "token-broker-.service.d" / "10-common.conf"
ROLES = ("serve", "work", "migrate")
EXPOSED_AT_MOST = 15
"""Tenths, of systemd's own measure from 0 to 10.0."""


def options(role):
    """Return what a unit and the part it shares with the others say: option to its values."""
    said = defaultdict(list)
    for file in (COMMON, UNITS / f"token-broker-{role}.service"):
        for line in file.read_text().splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                said[name].append(value)
    return said


@pytest.fixture(params=ROLES)
def role(request):
    return request.param


@pytest.fixture
def systemd(role, tmp_path):
    """Runs systemd-analyze on a role's unit, whose program is one that is there."""
    if not shutil.which("systemd-analyze"):
        need("systemd-analyze is missing: apt-get install systemd.")
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    unit = tmp_path / f"token-broker-{role}.service"

    for file in tmp_path.glob("*.service"):
        file.write_text(file.read_text().replace("/opt/token-broker/bin/token-broker", "/bin/true"))

    def analyze(*arguments):
        return subprocess.run(
            ["systemd-analyze", *arguments, unit], env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return analyze


def test_systemd_finds_nothing_wrong_with_a_unit(systemd):
    found = systemd("verify", "--man=no")
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_systemd_finds_a_unit_little_exposed(systemd):
    found = systemd("security", "--offline=true", "--no-pager", f"--threshold={EXPOSED_AT_MOST}")
    assert found.returncode == 0, found.stdout


def test_a_unit_has_every_setting_that_its_role_needs(role, tmp_path):
    said = options(role)
    secrets = dict(given.split(":") for given in said["LoadCredential"])
    holding = environment()
    variables = {"CAL_OAUTH_CLIENT_ID": holding["CAL_OAUTH_CLIENT_ID"]}
    for name, value in (given.split("=") for given in said["Environment"]):
        variables[name] = value.replace("%d", str(tmp_path))
        if name.endswith("_FILE"):
            assert value.removeprefix("%d/") in secrets
            (tmp_path / value.removeprefix("%d/")).write_text(holding[name.removesuffix("_FILE")])

    settings = load_settings(variables, role=role)

    assert settings.warnings == ()
    assert len([name for name in variables if name.endswith("_FILE")]) == len(secrets)


def test_a_unit_is_given_the_time_that_the_program_needs_to_end():
    for role in ("serve", "work"):
        [seconds] = options(role)["TimeoutStopSec"]
        assert timedelta(seconds=int(seconds)) > load_settings(environment()).grace


def test_service_and_worker_are_not_watched_on_one_port():
    watched = [options(role)["Environment"][1] for role in ("serve", "work")]
    assert all(named.startswith("TOKEN_BROKER_OBSERVE_ADDRESS=127.0.0.1:") for named in watched)
    assert len(set(watched)) == len(watched)
