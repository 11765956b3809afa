"""What no column takes is refused as such and takes no other event along; any other text comes back whole."""

from datetime import datetime, timedelta, timezone
from itertools import islice
from uuid import UUID, uuid4

import pytest

from service.broker.audit import Audit, _new_ids
from service.broker.errors import Invalid
from service.broker.model import Event, EventKind, Recorded, UserKey
from tests.support.audited import RING, exchange
from tests.support.builders import NOON
from tests.support.cached import ANNA, BERT, Notes
from tests.support.stored import open_stores

GOOD = Event(NOON, "token.exchanged", 7, EventKind.EXCHANGE, "ok")
UNFIT = {
    "a nul": GOOD._replace(origin="https://a\0"),
    "a nul in a fact": GOOD._replace(facts={"seen": "\0"}),
    "a nul in a fact's name": GOOD._replace(facts={"se\0en": "a"}),
    "a nul deep in a fact": GOOD._replace(facts={"fields": ["a", "\0"]}),
    "half a pair": GOOD._replace(agent="\ud83d"),
    "the other half": GOOD._replace(request_id="a\udc00b"),
    "half a pair in a fact": GOOD._replace(facts={"seen": "\ud83d"}),
    "half a pair in a fact's name": GOOD._replace(facts={"\ud83d": 1}),
    "a number beyond 64 bits": GOOD._replace(generation=2**64),
    "a number below 64 bits": GOOD._replace(presented=-(2**63) - 1),
    "a number of 64 bits without a sign": GOOD._replace(generation=2**63),
    "a count of as many": GOOD._replace(count=2**63),
    "a fact beyond 64 bits": GOOD._replace(facts={"n": 2**64}),
    "a fact that is no plain value": GOOD._replace(facts={"n": object()}),
}


@pytest.fixture
async def stores(database_url):
    async with open_stores(database_url) as stores:
        yield stores


@pytest.mark.parametrize("event", UNFIT.values(), ids=UNFIT)
async def test_what_no_column_takes_is_refused_as_such_and_nothing_of_it_written(stores, event):
    with pytest.raises(Invalid):
        await stores.events.write([Recorded(uuid4(), ANNA, GOOD), Recorded(uuid4(), ANNA, event)])
    assert await stores.happened() == []


@pytest.mark.parametrize("key", [UserKey("first-client", "a\0"), UserKey("first-client", "\ud83d")])
async def test_a_user_that_no_column_takes_is_refused_as_such(stores, key):
    with pytest.raises(Invalid):
        await stores.events.write([Recorded(uuid4(), key, GOOD)])


@pytest.mark.parametrize(
    "unfit", [{"origin": "a\0"}, {"agent": "a\0b"}, {"reason": "\ud83d"}, {"generation": 2**70}]
)
async def test_one_of_many_takes_no_other_along_and_is_counted_as_dropped(stores, unfit):
    notes = Notes()
    audit = Audit(stores.events, RING, lambda: NOON, notes)
    for generation in range(20):
        exchange(audit, generation=generation)
        if generation % 7 == 3:
            exchange(audit, outcome=f"o{generation}", **unfit)
    exchange(audit, key=BERT)
    await audit.flush()
    written = [event.generation for event in await stores.happened(most=99) if event.outcome == "ok"]
    assert sorted(written) == list(range(20))
    assert len(await stores.happened(BERT)) == 1
    dropped = [facts["count"] for event, _, facts in notes.heard if event == "events.dropped"]
    assert dropped == ([3] if "agent" not in unfit else [])


TEXTS = [
    "",
    "ż é 漢 🙂",
    "'\"\\",
    "\\u0000",
    "\\x00",
    "{}[],:",
    "$1 %s",
    "\u2028\u2029\x7f",
    "a\tb\r\n",
    "null",
    "\x01\x1f",
]


@pytest.mark.parametrize("text", TEXTS)
async def test_any_other_text_comes_back_as_it_was(stores, text):
    await stores.link()
    said = GOOD._replace(
        reason=text, actor=text, request_id=text, origin=text, facts={text: text, "all": [text]}
    )
    key = ANNA
    [recorded] = [Recorded(uuid4(), key, said)]
    await stores.events.write([recorded])
    assert (await stores.happened())[-1] == said._replace(id=recorded.id)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"n": -(2**63)},
        {"n": 2**63 - 1},
        {"n": 2**64 - 1},
        {"n": 0.1},
        {"n": 1e300},
        {"yes": True},
        {"a": None},
    ],
)
async def test_any_fact_comes_back_as_it_was(stores, facts):
    recorded = Recorded(uuid4(), ANNA, GOOD._replace(facts=facts))
    await stores.events.write([recorded])
    assert [event.facts for event in await stores.happened()] == [facts]


@pytest.mark.parametrize("hours", [-12, -3.5, 0, 5.75, 14])
async def test_an_instant_is_the_same_one_whatever_zone_it_was_told_in(stores, hours):
    at = datetime(2026, 3, 1, 12, 0, 0, 123456, timezone(timedelta(hours=hours)))
    await stores.events.write([Recorded(uuid4(), ANNA, GOOD._replace(at=at, last_at=at, count=2))])
    [event] = await stores.happened()
    assert (event.at, event.last_at) == (at, at)


async def test_the_ids_that_audits_give_are_uuids_and_each_its_own(stores):
    ids = [*islice(_new_ids(), 500), *islice(_new_ids(), 500)]
    await stores.events.write([Recorded(one, ANNA, GOOD) for one in ids])
    written = [row["id"] for row in await stores.raw.fetch("SELECT id FROM audit_events")]
    assert sorted(written) == sorted(map(UUID, ids))
    assert {(one.version, one.variant) for one in written} == {(8, "specified in RFC 4122")}
    assert len(set(written)) == 1000


async def test_nothing_to_write_is_nothing(stores):
    await stores.events.write([])
    assert await stores.happened() == []
