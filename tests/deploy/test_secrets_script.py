"""deploy/secrets.sh: every secret once, readable by the containers and by nobody else on the machine."""

import hashlib
import os
import re
import shutil
import subprocess

import pytest

from service.settings import load_settings
from tests.deploy.dockerfile import ROOT

MADE_OF_URLS = {
    "database_url": "broker_password",
    "migrator_database_url": "migrator_password",
    "redis_url": "valkey_password",
}


def run(folder, *options, path=os.environ["PATH"]):
    return subprocess.run(
        [shutil.which("sh"), "deploy/secrets.sh", *options, str(folder)],
        cwd=ROOT,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def draw(folder, *options):
    ended = run(folder, *options)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "secrets"


def test_every_secret_of_the_compose_file_is_drawn_but_the_users_own(folder):
    wanted = set(re.findall(r"^  (\w+): \{file:", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE))
    said = draw(folder)
    assert wanted - contents(folder).keys() == {"x_cal_secret_key"}
    assert f"{folder}/x_cal_secret_key" in said


def test_the_demos_are_complete(folder):
    assert "One secret is yours to bring" not in draw(folder, "--demo")
    assert contents(folder)["x_cal_secret_key"].strip()


def test_what_is_there_is_never_touched(folder):
    draw(folder, "--demo")
    before = contents(folder)
    assert "made" not in draw(folder, "--demo")
    assert contents(folder) == before


def test_what_is_missing_is_made_to_fit_what_is_there(folder):
    draw(folder)
    before = contents(folder)
    for name in (*MADE_OF_URLS, "valkey_acl", "api_keys"):
        (folder / name).unlink()
    draw(folder)
    assert contents(folder) == before


def test_no_two_are_alike(folder, tmp_path):
    draw(folder, "--demo")
    draw(tmp_path / "other", "--demo")
    drawn = [*contents(folder).values(), *contents(tmp_path / "other").values()]
    assert len(set(drawn)) == len(drawn)


def test_the_folder_is_closed_and_its_files_can_be_read_from_within_a_container(folder):
    draw(folder)
    (folder / "x_cal_secret_key").write_text("mine\n")
    (folder / "x_cal_secret_key").chmod(0o600)
    draw(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


@pytest.mark.parametrize(("url", "password"), MADE_OF_URLS.items())
def test_an_address_has_the_password_that_its_server_is_given(folder, url, password):
    draw(folder)
    made = contents(folder)
    assert f":{made[password].strip()}@" in made[url]


def test_valkey_and_the_broker_are_told_hashes_of_what_the_others_hold(folder):
    draw(folder)
    made = contents(folder)
    for secret, told in (("valkey_password", "valkey_acl"), ("app_key", "api_keys")):
        assert hashlib.sha256(made[secret].strip().encode()).hexdigest() in made[told]


def test_valkeys_user_may_do_what_the_page_on_kubernetes_gives_it_and_no_more(folder):
    draw(folder)
    page = (ROOT / "docs/kubernetes.md").read_text()
    rules = re.search(r"^user token-broker on nopass (.+)$", page, re.MULTILINE)[1]
    default, user = contents(folder)["valkey_acl"].splitlines()
    assert default == "user default off"
    assert re.fullmatch(rf"user token_broker on #\w{{64}} {re.escape(rules)}", user)


def test_the_broker_takes_them_all(folder):
    draw(folder, "--demo")
    names = ("database_url", "redis_url", "encryption_keys", "fingerprint_keys", "api_keys")
    files = {f"TOKEN_BROKER_{name.upper()}_FILE": str(folder / name) for name in names}
    settings = load_settings(
        files | {"CAL_OAUTH_CLIENT_ID": "a-client", "X_CAL_SECRET_KEY_FILE": str(folder / "x_cal_secret_key")}
    )
    assert settings.warnings == ()
    assert "admin" not in settings.api_keys.value[0].scopes


def test_a_run_that_was_cut_short_leaves_no_half_a_secret(folder):
    folder.mkdir()
    (folder / ".unfinished").write_text("half a sec")
    draw(folder)
    assert "half a sec" not in contents(folder).values()
    assert not (folder / ".unfinished").exists()


@pytest.mark.parametrize(("url", "password"), MADE_OF_URLS.items())
def test_a_folder_that_was_filled_for_something_else_is_left_as_it_is(folder, url, password):
    folder.mkdir()
    (folder / url).write_text("postgresql://broker:mine@localhost:5432/broker")
    before = contents(folder)
    refused = run(folder)
    assert refused.returncode == 1
    assert f"{folder}/{password}" in refused.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("missing", ["base64", "od", "sha256sum"])
def test_without_a_program_it_needs_nothing_is_drawn(folder, tmp_path, missing):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in {"base64", "cut", "head", "mkdir", "od", "sha256sum", "tr"} - {missing}:
        (programs / name).symlink_to(shutil.which(name))
    refused = run(folder, path=str(programs))
    assert refused.returncode == 1
    assert missing in refused.stderr
    assert not folder.exists()


def test_what_compose_mounts_beside_them_can_be_read_whatever_the_checkouts_modes(tmp_path):
    mounted = re.findall(r"^    file: \./(\S+)$", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE)
    assert len(mounted) == 2
    for name in (*mounted, "deploy/secrets.sh"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
        (tmp_path / name).chmod(0o600)
    subprocess.run(["sh", "deploy/secrets.sh"], cwd=tmp_path, check=True, capture_output=True)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in mounted} == {0o644}
