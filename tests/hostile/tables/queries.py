"""The query strings of the internal listener: numbers, instants, filters, in every spelling but the right."""

from tests.hostile.tables.paths import UNKNOWN, gets

_QUERIES = {
    "calUserId": (
        "-1",
        "0",
        "00012",
        "%2B1",
        "1_000",
        "%201",
        "1e3",
        "0x10",
        "1.0",
        "%C2%B2",
        "%D9%A2",
        "2147483648",
        "9223372036854775808",
        "9" * 20,
        "9" * 5000,
        "",
        "NaN",
        "1%00",
        "1;DROP",
    ),
    "limit": ("0", "-1", "201", "1.0", "1e1", "%2B1", "9" * 20, "", "ten", "%201", "1%0a"),
    "cursor": ("%00", "..", "a b".replace(" ", "%20"), "%ff", "a" * 129, "", "'%20OR%201=1", "%25"),
    "state": ("live", "ALIVE", "", "LIVE%20", "LIVE'--", "0"),
    "email": (
        "_%25",
        "'%20OR%20'1'='1",
        "a",
        "",
        "%00@example.com",
        "a@b@c",
        "a@localhost",
    ),
    "client": ("nobody", "", "acme%20", "..", "%00", "acme'--", "a" * 5000),
    "nothing": ("1",),
    "__proto__": ("1",),
}
QUERIES = [
    *(
        gets(
            "H77" if "'" in value or "%25" in value else "H75" if name == "calUserId" else "H73",
            f"?{name}={value[:30]}",
            422,
            "invalid",
            f"/v1/users?{name}={value}",
            fields=frozenset([name]),
        )
        for name, values in _QUERIES.items()
        for value in values
    ),
    gets(
        "H73", "a parameter twice", 422, "invalid", "/v1/users?limit=1&limit=2", fields=frozenset(["limit"])
    ),
    gets(
        "H73",
        "a parameter twice in two spellings",
        422,
        "invalid",
        "/v1/users?limit=1&%6Cimit=2",
        fields=frozenset(["limit"]),
    ),
    *(
        gets(
            "H73",
            f"min_ttl={value}",
            422,
            "invalid",
            f"/v1/users/ann/token?min_ttl={value}",
            fields=frozenset(["min_ttl"]),
        )
        for value in (
            "-1",
            "soon",
            "NaN",
            "inf",
            "1e3",
            "0x1",
            "",
            "%2B1",
            "1_0",
            "9999999",
            "1.00000",
            "%D9%A1",
        )
    ),
    gets(
        "H73", "more life than can be promised", 422, "min_ttl_too_long", "/v1/users/ann/token?min_ttl=3000"
    ),
    gets(
        "H77",
        "an address of wild cards, in the right form",
        200,
        None,
        "/v1/users?email=_nn@example.com",
        holds=('"users":[]',),
    ),
    gets("H77", "the wild card of SQL", 200, None, "/v1/users?email=%25@example.com", holds=('"users":[]',)),
    gets("H77", "an id of wild cards", 404, UNKNOWN, "/v1/users/_nn"),
    gets("H73", "a known number", 200, None, "/v1/users?calUserId={ann.id}", holds=('"id":"ann"',)),
    gets("H73", "a number of nobody", 200, None, "/v1/users?calUserId=2147483647", holds=('"users":[]',)),
]

CASES = QUERIES
