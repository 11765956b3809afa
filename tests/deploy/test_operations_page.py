"""The operations page has an entry for every alert and every metric, and names nothing that is not there."""

import re
from pathlib import Path

import pytest

from tests.deploy.pages import PAGE, ROOT, section
from tests.support.promql import alerts, registered

TEXT = PAGE.read_text()
HEADINGS = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
ENTRIES = re.findall(r"^### (.+)$", section("Alerts"), re.MULTILINE)
MARKS = {"your own values", "needs a cluster"}


def anchor(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_alert_has_its_entry_and_no_entry_is_of_an_alert_that_is_gone():
    assert sorted(ENTRIES) == sorted(alerts())


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_says_what_it_means_how_to_confirm_it_and_what_to_do(name):
    entry = section(name)
    at = [entry.find(f"**{word}.**") for word in ("Means", "Confirm", "Do")]
    assert -1 not in at
    assert at == sorted(at)


def test_the_runbook_of_an_alert_is_an_anchor_of_the_page():
    anchors = {f"docs/operations.md#{anchor(heading)}" for heading in HEADINGS}
    assert {rule["annotations"]["runbook_url"] for rule in alerts().values()} <= anchors


def test_every_link_leads_somewhere():
    inside = re.findall(r"\]\(#([\w-]+)\)", TEXT)
    files = re.findall(r"\]\(([\w./-]+\.md)\)", TEXT)
    assert set(inside) - {anchor(heading) for heading in HEADINGS} == set()
    assert [file for file in files if not (PAGE.parent / file).exists()] == []


def test_the_table_of_metrics_is_what_is_registered():
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", section("Metrics"), re.MULTILINE)
    told = {f"token_broker_{name}": set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert told == registered()


def test_every_reason_for_which_a_caller_is_refused_is_explained():
    files = [ROOT / "service" / file for file in ("adapters/signed.py", "adapters/service_accounts.py")]
    tokens = re.findall(
        r'(?:return|or) "(\w+)"(?: if .*)?$', "\n".join(file.read_text() for file in files), re.MULTILINE
    )
    others = re.findall(r'reason="(\w+)"', (ROOT / "service" / "api" / "callers.py").read_text())
    assert len(tokens) > 10
    named = set(re.findall(r"`(\w+)`", section("A caller is refused")))
    assert {f"token_{reason}" for reason in tokens} | set(others) <= named


def test_every_event_it_names_is_one_that_is_written():
    written = "".join(
        file.read_text() for room in ("service", "worker") for file in (ROOT / room).rglob("*.py")
    )
    kinds = "refresh|grant|circuit|token|request|worker|dependency|secret|clock|claim|upstream"
    named = set(re.findall(rf"`((?:{kinds})\.[a-z_]+)`", TEXT))
    assert len(named) > 15
    assert {name for name in named if not re.search(rf"[\"']{name}[\"']", written)} == set()


def test_every_command_is_run_by_a_test_or_says_what_it_needs():
    marks = re.findall(r"(?:<!-- (.+) -->\n)?```sh\n", TEXT)
    run_by = {mark.removeprefix("run by ") for mark in marks if mark.startswith("run by ")}
    assert {mark for mark in marks if not mark.startswith("run by ")} <= MARKS
    assert run_by
    assert [file for file in run_by if not Path(ROOT, file).exists()] == []
