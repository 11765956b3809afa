"""The threat model names what exists: tests, files, settings with their defaults, limits, alerts."""

import re
from datetime import timedelta
from importlib import import_module

import pytest

from service.settings import load_settings
from tests.docs.blocks import files_of
from tests.support.environment import environment
from tests.support.named import ROOT, missing_tests, named_tests
from tests.support.promql import alerts, registered

PAGE = (ROOT / "docs" / "threat-model.md").read_text()
ROWS = re.findall(r"^\| ([A-Z]\d+) \| (.+) \|$", PAGE, re.MULTILINE)
ROW_IDS = [row for row, _ in ROWS]
REDIS_COMMANDS = {"KEYS", "CONFIG", "FLUSHALL"}
DEFAULTS = dict(
    re.findall(
        r"^\| `(?:TOKEN_BROKER_)?(\w+)`[^|]*\| [^|]+ \| ([^|]+) \|",
        (ROOT / "docs" / "configuration.md").read_text(),
        re.MULTILINE,
    )
)
LIMITS = re.findall(r"^\| [^|]+ \| (\d+) [^|]*\| `(service/[\w/]+)\.py::(\w+)` \|$", PAGE, re.MULTILINE)


def test_every_threat_of_the_expired_token_has_its_row():
    assert [row for row in ROW_IDS if row.startswith("T")] == [f"T{number}" for number in range(1, 10)]


@pytest.mark.parametrize("door", "PIORDUSLCWA")
def test_every_door_has_its_rows_in_order(door):
    rows = [int(row[1:]) for row in ROW_IDS if row.startswith(door)]
    assert rows == list(range(1, len(rows) + 1))
    assert len(rows) > 1


@pytest.mark.parametrize(("row", "told"), ROWS, ids=ROW_IDS)
def test_a_row_says_what_is_done_what_shows_it_and_what_remains(row, told):
    threat, done, shown, remains = re.split(r" \| ", told)
    assert all([threat, done, remains])
    assert re.search(r"`[\w/.]+\.py", shown), f"{row} names nothing that shows it"


def test_every_test_it_names_exists():
    assert len(named_tests(PAGE)) > len(ROWS)
    assert missing_tests(PAGE) == []


def test_every_file_it_names_exists():
    named = set(re.findall(r"`([\w/.]+\.(?:py|sql)|service/\w+/)(?:`|::)", PAGE))
    assert len(named) > len(ROWS)
    assert [name for name in named if not ((ROOT / name).exists() or (ROOT / "tests" / name).exists())] == []


def test_every_setting_it_names_exists():
    named = set(re.findall(r"`([A-Z][A-Z_]{3,})`", PAGE)) - REDIS_COMMANDS - {"TOKEN_BROKER_"}
    named |= set(re.findall(r"^TOKEN_BROKER_(\w+)=", PAGE, re.MULTILINE))
    assert len(named) > 10
    assert named - set(DEFAULTS) == set()


def test_its_defaults_are_those_of_the_settings():
    told = re.findall(r"^\| `([A-Z_]+)` \| (`[^|]+`) \|", PAGE, re.MULTILINE)
    assert len(told) > 5
    assert told == [(name, DEFAULTS[name]) for name, _ in told]


@pytest.mark.parametrize(("most", "module", "name"), LIMITS, ids=[name for _, _, name in LIMITS])
def test_a_built_in_limit_is_what_it_says(most, module, name):
    assert getattr(import_module(module.replace("/", ".")), name) == int(most)


def test_every_alert_metric_and_event_it_names_exists():
    assert set(re.findall(r"`?(TokenBroker\w+)", PAGE)) - set(alerts()) == set()
    metrics = {f"token_broker_{name}" for name in re.findall(r"`(\w+_total)`", PAGE)}
    assert metrics
    assert metrics - set(registered()) == set()
    written = "".join(file.read_text() for file in (ROOT / "service").rglob("*.py"))
    events = set(re.findall(r"`((?:cache|caller)\.[a-z_]+)`", PAGE))
    assert events
    assert {event for event in events if f'"{event}"' not in written} == set()


def test_the_strict_profile_is_taken_and_as_strict_as_the_page_says():
    lines = files_of("docs/threat-model.md")["strict.env"].splitlines()
    changes = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    settings = load_settings(environment(**changes))
    assert (settings.binding_idle, settings.binding_absolute) == (timedelta(hours=1), timedelta(hours=24))
    assert settings.superseded_window <= timedelta(hours=1)
    assert settings.session_check_url is not None
