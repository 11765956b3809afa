"""A cluster's address of keys: its own authority, who asks, and files that are replaced meanwhile."""

import pytest

from service.adapters.key_addresses import asking_cluster
from service.adapters.key_sources import AGAIN_S, FRESH_S, KeyAddress
from service.adapters.upstream.exchange import Answer, NotSent
from service.broker.errors import KeysUnavailable
from tests.support.cached import Notes
from tests.support.certificates import Authority
from tests.support.cluster import a_cluster


@pytest.fixture
async def cluster(tmp_path):
    async with a_cluster(tmp_path) as running:
        yield running


def asked(cluster, **how):
    return asking_cluster(cluster.url, 5, **{"authority": cluster.ca, "token": cluster.token} | how)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


async def test_a_cluster_gives_its_keys_to_who_has_its_authority_and_a_token(cluster):
    keys = KeyAddress(asked(cluster), Notes(), "keys")
    assert await keys.key("rsa") is not None
    assert cluster.bearers == ["Bearer first-token"]


async def test_a_token_and_an_authority_that_are_replaced_count_with_the_next_question(cluster):
    ask = asked(cluster)
    await ask()
    cluster.token.write_text("second-token")
    assert isinstance(await ask(), Answer)
    cluster.ca.write_bytes(Authority("cluster").certificate)
    assert isinstance(await ask(), NotSent)
    cluster.ca.write_bytes(cluster.authority.certificate)
    assert isinstance(await ask(), Answer)
    assert cluster.bearers == ["Bearer first-token", *["Bearer second-token"] * 2]


async def test_nobody_but_the_cluster_is_shown_the_token(cluster):
    for authority in (None, cluster.folder / "other.crt"):
        (cluster.folder / "other.crt").write_bytes(Authority("cluster").certificate)
        assert isinstance(await asked(cluster, authority=authority)(), NotSent)
    assert cluster.bearers == []


@pytest.mark.parametrize("spoiled", [b"", b"a\nb", b"\xff", b"x" * 20_000])
async def test_a_token_that_cannot_be_one_is_not_sent_and_nowhere_repeated(cluster, spoiled):
    cluster.token.write_bytes(spoiled)
    notes = Notes()
    with pytest.raises(KeysUnavailable):
        await KeyAddress(asked(cluster), notes, "keys").key("rsa")
    assert cluster.bearers == []
    ((event, _, facts),) = notes.heard
    assert (event, facts["reason"].endswith("in the files of the address")) == ("dependency.down", True)


async def test_a_cluster_that_changes_its_keys_and_goes_away_is_followed_as_far_as_it_goes(cluster):
    clock = Clock()
    keys = KeyAddress(asked(cluster), Notes(), "keys", clock)
    assert await keys.key("rsa") is not None
    cluster.keys = ["rsa", "ec"]
    clock.now += AGAIN_S
    assert await keys.key("ec") is not None
    await cluster.close()
    clock.now += FRESH_S
    assert [await keys.key(kid) is not None for kid in ("rsa", "ec", "ed")] == [True, True, False]
