"""Taking over users who exist upstream: with the pair the app holds, or on an administrator's word."""

from dataclasses import replace

import pytest

from service.broker.errors import Conflict, GrantLive, GrantPaused, Invalid, UpstreamUnavailable
from service.broker.model import UserKey


def recover(world, anna, *, email="anna@example.com", upstream_id=None):
    upstream_id = str(upstream_id or anna.upstream_id)
    return world.broker.users.recover(anna.key, upstream_id, email, vouch=True, actor="test")


async def test_an_enrolled_token_is_served_and_accepted_from_a_browser(world):
    anna, enrolment = world.seed()
    await world.enrol(anna, enrolment)
    assert await anna.token() == enrolment.access_token
    assert await world.browser(enrolment.access_token) == enrolment.access_token
    assert anna.calls() == ["check"]


async def test_an_enrolled_pair_is_rotated_like_any_other(world):
    anna, enrolment = world.seed()
    await world.enrol(anna, enrolment)
    new = await anna.rotate()
    assert await world.browser(enrolment.access_token) == new
    assert anna.calls() == ["refresh"]


async def test_an_expired_pair_is_refreshed_for_the_first_who_asks(world):
    world.sandbox.advance(-2 * 3600)
    anna, enrolment = world.seed()
    world.sandbox.advance(2 * 3600)
    await world.enrol(anna, enrolment)
    assert anna.calls() == []
    assert world.sandbox.is_live(await world.browser(enrolment.access_token))
    assert anna.calls() == ["refresh"]


async def test_a_token_of_another_upstream_user_is_refused(world):
    (bert, _), (_, enrolment) = world.seed("bert"), world.seed("anna")
    with pytest.raises(Invalid) as refusal:
        await world.enrol(bert, replace(enrolment, upstream_id=str(bert.upstream_id)))
    assert list(refusal.value.fields) == ["accessToken"]


async def test_an_upstream_user_belongs_to_one_user_of_the_app(world):
    anna, enrolment = world.seed()
    await world.enrol(anna, enrolment)
    anna.key = UserKey("default", "bert")
    with pytest.raises(Conflict):
        await world.enrol(anna, replace(enrolment, profile=None))


async def test_onto_a_live_grant_only_on_demand(world):
    anna, enrolment = world.seed()
    await world.enrol(anna, enrolment)
    current = await anna.rotate()
    with pytest.raises(GrantLive):
        await world.enrol(anna, enrolment)
    assert await anna.token() == current


async def test_a_replacing_pair_is_served_at_once_and_older_tokens_are_answered_with_it(world):
    anna, enrolment = world.seed()
    await world.enrol(anna, enrolment)
    old = await anna.rotate()
    pair = world.sandbox.state.issue(world.sandbox.client("cl-default"), world.sandbox.user(anna.upstream_id))
    newer = replace(enrolment, access_token=pair.access.secret, refresh_token=pair.refresh.secret)
    await world.enrol(anna, newer, replace=True)
    assert await anna.token() == await world.browser(old) == pair.access.secret
    assert anna.calls() == ["refresh"]


@pytest.mark.parametrize("again", [False, True])
async def test_a_pause_is_not_lifted_by_enrolling(world, again):
    anna, enrolment = world.seed()
    await world.enrol(anna, enrolment)
    await world.broker.users.pause(anna.key, actor="test")
    with pytest.raises(GrantPaused):
        await world.enrol(anna, enrolment, replace=again)


async def test_a_pause_is_not_lifted_by_recovering_and_no_token_is_killed(world):
    anna, enrolment = world.seed()
    await world.enrol(anna, enrolment)
    await world.broker.users.pause(anna.key, actor="test")
    with pytest.raises(GrantPaused):
        await recover(world, anna)
    assert world.sandbox.is_live(enrolment.access_token)
    assert anna.calls("force") == []


async def test_a_user_without_tokens_is_recovered_on_an_administrators_word(world):
    anna, lost = world.seed()
    user = await recover(world, anna)
    assert user.upstream_id == str(anna.upstream_id)
    assert world.sandbox.is_live(await anna.token())
    assert not world.sandbox.is_live(lost.access_token)
    assert anna.calls() == ["read", "force", "check"]


@pytest.mark.parametrize("wrong", [{"email": "bert@example.com"}, {"upstream_id": 99999}])
async def test_id_and_e_mail_must_belong_together(world, wrong):
    anna, enrolment = world.seed()
    with pytest.raises(Invalid):
        await recover(world, anna, **wrong)
    assert world.sandbox.is_live(enrolment.access_token)
    assert anna.calls("force") == []


async def test_a_recovery_that_cannot_verify_changes_nothing(world):
    anna, enrolment = world.seed()
    world.sandbox.fault("error_before", "read", count=1)
    with pytest.raises(UpstreamUnavailable):
        await recover(world, anna)
    assert world.sandbox.is_live(enrolment.access_token)


async def test_a_recovery_whose_answer_was_lost_can_be_repeated(world):
    anna, _ = world.seed()
    world.sandbox.fault("drop_after", "force", count=1)
    with pytest.raises(UpstreamUnavailable):
        await recover(world, anna)
    await recover(world, anna)
    assert world.sandbox.is_live(await anna.token())
    assert (await anna.grant()).marks.distrusted


async def test_recovering_a_live_user_replaces_its_tokens(world):
    anna, enrolment = world.seed()
    await world.enrol(anna, enrolment)
    await recover(world, anna)
    assert await world.browser(enrolment.access_token) == await anna.token() != enrolment.access_token
