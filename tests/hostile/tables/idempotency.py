"""The same call again, at once and later, and the same call with another body: one user upstream."""

import asyncio
import json

from tests.hostile.cases import Story
from tests.hostile.setting import ACME

AT_ONCE = 50


async def _create(town, body, *lines):
    content = json.dumps(body).encode()
    head = (
        f"Authorization: Bearer {town.names['backend']}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    )
    return await town.ask("internal", *head, *lines, method="POST", target="/v1/users", body=content)


def _a(user_id, **fields):
    return {"id": user_id, "email": f"{user_id}@example.com", "name": user_id.title(), **fields}


def _made(town, *user_ids):
    """Return how many users upstream has of these addresses."""
    return sum(town.sandbox.find_user(ACME, f"{user_id}@example.com") is not None for user_id in user_ids)


def _code(answer):
    return answer.status, json.loads(answer.body).get("code")


def _again(what, user_id, second, expected, *lines):
    """Return a story: a user is created, then asked for again, a little differently."""

    async def play(town):
        first = await _create(town, _a(user_id), *lines)
        answer = await _create(town, {**_a(user_id), **second}, *lines)
        calls = len([entry for entry in town.sandbox.journal.of("create") if entry.status == 201])
        found = [] if first.status == 201 else [f"the first call got {first.status}"]
        if _code(answer) != expected:
            found.append(f"the second call got {_code(answer)}, expected {expected}")
        if (
            answer.status == 200
            and json.loads(answer.body)["calUserId"] != json.loads(first.body)["calUserId"]
        ):
            found.append("the second call has another user")
        return found + ([] if calls else ["nothing was created"])

    return Story("H96", what, play)


def _together(what, bodies, expected):
    """Return a story: all these creates at once; `expected` are the statuses that may come, 201 once."""

    async def play(town):
        answers = await asyncio.gather(*(_create(town, body) for body in bodies))
        statuses = [answer.status for answer in answers]
        users = {json.loads(answer.body)["calUserId"] for answer in answers if answer.status < 300}
        made = _made(town, *{body["email"].partition("@")[0] for body in bodies})
        found = [] if statuses.count(201) == 1 and set(statuses) <= expected else [f"got {sorted(statuses)}"]
        return found + ([] if (len(users), made) == (1, 1) else [f"{len(users)} users, {made} upstream"])

    return Story("H96", what, play)


async def _patch_twice(town):
    await _create(town, _a("petra"))
    shown = [await town.call("PATCH", "/v1/users/petra", {"name": "P"}) for _ in range(2)]
    return [] if {one["name"] for one in shown} == {"P"} else [f"got {shown}"]


async def _delete_twice(town):
    await _create(town, _a("dieter"))
    await town.call("DELETE", "/v1/users/dieter", status=(204,))
    await town.call("DELETE", "/v1/users/dieter", status=(404,))
    again = await _create(town, _a("dieter"))
    return [] if again.status == 201 and _made(town, "dieter") == 1 else [f"creating anew got {again.status}"]


async def _states_twice(town):
    await _create(town, _a("stefan"))
    seen = [
        (await town.call("POST", f"/v1/users/stefan/{what}"))["state"]
        for what in ("pause", "pause", "resume", "resume")
    ]
    return [] if seen == ["PAUSED", "PAUSED", "LIVE", "LIVE"] else [f"got {seen}"]


async def _unlike_upstream(town):
    """A user that upstream has, and that this call did not create, is not taken over."""
    town.sandbox.state.insert_user(f"uwe+{ACME}@example.com", "uwe")
    answer = await _create(town, _a("uwe"))
    return [] if _code(answer)[0] == 409 else [f"got {_code(answer)}"]


CASES = [
    _again("the same call again", "ida", {}, (200, None)),
    _again("the same call again, with a key", "idb", {}, (200, None), "Idempotency-Key: one"),
    _again("the address in other capitals", "idc", {"email": "IDC@Example.com"}, (200, None)),
    _again("another name", "idd", {"name": "Another"}, (200, None)),
    _again("another address", "ide", {"email": "another@example.com"}, (409, "conflict")),
    _again("another id", "idf", {"id": "idf2"}, (409, "conflict")),
    _again(
        "another address, with the same key",
        "idg",
        {"email": "other@example.com"},
        (409, "conflict"),
        "Idempotency-Key: two",
    ),
    _again("a wrong field the second time", "idh", {"timeZone": "Mars"}, (422, "invalid")),
    _together(f"{AT_ONCE} times at once", [_a("otto")] * AT_ONCE, {200, 201}),
    _together(
        "one address for twenty ids at once",
        [_a(f"olaf{n}", email="olaf@example.com") for n in range(20)],
        {201, 409},
    ),
    _together(
        "one id for two addresses at once", [_a("oona"), _a("oona", email="oonb@example.com")], {201, 409}
    ),
    Story("H96", "the same change twice", _patch_twice),
    Story("H96", "deleted twice, then created anew", _delete_twice),
    Story("H96", "paused twice, resumed twice", _states_twice),
    Story("H96", "a user that upstream has already", _unlike_upstream),
]
