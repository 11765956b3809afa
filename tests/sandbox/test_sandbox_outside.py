"""What tests look up in the sandbox, and what they change behind the callers' backs."""

import pytest


async def test_expired_tokens_keep_their_rows_until_purged(sandbox, api, pair, user_id):
    assert sandbox.expire(user_id) == 1

    before = await api.check(pair.access.secret)
    assert sandbox.purge("c1") == 1
    after = await api.check(pair.access.secret)

    assert (before.status, after.status) == (498, 401)


async def test_an_expiry_from_outside_leaves_the_refresh_token(sandbox, api, pair, user_id):
    sandbox.expire(user_id)

    assert (await api.refresh(pair.refresh.secret)).status == 200
    assert (await api.check(pair.access.secret)).status == 401


async def test_one_access_token_can_be_killed(sandbox, api, pair):
    assert sandbox.kill(pair.access.secret)

    assert (await api.check(pair.access.secret)).message == "Invalid Access Token."
    assert not sandbox.kill(pair.access.secret)
    assert (await api.refresh(pair.refresh.secret)).status == 200


async def test_one_refresh_token_can_be_killed(sandbox, api, pair):
    assert sandbox.kill_refresh(pair.refresh.secret)

    assert (await api.refresh(pair.refresh.secret)).status == 400
    assert not sandbox.kill_refresh(pair.refresh.secret)
    assert (await api.check(pair.access.secret)).status == 200


async def test_a_user_deleted_out_of_band_answers_as_upstream_would(sandbox, api, pair, user_id):
    sandbox.delete_user(user_id)

    assert (await api.refresh(pair.refresh.secret)).message == "Invalid refresh token"
    assert (await api.force(user_id)).status == 404
    assert (await api.check(pair.access.secret)).status == 401
    assert (await api.create()).status == 201


async def test_liveness_is_what_upstream_would_answer(sandbox, api, pair):
    assert sandbox.is_live(pair.access.secret)
    assert not sandbox.is_live(pair.refresh.secret)
    assert not sandbox.is_usable(pair.access.secret)

    sandbox.advance(3600)

    assert not sandbox.is_live(pair.access.secret)
    assert (await api.check(pair.access.secret)).status == 498


async def test_counts_name_rows_and_calls(sandbox, api, pair):
    await api.refresh(pair.refresh.secret)

    counts = sandbox.counts()

    assert (counts["users"], counts["access_tokens"], counts["refresh_tokens"]) == (1, 2, 1)
    assert counts["refresh"] == 1


async def test_users_are_found_by_client_and_email(sandbox, user_id):
    assert [user.id for user in sandbox.users("c1")] == [user_id]
    assert sandbox.users("c2") == []
    assert sandbox.find_user("c1", "Ann@example.com").id == user_id
    assert sandbox.find_user("c2", "ann@example.com") is None


async def test_an_unknown_field_of_a_client_is_refused(sandbox):
    with pytest.raises(ValueError, match="no field 'colour'"):
        sandbox.change_client("c1", colour="red")


async def test_redirect_uris_may_be_changed_while_it_runs(sandbox, api, pair):
    sandbox.change_client("c1", redirect_uris=["https://new.example"])

    assert (await api.me(pair.access.secret, headers={"Origin": "https://new.example"})).status == 200
    assert (await api.me(pair.access.secret, headers={"Origin": "https://app.example"})).status == 401
