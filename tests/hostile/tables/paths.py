"""Ids in paths, and what they would mean to SQL, to Redis and to a file system."""

from tests.hostile.cases import CANARY, calls

UNKNOWN, NOT_FOUND = "user_unknown", "not_found"
_NAMES = (
    "-1",
    "0",
    "00012",
    "+1",
    "1_000",
    "1.0",
    "1e3",
    "0x10",
    "2147483648",
    "9223372036854775808",
    "9" * 20,
    "9" * 128,
    "a:b",
    "~",
    "=",
    "|",
    "@",
    "...",
    "..a",
    "a@b.c",
    "None",
    "null",
    "undefined",
    "NaN",
    "true",
    "__proto__",
    "constructor",
)
_ESCAPES = (
    "%2e%2e",
    "%2E",
    "..",
    ".",
    "..%2frefresh",
    "..%2f..%2f",
    "1%2F2",
    "%2f",
    "%5c",
    "%00",
    "a%00b",
    "%0d%0aX:1",
    "%0a",
    "%ff%fe",
    "%c0%80",
    "%ed%a0%80",
    "%zz",
    "%",
    "%2",
    "%%",
    "%20",
    "%201",
    "1%20",
    "%C2%B2",
    "%EF%BC%91",
    "%2525",
    "%252e%252e",
    "%u0041",
    "1;DROP%20TABLE%20users",
    "1'%20OR%20'1'='1",
    "1%22%20OR%201=1",
    "1--",
    "$1",
    "*",
    "{ann}*",
    "%2A",
    "%3F",
    "[a]",
    "%5Ba-z%5D",
    "%7Bx%7D",
    "a%0D%0ASET%20x%201",
    "'; SELECT 1".replace(" ", "%20"),
    "%3Cscript%3E",
    "%1b%5b31m",
    "%e2%80%ae",
    "${jndi:ldap:x}",
    "9" * 129,
    "a" * 9000,
    CANARY * 500,
)
_IDS = ("/token", "", "/events")


def gets(row, what, status, code, target, **more):
    return calls(row, what, status, code, method="GET", target=target, **more)


def _row(name):
    return (
        "H75"
        if len(name) > 9 and name.isdigit()
        else "H73"
        if name in _NAMES
        else "H77"
        if "SELECT" in name or "OR" in name or "DROP" in name
        else "H76"
    )


IDS = [
    *(
        gets(_row(name), f"the id {name[:30]}{rest}", 404, UNKNOWN, f"/v1/users/{name}{rest}")
        for name in _NAMES
        for rest in _IDS[:2]
    ),
    *(gets(_row(name), f"the id {name[:30]}", 404, UNKNOWN, f"/v1/users/{name}/token") for name in _ESCAPES),
    *(
        calls(
            "H76", f"{method} of {name}", 404, UNKNOWN, body, method=method, target=f"/v1/users/{name}{rest}"
        )
        for name in ("%2e%2e", "a%00b", "%ff%fe", "1%2F2")
        for method, rest, body in (
            ("PATCH", "", {"name": "N"}),
            ("DELETE", "", None),
            ("POST", "/revoke", None),
            ("POST", "/refresh", {}),
            ("POST", "/pause", None),
        )
    ),
    *(
        gets("H76", f"the path {target}", 404, NOT_FOUND, target)
        for target in (
            "/v1/users/",
            "/v1/users//token",
            "/v1/users/a/b",
            "/v1/users/a/token/",
            "/v1/users/ann/token/x",
            "/v1//users",
            "/v1",
            "/V1/users",
            "/v2/users",
        )
    ),
    gets("H76", "an id in bytes above ASCII", 400, "malformed", "/v1/users/\u017c/token", closed=True),
    gets("H76", "the route itself as a path", 404, UNKNOWN, "/v1/users/{id}"),
    gets("H76", "a path within an id", 404, UNKNOWN, "/v1/users/ann%2Ftoken"),
    gets("H73", "an id with a space before it", 400, "malformed", "/v1/users/ 1", closed=True),
    gets("H76", "a NUL in the path", 400, "malformed", "/v1/users/a\0", closed=True),
]
CASES = IDS
