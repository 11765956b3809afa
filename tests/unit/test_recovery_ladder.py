"""Each rung of the recovery ladder: what comes after every answer of upstream, and never too early."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.broker.model import Confirmed, Denial, Denied, Marks, Rotated, Unavailable, Unknown
from service.broker.policy import Terms
from service.broker.recovery import (
    Asker,
    Bury,
    Check,
    Force,
    GiveUp,
    Keep,
    Leave,
    Present,
    Progress,
    Store,
    next_step,
)
from tests.support.builders import HOUR, MINUTE, NOON, SECOND, TICK, a_grant, a_minted, a_pair

TERMS = Terms()
CALLER, COMPLAINER, WORKER = Asker(waits=True), Asker(waits=True, complained=True), Asker(waits=False)
GRANT = a_grant()
MIDDLE, ENDS = NOON + 30 * MINUTE, NOON + HOUR
TOO_SHORT = ENDS - MINUTE
MINTED = a_minted()
DEAD, GONE = Denied(Denial.REFRESH_TOKEN_DEAD), Denied(Denial.USER_GONE)
REFUSED = Denied(Denial.TOKEN_REFUSED)
CLIENT_FAULT = Denied(Denial.CLIENT_FAULT, "credentials_refused")
NAMELESS = Denied(Denial.CLIENT_FAULT)
ODD = Denied(Denial.INVALID, "odd")
THROTTLED = Unavailable("throttled", 7.0)
UNREACHED = Unavailable("not_reached")
OUTCOMES = [
    Rotated(MINTED),
    Unavailable("throttled", 7.0),
    Unknown("timeout"),
    *(Denied(code) for code in Denial),
]


def step(grant=GRANT, asker=CALLER, at=MIDDLE, *, recovers=True, **progress):
    return next_step(grant, Progress(**progress), asker, at, TERMS, recovers=recovers)


def presented(outcome, times=1, **how):
    return step(presented=outcome, presentations=times, **how)


def marked(**marks):
    return replace(GRANT, marks=Marks(**marks))


SPENT = marked(refresh_token_dead=True)


@pytest.mark.parametrize("asker", [CALLER, COMPLAINER, WORKER])
@pytest.mark.parametrize("grant", [GRANT, marked(refused=True), marked(distrusted_until=NOON)])
def test_the_refresh_token_is_presented_first_whoever_asks(grant, asker):
    at_once = Present(after=0 * SECOND)
    assert step(grant, asker) == step(grant, asker, ENDS + HOUR) == at_once


@pytest.mark.parametrize(
    ("outcome", "then"),
    [
        (Rotated(MINTED), Store(MINTED, forced=False)),
        (Unknown("timeout"), Leave("timeout", forced=False)),
        (THROTTLED, GiveUp("throttled", THROTTLED)),
        (UNREACHED, GiveUp("not_reached", UNREACHED)),
        (GONE, Bury("user_gone")),
        (CLIENT_FAULT, GiveUp("credentials_refused", CLIENT_FAULT)),
        (NAMELESS, GiveUp("client_fault", NAMELESS)),
        (ODD, GiveUp("odd", ODD)),
    ],
)
@pytest.mark.parametrize("at", [MIDDLE, ENDS + HOUR])
def test_an_answer_to_the_refresh_token_leads_to_one_step_by_itself(outcome, then, at):
    assert presented(outcome, at=at) == then


@pytest.mark.parametrize(
    ("outcome", "then"),
    [
        (Rotated(MINTED), Store(MINTED, forced=True)),
        (Unknown("timeout"), Leave("timeout", forced=True)),
        (THROTTLED, GiveUp("throttled", THROTTLED)),
        (GONE, Bury("user_gone")),
        (CLIENT_FAULT, GiveUp("credentials_refused", CLIENT_FAULT)),
        (DEAD, GiveUp("force_refused")),
        (REFUSED, GiveUp("token_refused", REFUSED)),
    ],
)
@pytest.mark.parametrize("grant", [GRANT, SPENT, marked(force_pending=True), marked(refused=True)])
def test_an_answer_to_a_force_refresh_leads_to_one_step_and_never_to_a_second_one(grant, outcome, then):
    assert step(grant, presented=DEAD, presentations=1, forced=outcome) == then


@pytest.mark.parametrize("asker", [CALLER, COMPLAINER, WORKER])
def test_what_was_ordered_by_force_is_forced_at_once_where_upstream_can(asker):
    ordered = marked(force_pending=True)
    assert step(ordered, asker) == Force()
    assert step(marked(force_pending=True, refresh_token_dead=True), asker) == Force()
    assert step(ordered, asker, recovers=False) == Present()


@pytest.mark.parametrize(
    ("age", "then"),
    [
        (0 * SECOND, Present(after=2 * SECOND)),
        (10 * SECOND - TICK, Present(after=2 * SECOND)),
        (10 * SECOND, Keep(confirmed=False)),
    ],
)
def test_a_very_young_pairs_refresh_token_is_presented_once_more_after_a_moment(age, then):
    assert presented(DEAD, at=NOON + age) == then


def test_a_young_pair_gets_one_second_chance_and_no_third():
    assert presented(DEAD, times=2, at=NOON + SECOND) == Keep(confirmed=False)


def test_a_young_short_lived_pair_waits_in_proportion():
    grant = a_grant(pair=a_pair(lifetime=20 * SECOND))
    assert presented(DEAD, grant=grant, at=NOON) == Present(after=0.5 * SECOND)


@pytest.mark.parametrize("asker", [CALLER, WORKER])
@pytest.mark.parametrize("recovers", [True, False])
def test_while_the_access_token_is_good_it_is_kept_although_the_refresh_token_is_dead(asker, recovers):
    assert presented(DEAD, asker=asker, recovers=recovers) == Keep(confirmed=False)
    assert step(SPENT, asker, recovers=recovers) == Keep(confirmed=False)


@pytest.mark.parametrize(
    ("asker", "at", "then"),
    [
        (CALLER, TOO_SHORT - TICK, Keep(confirmed=False)),
        (CALLER, TOO_SHORT, Force()),
        (COMPLAINER, TOO_SHORT, Force()),
        (WORKER, TOO_SHORT, Keep(confirmed=False)),
        (WORKER, ENDS - TICK, Keep(confirmed=False)),
        (WORKER, ENDS, Force()),
    ],
)
def test_forcing_waits_until_the_access_token_is_dead_or_a_caller_cannot_use_it(asker, at, then):
    assert presented(DEAD, asker=asker, at=at) == then
    assert step(SPENT, asker, at) == then


@pytest.mark.parametrize("asker", [CALLER, COMPLAINER, WORKER])
@pytest.mark.parametrize(("recovers", "then"), [(True, Force()), (False, Bury("refused"))])
def test_when_upstream_refused_the_access_token_too_the_last_step_is_due(asker, recovers, then):
    refused = marked(refused=True)
    assert presented(DEAD, grant=refused, asker=asker, recovers=recovers) == then
    spent = marked(refused=True, refresh_token_dead=True)
    assert step(spent, asker, recovers=recovers) == then


def test_without_recovery_a_grant_whose_tokens_are_both_dead_is_buried():
    assert presented(DEAD, at=ENDS, recovers=False) == Bury("refused")


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        (None, Check()),
        (Confirmed(), Keep(confirmed=True)),
        (REFUSED, Force()),
        (CLIENT_FAULT, GiveUp("credentials_refused", CLIENT_FAULT)),
        (GONE, GiveUp("user_gone", GONE)),
        (THROTTLED, GiveUp("throttled", THROTTLED)),
        (Unknown("timeout"), GiveUp("timeout", Unknown("timeout"))),
    ],
)
def test_a_complaint_has_the_access_token_checked_before_anything_is_forced(answer, then):
    assert presented(DEAD, asker=COMPLAINER, checked=answer) == then
    assert step(SPENT, COMPLAINER, checked=answer) == then


def test_a_complaint_about_a_token_without_recovery_ends_with_the_grant():
    assert presented(DEAD, asker=COMPLAINER, checked=REFUSED, recovers=False) == Bury("refused")


def test_a_spent_refresh_token_is_never_presented_again():
    for outcome in (None, *OUTCOMES):
        later = Progress(checked=Confirmed(), forced=outcome)
        for asker in (CALLER, COMPLAINER, WORKER):
            assert not isinstance(next_step(SPENT, later, asker, NOON, TERMS, recovers=True), Present)


def test_progress_counts_its_presentations():
    progress = Progress().after_presenting(DEAD).after_presenting(Unknown("timeout"))
    assert (progress.presented, progress.presentations) == (Unknown("timeout"), 2)


GRANTS = st.builds(
    lambda marks, lifetime: a_grant(pair=a_pair(lifetime=lifetime), marks=marks),
    st.fixed_dictionaries(
        {"refused": st.booleans(), "refresh_token_dead": st.booleans(), "force_pending": st.booleans()}
    ),
    st.timedeltas(SECOND, 24 * HOUR),
)
RUNS = st.tuples(
    GRANTS,
    st.builds(Asker, waits=st.booleans(), complained=st.booleans()),
    st.timedeltas(0 * SECOND, 30 * HOUR).map(lambda after: NOON + after),
    st.booleans(),
    st.lists(st.sampled_from([*OUTCOMES, Confirmed()]), min_size=8, max_size=8),
)


def steps_of(grant, asker, now, recovers, answers):
    """Walk the ladder to its end, upstream answering as listed; returns every step taken."""
    progress, taken = Progress(), []
    for answer in answers:
        taken.append(next_step(grant, progress, asker, now, TERMS, recovers=recovers))
        match taken[-1]:
            case Present():
                progress = progress.after_presenting(DEAD if answer == Confirmed() else answer)
            case Check():
                progress = replace(
                    progress, checked=Unknown("odd") if isinstance(answer, Rotated) else answer
                )
            case Force():
                progress = replace(progress, forced=DEAD if answer == Confirmed() else answer)
            case _:
                return taken
    return taken


@given(RUNS)
def test_the_ladder_ends_after_four_calls_at_most(run):
    assert not isinstance(steps_of(*run)[-1], Present | Check | Force)
    assert len(steps_of(*run)) <= 5


@given(RUNS)
def test_nothing_is_forced_twice_or_at_a_provider_that_cannot(run):
    *_, recovers, _ = run
    assert sum(isinstance(taken, Force) for taken in steps_of(*run)) <= recovers


@given(RUNS)
def test_nothing_is_forced_or_buried_over_a_good_access_token_without_upstreams_word(run):
    grant, asker, now, _, _ = run
    marks, last = grant.marks, steps_of(*run)
    alive = now < grant.pair.expires_at - MINUTE and not (marks.refused or marks.force_pending)
    if alive and not asker.complained:
        assert not any(isinstance(taken, Force) for taken in last)
        assert last[-1] != Bury("refused")
