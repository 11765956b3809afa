"""The checker sees what is wrong in a few lines of evidence, and finds nothing wrong with what is right."""

from datetime import timedelta

import pytest

from service.broker.errors import TokenUnknown
from service.broker.model import ClaimKind, Confirmed, UserKey
from service.broker.policy import Terms
from tests.simulation.checker import findings_of
from tests.simulation.evidence import Evidence
from tests.simulation.journal import Call, Journal
from tests.simulation.loop import Loop
from tests.simulation.tables import NOON, KnownDead, Revoked, Stamped, Stored, Tables
from tests.simulation.upstream import Access, Upstream
from tests.simulation.wire import Exchange
from tests.support.builders import a_current, a_grant

ANNA, BERT = UserKey("first-client", "anna"), UserKey("first-client", "bert")
MINUTE = timedelta(seconds=60)


class Story:
    """Evidence told line by line: Anna has had three pairs, a1 to a3, each alive for an hour from noon on."""

    def __init__(self):
        self.tables = Tables(lambda: 0.0, claim_deadline=MINUTE / 3, distrust_window=MINUTE)
        self.journal = Journal(self.tables)
        self.upstream = Upstream(lambda: 0.0, lifetime_s=3600.0)
        for number in (1, 2, 3):
            self.upstream.minted[f"a{number}"] = Access(f"a{number}", "up-anna", 0.0, 3600.0, 3600.0)
            self.tables.log.append(
                Stored(100.0 * number, ANNA, number, f"a{number}", f"r{number}", number - 1)
            )

    def call(self, kind="browser", *, gets=2, at=500.0, lasts=1.0, key=ANNA, **facts):
        """A call that is answered with Anna's token of a generation, or with whatever else it `gets`."""
        call = Call(kind, key, at, answered_at=at + lasts, by="service-0.1", **facts)
        call.outcome = gets
        if isinstance(gets, int):
            call.outcome = a_current(
                key=ANNA,
                generation=gets,
                access_token=f"a{gets}",
                issued_at=NOON,
                expires_at=NOON + 60 * MINUTE,
            )
            call.decided_at, call.decided_by_clock = at, NOON + timedelta(seconds=at)
        self.journal.calls.append(call)

    def presents(self, generation, at, *, until=None, owner="service-0.1", epoch=1, outcome=None):
        """A claim at an instant, and the refresh token presented under it until it is answered."""
        stamped = Stamped(at, ANNA, generation, epoch, owner, ClaimKind.REFRESH, at + 20.0)
        self.tables.log.append(stamped)
        call = Exchange("refresh", f"r{generation}", owner, at, at, until, outcome)
        self.journal.exchanges.append(call)

    def checks(self, token, sent_at, answered_at):
        """A check of an access token that upstream has answered with yes."""
        exchange = Exchange("check", token, "service-0.1", sent_at, sent_at, answered_at, Confirmed())
        self.journal.exchanges.append(exchange)

    def dies(self, token, at):
        self.upstream.minted[token].ends_at = at

    def findings(self):
        terms = Terms()
        return findings_of(Evidence(self.journal, self.tables, self.upstream, terms, Loop(lambda: 0.0)))


@pytest.fixture
def story():
    return Story()


def only_finding(story):
    (finding,) = story.findings()
    return finding


def test_a_living_token_is_a_good_answer(story):
    story.call(presented="a1")
    assert story.findings() == []


def test_a_token_that_was_dead_before_it_was_asked_for_is_found(story):
    story.dies("a2", 499.0)
    story.call()
    assert only_finding(story).startswith("I2 dead answer")


def test_a_token_that_died_while_it_was_asked_for_is_no_dead_answer(story):
    story.dies("a2", 500.5)
    story.call()
    assert story.findings() == []


def test_a_token_with_less_than_its_least_life_is_found(story):
    story.call(at=3550.0)
    assert [text.split(":")[0] for text in story.findings()] == ["answer without life"]


def test_the_presented_token_handed_back_is_found(story):
    story.call(presented="a2")
    assert only_finding(story).startswith("presented token handed back unconfirmed")


def test_the_presented_token_confirmed_during_the_call_is_a_good_answer(story):
    story.checks("a2", 500.2, 500.4)
    story.call(presented="a2")
    assert story.findings() == []


def test_anothers_token_is_found(story):
    story.call(key=BERT)
    assert only_finding(story).startswith("I7 foreign token")


def test_a_presentation_after_the_successor_was_committed_is_found(story):
    story.presents(2, 300.1, until=300.2)
    assert only_finding(story).startswith("I4 presented after its successor was committed")


def test_a_presentation_of_what_is_known_to_be_dead_is_found(story):
    story.tables.log.append(KnownDead(350.0, ANNA, 3))
    story.presents(3, 400.0, until=400.2)
    assert only_finding(story).startswith("I4 presented after it was known to be dead")


def test_two_presentations_at_once_are_found(story):
    story.presents(3, 400.0, until=405.0)
    story.presents(3, 404.0, until=406.0, owner="worker-2.1", epoch=2)
    assert only_finding(story).startswith("I4/I5 overlaps")


def test_a_presentation_after_the_deadline_of_one_without_an_answer_is_right(story):
    story.presents(3, 400.0)
    story.presents(3, 420.0, until=421.0, owner="worker-2.1", epoch=2)
    assert story.findings() == []


def test_an_older_token_after_a_revoke_is_found(story):
    story.call("revoke", gets=a_grant(key=ANNA, generation=3), at=350.0)
    story.call("service", gets=2)
    assert only_finding(story).startswith("I8 older token after revoke")


def test_a_newer_token_for_a_revoked_one_is_found(story):
    story.tables.log.append(Revoked(250.0, ANNA, 2))
    story.call(gets=3, presented="a1", at=240.0, lasts=100.0)
    assert only_finding(story).startswith("I8 revoked token bought a newer one")


def test_a_token_that_identifies_its_user_and_is_turned_away_is_found(story):
    story.call(gets=TokenUnknown(), presented="a1")
    assert only_finding(story).startswith("I8 turned away")


def test_a_revoked_token_is_rightly_turned_away(story):
    story.tables.log.append(Revoked(350.0, ANNA, 3))
    story.call(gets=TokenUnknown(), presented="a1")
    assert story.findings() == []


def test_a_generation_that_does_not_increase_is_found(story):
    story.tables.log.append(Stored(400.0, ANNA, 3, "a4", "r4", 2))
    assert only_finding(story).startswith("I6 generation")


def test_what_the_broker_does_not_say_it_raises_is_found(story):
    story.call(gets=KeyError("first-client"))
    assert only_finding(story).startswith("unhandled")


def test_a_block_that_redis_owes_excuses_what_redis_still_holds(story):
    story.dies("a2", 450.0)
    story.journal.note_owed(ANNA, 2, 440.0)
    story.call(at=500.0)
    story.journal.note_paid(ANNA, 2, 510.0)
    story.call(at=520.0)
    assert only_finding(story).startswith("I2 dead answer: browser of anna at service-0.1, 520")
