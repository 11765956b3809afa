"""What stands in a JSON body: depth, numbers, text, keys, and values of the wrong kind."""

import json

from tests.hostile.cases import CANARY, calls, invalid
from tests.hostile.tables.bodies import NEW, broken


def with_field(text):
    """Return the body of a new user with one more field, as it is written."""
    return f"{json.dumps(NEW)[:-1]}, {text}}}".encode()


VALUES = [
    *(
        broken("H88", f"{depth} {what} deep", with_field(f'"metadata": {opening * depth}{closing * depth}'))
        for depth in (17, 1000, 4000)
        for what, opening, closing in (("lists", "[", "]"), ("objects", '{"a":', "}"))
        if (what, depth) != ("objects", 4000)
    ),
    broken("H88", "8,000 lists never closed", "[" * 8000),
    *(
        broken("H88", f"the number {number[:20]}", with_field(f'"timeFormat": {number}'))
        for number in (
            "NaN",
            "Infinity",
            "-Infinity",
            "1e400",
            "-1e400",
            "9" * 21,
            "9" * 5000,
            "-" + "9" * 5000,
            "01",
            "+1",
            "1.",
            ".5",
            "0x10",
            "1_000",
            "1e",
            "--1",
            "\u0661",
        )
    ),
    *(
        broken("H88", f"the text {text}", with_field(f'"bio": "{text}"'))
        for text in (r"\ud800", r"\udfff\ud800", r"a\udc00b", r"\uD83D")
    ),
    *(
        invalid("H88", f"the text {text}", with_field(f'"bio": "{text}"'), "bio")
        for text in (r"\u0000", r"a\u0001b", r"\u001b[31m", r"\u202e", r"\u2066", r"\u0085", r"\u2028")
    ),
    broken("H88", "a key that is half a character", with_field(r'"\ud800": 1')),
    *(
        broken("H88", what, text)
        for what, text in {
            "a key twice": '{"id":"a","id":"b","email":"a@example.com","name":"A"}',
            "a key twice, escaped once": r'{"id":"a","\u0069d":"b","email":"a@example.com","name":"A"}',
            "a key twice, deep inside": '{"id":"a","metadata":{"x":1,"x":2}}',
        }.items()
    ),
    *(
        invalid("H88", f"the key {key}", {**NEW, key: value}, key)
        for key, value in (
            ("admin", True),
            ("calUserId", 1),
            ("client", "other"),
            ("ID", "a"),
            ("Email", "a"),
            ("time_zone", "UTC"),
            ("timezone", "UTC"),
            ("constructor", 1),
            ("__proto__", {"admin": True}),
            ("accessToken", "x" * 30),
            ("state", "LIVE"),
            ("$where", "1"),
        )
    ),
    *(
        invalid("H88", f"{field} as {json.dumps(value)[:30]}", {**NEW, field: value}, field)
        for field in ("id", "email", "name")
        for value in (None, True, 1, 1.5, [], ["a"], {}, {"a": 1}, "")
    ),
    *(
        invalid(
            "H88",
            f"calUserId as {json.dumps(value)[:30]}",
            {"calUserId": value, "accessToken": "a" * 30, "refreshToken": "b" * 30},
            "calUserId",
            method="PUT",
            target="/v1/users/zed/tokens",
        )
        for value in (True, "1", 1.0, 1.5, None, 0, -1, 2**31, 2**63, 10**19, [1], {})
    ),
    *(
        invalid(
            "H88",
            f"accessToken as {json.dumps(value)[:30]}",
            {"calUserId": 1, "accessToken": value, "refreshToken": "b" * 30},
            "accessToken",
            method="PUT",
            target="/v1/users/zed/tokens",
        )
        for value in (
            None,
            1,
            "",
            "short",
            CANARY * 400,
            "a b" * 10,
            "a\r\nX: b" * 5,
            "\u017c" * 30,
            "a" * 30 + "\n",
            ["a" * 30],
            "a" * 4097,
        )
    ),
    *(
        invalid(
            "H88",
            f"accessTokenExpiresAt as {json.dumps(value)[:30]}",
            {
                "calUserId": 1,
                "accessToken": "a" * 30,
                "refreshToken": "b" * 30,
                "accessTokenExpiresAt": value,
            },
            "accessTokenExpiresAt",
            method="PUT",
            target="/v1/users/zed/tokens",
        )
        for value in (True, "1", 1.5, None, 0, -1, 10**16, "2030-01-01T00:00:00Z")
    ),
    *(
        invalid(
            "H88", f"force as {json.dumps(value)}", {"force": value}, "force", target="/v1/users/ann/refresh"
        )
        for value in (1, "true", None, [], 0.0)
    ),
    *(
        calls(
            "H88",
            f"a body of {json.dumps(body)} where none is needed",
            422,
            "invalid",
            body,
            target="/v1/users/ann/revoke",
        )
        for body in ({"a": 1}, {"force": True})
    ),
    *(
        broken("H88", f"a list where none is needed, at {what}", b"[]", target=f"/v1/users/ann/{what}")
        for what in ("revoke", "pause", "resume", "refresh")
    ),
    invalid(
        "H88",
        "two reasons at once",
        {"refused": "a" * 30, "force": True},
        "body",
        target="/v1/users/ann/refresh",
    ),
    invalid("H88", "nothing to change", {}, "body", method="PATCH", target="/v1/users/ann"),
    invalid(
        "H88",
        "everything wrong at once",
        {"id": "b b", "email": "nobody", "timeZone": "Mars/Base", "weekStart": "monday", "timeFormat": 13},
        "id",
        "email",
        "timeZone",
        "weekStart",
        "timeFormat",
        "name",
    ),
]
CASES = VALUES
