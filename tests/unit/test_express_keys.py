"""A key on a kept connection: looked up once for the same headers and the same keys, for no others."""

import pytest

from tests.support.at_hand import AtHandScript, hit_of
from tests.support.doors import api_key, open_house
from tests.support.talk import request, talk

TOKEN = "/v1/users/u-1/token"
READS = "tokens:read"


class Keys:
    """The keys as a mounted file has them now."""

    def __init__(self, *keys):
        self.value = keys

    def __call__(self):
        return self.value


def asks(key):
    return request(f"Authorization: Bearer {key}", target=TOKEN)


@pytest.fixture
def keys():
    return Keys(api_key("one", READS), api_key("other", READS))


async def statuses(keys, *steps):
    """What each step is answered, and who was given; a step is a key that asks, or the keys from now on."""
    at_hand, answers = AtHandScript(near=hit_of), []
    async with open_house(at_hand=at_hand, api_keys=keys) as house, talk(house, "internal") as line:
        for step in steps:
            if isinstance(step, str):
                line.say(asks(step))
                answers.append(int((await line.hear()).split()[1]))
            else:
                keys.value = step
    return answers, [given.asking.actor for given in at_hand.noted], house.answers.calls


async def test_the_same_key_is_the_same_caller_all_along(keys):
    assert await statuses(keys, "one-key", "one-key", "one-key") == ([200] * 3, ["one"] * 3, [])


async def test_another_key_is_another_caller(keys):
    answers, actors, _ = await statuses(keys, "one-key", "other-key", "one-key")
    assert (answers, actors) == ([200] * 3, ["one", "other", "one"])


async def test_a_key_that_is_withdrawn_counts_at_once_no_longer(keys):
    answers, actors, _ = await statuses(keys, "one-key", (api_key("other", READS),), "one-key", "other-key")
    assert (answers, actors) == ([200, 401, 200], ["one", "other"])


async def test_a_key_that_is_new_counts_at_once(keys):
    answers, *_ = await statuses(keys, "new-key", (api_key("new", READS),), "new-key", "new-key")
    assert answers == [401, 200, 200]


async def test_a_key_whose_scopes_are_taken_may_do_nothing_more(keys):
    answers, *_ = await statuses(keys, "one-key", (api_key("one", "users:read"),), "one-key")
    assert answers == [200, 403]


async def test_an_unknown_key_stays_unknown_and_a_known_one_behind_it_is_known(keys):
    assert (await statuses(keys, "no-key", "no-key", "one-key"))[0] == [401, 401, 200]
