"""Nothing that is stored, raised or noted shows a token; what was moved to another place stays shut."""

import base64
from io import BytesIO

import pytest

from service.broker.errors import BrokerError, SealBroken
from service.broker.model import GrantState, UserKey
from service.broker.ports import Aftermath, UserQuery
from tests.support.builders import NOON, a_new_grant, a_pair, a_profile, a_settlement, a_use
from tests.support.cached import ANNA, BERT
from tests.support.stored import Vault, fingerprint_of, open_stores, stands

TOKENS = [f"{name}.{kind}-token.of-a-user" for name in ("first", "next") for kind in ("access", "refresh")]
TABLES = (
    "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


async def dump(stores):
    """Every byte of every table, as a copy in binary form and as text."""
    written = BytesIO()
    for [table] in await stores.raw.fetch(TABLES):
        for form in ("binary", "text"):
            await stores.raw.copy_from_table(table, output=written, format=form)
    return written.getvalue()


def forms_of(token):
    """A token as it could lie about: plain, in base64, in hex, and its beginning alone."""
    plain = token.encode()
    return [plain, base64.b64encode(plain), plain.hex().encode(), plain[:12], plain[:12].hex().encode()]


async def live_through(stores):
    """Let a grant go through everything that writes."""
    claimed = await stores.claimed()
    await stores.grants.note_uses([a_use(claimed, by_browser=True)])
    await stores.claims.end_claim(claimed.claim, Aftermath(failed="timeout", event="x"))
    claimed = await stores.claims.claim(ANNA, claimed.generation, "this-process")
    settled = await stores.claims.settle(a_settlement(claimed.claim))
    await stores.grants.mark_refused(ANNA, settled.generation)
    await stores.grants.request_force(ANNA, revoke=True, actor="a-test")
    await stores.grants.set_state(ANNA, GrantState.DEAD, "refused", due_at=None, actor="a-test")


async def test_no_token_lies_open_in_any_table(stores):
    await live_through(stores)
    dumped = await dump(stores)
    assert b"first-client" in dumped
    assert [token for token in TOKENS for form in forms_of(token) if form in dumped] == []


async def test_only_the_fingerprints_of_access_tokens_are_kept(stores):
    await live_through(stores)
    kept = {row["fingerprint"] for row in await stores.raw.fetch("SELECT fingerprint FROM lineage")}
    assert kept == {fingerprint.digest for name in ("first", "next") for fingerprint in fingerprint_of(name)}


async def test_the_keys_id_stands_in_the_row_and_in_the_line(stores):
    await stores.link()
    assert await stores.column("key_id") == "k1"
    assert await stores.column("key_id", table="lineage") == "f1"


async def test_the_access_and_the_refresh_token_are_sealed_apart(stores):
    await stores.link(pair=a_pair(refresh_token="first.access-token.of-a-user"))
    assert await stores.column("access_sealed") != await stores.column("refresh_sealed")


MOVES = {
    "another user's tokens": "access_sealed = o.access_sealed, refresh_sealed = o.refresh_sealed",
    "another user's refresh token": "refresh_sealed = o.refresh_sealed",
    "another user's generation too": "access_sealed = o.access_sealed, refresh_sealed = o.refresh_sealed,"
    " generation = o.generation",
    "its own tokens swapped": "access_sealed = g.refresh_sealed, refresh_sealed = g.access_sealed",
    "its access token in both places": "refresh_sealed = g.access_sealed",
    "another generation": "generation = g.generation + 1",
    "an altered byte": "access_sealed = set_byte(g.access_sealed, 30, 255 - get_byte(g.access_sealed, 30))",
}


@pytest.mark.parametrize("other", [BERT, UserKey("second-client", "anna")])
@pytest.mark.parametrize("moved", MOVES.values(), ids=MOVES)
async def test_what_was_moved_does_not_open(stores, moved, other):
    await stores.link(ANNA)
    await stores.link(other, "second")
    await stores.raw.execute(
        f"UPDATE grants g SET {moved} FROM grants o WHERE g.client = $1 AND g.user_id = $2"
        " AND (o.client, o.user_id) <> (g.client, g.user_id)",
        ANNA.client,
        ANNA.user_id,
    )
    with pytest.raises(SealBroken):
        await stores.grants.load(ANNA)


async def test_a_line_moved_to_another_user_does_not_open_that_users_grant_as_ones_own(stores):
    await stores.link(ANNA)
    bert = await stores.link(BERT, "second")
    await stores.raw.execute("UPDATE lineage SET user_id = 'bert' WHERE user_id = 'anna'")
    entry, found = await stores.grants.find(fingerprint_of("first"))
    assert (entry.key, found) == (BERT, stands(bert))


async def test_a_pair_sealed_under_a_key_that_is_gone_stays_shut_and_as_it_was(stores, database_url):
    await stores.link()
    before = await dump(stores)
    async with open_stores(database_url, vault=Vault([("k2", b"2" * 32)])) as another:
        with pytest.raises(SealBroken):
            await another.grants.load(ANNA)
    assert await dump(stores) == before


async def test_a_new_key_seals_from_the_next_rotation_on(stores, database_url):
    claimed = await stores.claimed()
    ring = Vault([("k2", b"2" * 32), ("k1", b"k" * 32)])
    async with open_stores(database_url, vault=ring) as another:
        settled = await another.claims.settle(a_settlement(claimed.claim))
        assert await another.grants.load(ANNA) == settled
    assert await stores.column("key_id") == "k2"


SECRETS = [*TOKENS, "anna@app.test", "hush"]


def shown(error):
    """Everything that a log could show of an error: its text, its facts, and what led to it."""
    seen = []
    while error is not None:
        seen += [repr(error), str(error), repr(vars(error))]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " ".join(seen)


async def conflicting_mail(stores):
    await stores.users.link(a_new_grant("next", key=BERT), a_profile(), replace=False)


async def conflicting_upstream_id(stores):
    await stores.users.link(a_new_grant("next", key=BERT, upstream_id="up-anna"), None, replace=False)


async def conflicting_create(stores):
    await stores.users.begin_create(BERT, a_profile(), "this-process")


async def conflicting_change(stores):
    await stores.link(BERT, "next")
    await stores.users.change_profile(BERT, a_profile(), fields=["bio"], actor="a-test")


async def altered_seal(stores):
    await stores.set(access_sealed=b"v1.k1." + TOKENS[0].encode())
    await stores.grants.load(ANNA)


@pytest.mark.parametrize(
    "provoke",
    [
        conflicting_mail,
        conflicting_upstream_id,
        conflicting_create,
        conflicting_change,
        pytest.param(
            altered_seal,
            marks=pytest.mark.may_stand(place="table grants", why="it is put there in place of a seal"),
        ),
    ],
)
async def test_no_error_shows_a_value(stores, provoke):
    await stores.users.link(a_new_grant(), a_profile(), replace=False)
    with pytest.raises(BrokerError) as raised:
        await provoke(stores)
    assert [secret for secret in SECRETS if secret in shown(raised.value)] == []
    assert [secret for secret in SECRETS if secret in repr(stores.notes.heard)] == []


async def reason_missing(stores, claimed):
    await stores.claims.end_claim(claimed.claim, Aftermath(state=GrantState.DEAD, due_at=NOON))


async def lone_surrogate(stores, claimed):
    await stores.users.change_profile(claimed.key, a_profile("hush\ud800"), fields=["bio"], actor="a-test")


async def zero_character(stores, claimed):
    await stores.users.list_users(UserQuery(claimed.key.client, cursor="hush\x00"))


async def zero_character_in_a_profile(stores, claimed):
    await stores.users.change_profile(claimed.key, a_profile(bio="hush\x00"), fields=["bio"], actor="a-test")


async def number_too_large(stores, claimed):
    await stores.claims.claim(claimed.key, 2**70, "hush")


@pytest.mark.parametrize(
    "provoke", [reason_missing, lone_surrogate, zero_character, zero_character_in_a_profile, number_too_large]
)
async def test_no_error_of_the_data_shows_a_value_either(stores, provoke):
    claimed = await stores.claimed()
    with pytest.raises(BrokerError) as raised:
        await provoke(stores, claimed)
    assert [secret for secret in SECRETS if secret in shown(raised.value)] == []


async def test_what_is_stored_shows_no_token_when_it_is_printed(stores):
    claimed = await stores.claimed()
    user = await stores.users.link(a_new_grant("next"), None, replace=True)
    printed = repr([claimed, claimed.current(), user, a_settlement(claimed.claim), a_new_grant()])
    assert [token for token in TOKENS if token in printed] == []
