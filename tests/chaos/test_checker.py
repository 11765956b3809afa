"""The checker of the fault campaign: each kind of finding planted once in a small run that has none."""

import base64
from urllib.parse import quote

import pytest

from tests.chaos import folder as names
from tests.chaos.check.figures import figures_of
from tests.chaos.check.leaks import nothing_leaks
from tests.chaos.check.service import availability
from tests.chaos.check.verdict import CHECKS
from tests.chaos.invented import SECRETS, USER, Invented


def kinds(run):
    evidence = run.evidence()
    return {finding.kind for check in CHECKS for finding in check(evidence)}


def found(run, kind):
    evidence = run.evidence()
    return [one.text for check in CHECKS for one in check(evidence) if one.kind == kind]


def faults(run, begin_ms, end_ms):
    run.blows += [{"what": "faults_begin", "at_ms": begin_ms}, {"what": "faults_end", "at_ms": end_ms}]


def test_a_run_as_it_should_be_has_no_finding():
    assert kinds(Invented()) == set()


def test_a_user_who_is_served_too_late_is_bricked():
    run = Invented()
    run.answers.clear()
    run.answer("access-2", 11_600, kind="calm", generation=2)
    assert kinds(run) == {"bricked"}


def test_a_user_who_is_served_a_dead_token_is_bricked():
    run = Invented()
    run.call(5_000, route="force", committed=True, committed_ms=5_000, revoked_access=["access-2"])
    run.claim(4_900, generation=2, epoch=2, claim_kind="force")
    assert {"bricked", "dead_answers"} <= kinds(run)


@pytest.mark.parametrize("at_ms", [12_200, 20_000])
def test_a_token_that_was_dead_before_it_was_asked_for_is_a_dead_answer(at_ms):
    run = Invented()
    run.answer("access-2", at_ms)
    assert kinds(run) == {"dead_answers"}


def test_a_token_that_dies_while_it_is_asked_for_is_not():
    run = Invented()
    run.answer("access-2", 12_090, done_ms=12_500)
    assert kinds(run) == set()


def test_a_revoked_token_is_dead_from_the_commit_on():
    run = Invented()
    run.claim(9_000, generation=2, epoch=2, claim_kind="force")
    run.call(9_100, route="force", committed=True, committed_ms=9_100, revoked_access=["access-2"])
    run.answer("access-2", 9_050)
    assert kinds(run) == set()
    run.answer("access-2", 9_200)
    assert kinds(run) == {"dead_answers"}


def test_anothers_token_is_cross_user():
    run = Invented()
    run.answer("access-2", 6_100, user=USER + 1)
    assert kinds(run) == {"cross_user"}


def test_a_token_that_upstream_never_issued_is_cross_user():
    run = Invented()
    run.answer("invented", 6_100)
    assert kinds(run) == {"cross_user"}


def test_an_answer_that_holds_more_than_it_may_leaks():
    run = Invented()
    run.answer("access-2", 6_100, more={"refreshToken": "refresh-2"})
    assert kinds(run) == {"leaks"}


def test_a_presentation_after_the_successors_commit_is_a_double_spend():
    run = Invented()
    run.call(4_200, presented="refresh-1")
    assert any("its successor was committed" in text for text in found(run, "double_spends"))


def test_a_presentation_after_dead_was_known_is_a_double_spend():
    run = Invented()
    run.row(at_ms=9_000, generation=2, claim_epoch=1, refresh_token_dead=True)
    run.claim(9_100, generation=2, epoch=2)
    run.call(9_200, presented="refresh-2")
    assert any("known to be dead" in text for text in found(run, "double_spends"))


def test_a_late_sender_under_anothers_claim_is_a_double_spend():
    run = Invented()
    run.claim(8_000, generation=2, epoch=2, owner="stopped")
    run.claim(10_600, generation=2, epoch=3, owner="successor")
    run.call(10_700, presented="refresh-2")
    run.call(10_800, presented="refresh-2")
    assert any("under the claim" in text for text in found(run, "double_spends"))


def test_presenting_again_under_a_stamp_of_its_own_is_none():
    run = Invented()
    run.claim(8_000, generation=2, epoch=2)
    run.call(8_100, presented="refresh-2")
    run.claim(8_300, generation=2, epoch=2)
    run.call(8_400, presented="refresh-2")
    assert kinds(run) == set()


def test_what_the_network_doubles_is_no_double_spend():
    run = Invented()
    run.call(4_400, presented="refresh-1", duplicate_of=2)
    assert kinds(run) == set()


def test_a_presentation_without_any_claim_is_a_double_spend():
    run = Invented()
    run.audit = [row for row in run.audit if row["claim_owner"] is None]
    assert any("had no claim" in text for text in found(run, "double_spends"))


