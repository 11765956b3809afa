"""The fields of a user, one wrong at a time: all are refused before upstream is asked anything."""

import json

import asyncpg

from tests.hostile.cases import Story, invalid
from tests.hostile.tables.bodies import NEW
from tests.hostile.tables.wrong_fields import WRONG


def _shown(value):
    return json.dumps(value)[:40]


def _each():
    for place, values in WRONG.items():
        row, field = place.split()
        for value in values:
            yield invalid(row, f"{field} {_shown(value)}", {**NEW, field: value}, field)
    for field, value in {
        "email": "a@@b",
        "name": "",
        "timeZone": "Mars",
        "weekStart": "Mon",
        "timeFormat": 13,
        "locale": "xx",
        "metadata": [],
        "avatarUrl": "x",
        "bio": "\0",
        "id": "other",
        "calUserId": 1,
    }.items():
        yield invalid(
            "H89",
            f"changing {field} to {_shown(value)}",
            {field: value},
            field,
            method="PATCH",
            target="/v1/users/ann",
        )


RIGHT = {
    "H89": (
        {"email": "A.B@Example.COM"},
        {"email": "first+tag@example.com"},
        {"email": "o'hara@example.com"},
        {"email": "\u00fc@b\u00fccher.example.com"},
        {"name": "<script>alert(1)</script>"},
        {"name": "Robert'); DROP TABLE users;--"},
        {"name": "\u017b\u00f3\u0142\u0107 \U0001f511"},
        {"name": "{{7*7}}${7*7}"},
    ),
    "H90": tuple(
        {"timeZone": zone}
        for zone in (
            "UTC",
            "Etc/GMT+12",
            "US/Pacific",
            "Asia/Calcutta",
            "America/Argentina/Ushuaia",
            "Europe/Kyiv",
        )
    ),
    "H91": ({"weekStart": "Sunday"},),
    "H92": ({"timeFormat": 24},),
    "H93": ({"locale": "zh-CN"},),
    "H94": (
        {"metadata": {"k" * 40: "v" * 500, "n": 1, "b": True, "f": 1.5}},
        {"metadata": {f"k{n}": n for n in range(50)}},
        {"metadata": {"constructor": "x", "$where": "1==1"}},
        {"metadata": {}},
    ),
    "H95": (
        {"avatarUrl": "https://x.example.com/a.png?b=c#d"},
        {"bio": "two\nlines, <b>bold</b>"},
        {"bio": ""},
    ),
}


def _kept(row, number, given):
    """Return a story: a user of odd but right fields is made, and shown as it was given."""

    async def play(town):
        body = {
            **NEW,
            "id": f"odd-{row}-{number}",
            "email": f"odd-{row}-{number}@example.com".lower(),
            **given,
        }
        made = await town.call("POST", "/v1/users", body)
        shown = await town.call("GET", f"/v1/users/{body['id']}")
        body["email"] = body["email"].lower()
        differ = {name for name, value in body.items() if made[name] != value or shown[name] != value}
        return [f"{name} is {shown[name]!r}" for name in sorted(differ)]

    return Story(row, f"{_shown(given)} is kept as it is", play)


async def _nothing_sent(town):
    """No create was begun for the user of every wrong body: it is noted before upstream is asked."""
    connection = await asyncpg.connect(town.stores.postgres.url)
    try:
        begun = await connection.fetchval("SELECT count(*) FROM users WHERE user_id = $1", NEW["id"])
    finally:
        await connection.close()
    return ["the user was begun"] if begun else []


CASES = [
    *_each(),
    *(
        _kept(row, number, given)
        for row, all_given in RIGHT.items()
        for number, given in enumerate(all_given)
    ),
    Story("H89", "upstream was asked nothing", _nothing_sent, late=True),
]
