"""An app that has refreshed by hand moves onto the broker with its tabs open: nobody is logged out."""

import asyncio
import json

import pytest

from sandbox.calcom import SandboxClient, SandboxConfig
from tests.support.moving import as_csv, start
from tests.support.stack import running_stack

CLIENT = SandboxClient("acme", "secret")
CONFIG = SandboxConfig(clients=(CLIENT,), lifetime_s=600)


class App:
    """The app to be moved: its table, one tab a user, and its hand-written refresh endpoint."""

    def __init__(self, stack):
        self.stack = stack
        self.rows, self.tabs = {}, {}

    def sign_up(self, name):
        """A user whose page is open."""
        user, pair = self.stack.sandbox.create_user(CLIENT.id, f"{name}@example.com")
        self._keep(name, user, pair)

    def refresh_by_hand(self, name):
        """What the app's endpoint does: spend the refresh token in the row, write the new pair there."""
        row = self.rows[name]
        assert self.stack.sandbox.is_usable(row["refreshToken"])
        self.stack.sandbox.advance(2)
        self.stack.sandbox.kill(row["accessToken"])
        self.stack.sandbox.kill_refresh(row["refreshToken"])
        client = self.stack.sandbox.client(CLIENT.id)
        user = self.stack.sandbox.find_user(CLIENT.id, f"{name}@example.com")
        self._keep(name, user, self.stack.sandbox.state.issue(client, user))

    async def import_table(self, *options):
        """Run `token-broker import` over the table as it is; gives the exit code and what it counted."""
        variables = self.stack.variables
        child = await start(variables, "import", "-", "--json", *options)
        out, err = await child.communicate(as_csv(self.rows.values(), self.rows["user-0"].keys()).encode())
        assert child.returncode in (0, 1), err
        return child.returncode, json.loads(out)

    async def tell(self, name):
        """What docs/migrating.md has the endpoint do with each new pair."""
        row = self.rows[name]
        body = {
            "calUserId": row["cal_user_id"],
            **{kind: row[kind] for kind in ("accessToken", "refreshToken")},
        }
        await self.stack.call("PUT", f"/v1/users/{name}/tokens?replace=true", CLIENT.id, json=body)

    async def switch(self):
        """Every tab asks the broker now: gives the statuses and the tokens."""
        answers = await asyncio.gather(*map(self._ask, self.tabs.values()))
        return [status for status, _ in answers], [body["accessToken"] for _, body in answers]

    async def _ask(self, token):
        headers = {"Authorization": f"Bearer {token}"}
        async with self.stack.http.get(f"{self.stack.public_url}/refresh", headers=headers) as answer:
            return answer.status, await answer.json()

    def _keep(self, name, user, pair):
        access, refresh = pair.access.secret, pair.refresh.secret
        self.tabs[name] = access
        self.rows[name] = {
            "user_id": name,
            "cal_user_id": user.id,
            "accessToken": access,
            "refreshToken": refresh,
        }


@pytest.fixture
async def app(database_url, redis_url):
    async with running_stack(database_url, redis_url, CONFIG) as stack:
        app = App(stack)
        for number in range(20):
            app.sign_up(f"user-{number}")
        yield app


async def test_every_tab_goes_on_and_nothing_was_asked_upstream_for_it(app):
    assert (await app.import_table())[0] == 0
    assert app.stack.sandbox.counts().get("refresh", 0) == 0
    statuses, tokens = await app.switch()
    assert statuses == [200] * 20
    assert tokens == list(app.tabs.values())
    assert all(map(app.stack.sandbox.is_live, tokens))


async def test_tabs_whose_tokens_have_ended_are_given_fresh_ones_at_one_refresh_each(app):
    await app.import_table()
    for token in app.tabs.values():
        app.stack.sandbox.kill(token)
    statuses, tokens = await app.switch()
    assert statuses == [200] * 20
    assert all(map(app.stack.sandbox.is_live, tokens))
    assert app.stack.sandbox.counts().get("refresh") == 20
    assert app.stack.sandbox.counts().get("force", 0) == 0


async def test_what_the_old_endpoint_refreshed_meanwhile_is_caught_up_with(app):
    await app.import_table()
    for name in ("user-3", "user-7"):
        app.refresh_by_hand(name)
    code, counted = await app.import_table("--replace")
    assert (code, counted["replaced"], counted["already"]) == (0, 2, 18)
    statuses, tokens = await app.switch()
    assert statuses == [200] * 20
    assert all(map(app.stack.sandbox.is_live, tokens))
    assert app.stack.sandbox.counts().get("force", 0) == 0


async def test_a_late_catching_up_takes_nothing_back(app):
    await app.import_table()
    for token in app.tabs.values():
        app.stack.sandbox.kill(token)
    _, tokens = await app.switch()
    assert await app.import_table("--replace") == (0, counted_already(20))
    app.tabs = dict(enumerate(tokens))
    assert (await app.switch())[0] == [200] * 20


async def test_what_the_old_endpoint_tells_of_is_not_undone_by_the_table_as_it_was(app):
    app.refresh_by_hand("user-3")
    await app.tell("user-3")
    before = dict(app.rows)
    app.refresh_by_hand("user-3")
    await app.tell("user-3")
    latest, app.rows = app.rows, before
    code, counted = await app.import_table("--replace")
    assert (code, counted["imported"], counted["already"]) == (0, 19, 1)
    app.rows = latest
    statuses, tokens = await app.switch()
    assert statuses == [200] * 20
    assert all(map(app.stack.sandbox.is_live, tokens))


def counted_already(count):
    return {"imported": 0, "replaced": 0, "already": count, "rejected": 0, "reasons": {}, "dryRun": False}