def test_two_forces_under_one_claim_overlap():
    run = Invented()
    run.claim(9_000, generation=2, epoch=2, claim_kind="force")
    run.call(9_100, route="force")
    run.call(9_200, route="force")
    assert kinds(run) == {"overlaps"}


def test_a_generation_that_goes_back_is_found():
    run = Invented()
    run.row(at_ms=9_000, generation=1, claim_epoch=1)
    assert "generations" in kinds(run)


def test_an_answer_ahead_of_the_database_is_found():
    run = Invented()
    run.answer("access-2", 4_050, done_ms=4_120, generation=2)
    assert kinds(run) == {"generations"}


def test_a_row_whose_refresh_token_is_spent_is_found():
    run = Invented()
    run.claim(9_000, generation=2, epoch=2)
    run.issue(9_100, 3, stored=False, route="refresh", presented="refresh-2", consumed="refresh-2")
    run.row(at_ms=9_200, generation=2, claim_epoch=2)
    assert kinds(run) == {"generations"}


def test_a_process_that_ends_by_itself_is_found():
    run = Invented()
    run.blows.append({"what": "ended_by_itself", "at_ms": 5_000, "who": "worker-0", "code": 1})
    assert kinds(run) == {"crashes"}


def test_a_long_campaign_with_too_few_answers_is_found():
    run = Invented()
    faults(run, 0, 300_000)
    for number in range(9):
        run.answer("access-2", 6_000 + number)
    assert kinds(run) == set()
    run.answer(None, 6_100)
    assert kinds(run) == {"unavailable"}


def test_only_requests_that_met_with_darkness_are_left_out():
    run = Invented()
    faults(run, 0, 300_000)
    run.blows.append({"what": "dark", "from_ms": 7_000, "to_ms": 9_000})
    run.answer(None, 6_980)
    run.answer(None, 8_990)
    assert availability(run.evidence()) == (1.0, 1)
    run.answer(None, 9_000)
    assert availability(run.evidence()) == (0.5, 2)


def test_a_load_that_asks_too_often_proves_nothing():
    run = Invented()
    faults(run, 0, 60_000)
    for number in range(10):
        run.answer("access-2", 6_100 + number)
    assert kinds(run) == {"unavailable"}


SECRET = b"a-client-secret-nobody-may-see"
TOKEN = b"head.of.access-2." + b"s" * 24 + b"-access-2"
HIDDEN = {
    "as it is": SECRET,
    "as a prefix": SECRET[:20],
    "in base64": base64.b64encode(SECRET),
    "in base64 behind two bytes": base64.b64encode(b"xy" + SECRET),
    "in base64 behind one byte": base64.urlsafe_b64encode(b"x" + SECRET),
    "in hexadecimal": SECRET.hex().encode(),
    "a key decoded": b"e" * 32,
    "a password": b"the-database-password",
    "a token": TOKEN,
    "a token's beginning": TOKEN[:20],
    "a token's signature": TOKEN.rpartition(b".")[2],
    "a token in base64": base64.b64encode(b"Bearer " + TOKEN),
}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_a_secret_is_found_in_whatever_form(tmp_path, hidden):
    assert leaks_of(tmp_path, b"before " + hidden + b" after")


def test_a_secret_with_signs_in_it_is_found_escaped(tmp_path, monkeypatch):
    secret = 'a "secret"/with signs'
    monkeypatch.setitem(SECRETS, "api_key", secret)
    assert leaks_of(tmp_path, quote(secret, safe="").encode())
    assert leaks_of(tmp_path, secret.replace('"', r"\"").encode())


def test_what_is_no_secret_is_none(tmp_path):
    assert not leaks_of(tmp_path, b"nothing of the kind: YW5vdGhlciB0ZXh0IGFsdG9nZXRoZXI=")


@pytest.mark.parametrize("file", ["output/service-0.log", "output/redis.dump", "stores/postgres.log"])
def test_whatever_could_be_read_is_looked_through(tmp_path, file):
    assert leaks_of(tmp_path, b"before " + TOKEN + b" after", file)


def leaks_of(tmp_path, content, file="output/service-0.log"):
    for place in (names.OUTPUT, names.STORES):
        (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(content)
    (tmp_path / names.ANSWERS).touch()
    return list(nothing_leaks(Invented().evidence(), tmp_path))


def test_the_figures_name_every_invariant():
    figures = figures_of(Invented().evidence(), [])
    wanted = {
        "bricked",
        "dead_answers",
        "double_spends",
        "cross_user",
        "leaks",
        "forced_share",
        "availability",
    }
    assert wanted <= figures.keys()
    assert figures["rotations"] == 1
