"""`token-broker import` over a whole broker: each row once, by the rules of an enrolment, nobody lost."""

import pytest

from tests.support.moving import as_csv, row_of, run


@pytest.fixture
def command(world):
    """Runs `token-broker import` with the world's settings; gives exit code, output and errors."""

    async def run_import(*options, given=""):
        return await run(world._env, "import", *options, given=given)

    return run_import


def seeds(world, count, first=0):
    """Users who exist upstream and whose pairs the app has: each with its row."""
    people = [world.seed(f"user-{number}") for number in range(first, first + count)]
    return [person for person, _ in people], [row_of(*one) for one in people]


async def counts(world):
    """How many users, grants, lines and enrolments there are."""
    [row] = await world.sql(
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM grants), (SELECT count(*) FROM lineage),"
        " (SELECT count(*) FROM audit_events WHERE event = 'grant.enrolled')"
    )
    return tuple(row)


async def test_a_tab_that_holds_an_imported_token_keeps_working_and_upstream_is_not_asked(world, command):
    [anna], rows = seeds(world, 1)
    assert (await command("-", given=as_csv(rows)))[:2] == (
        0, "1 imported\n0 replaced by a newer pair\n0 already there\n0 rejected\n",
    )  # fmt: skip
    assert anna.calls() == []
    token = rows[0]["access_token"]
    assert await world.browser(token) == token
    new = await anna.rotate()
    assert await world.browser(token) == new
