"""What a cache, or who deceives one, may try: other spellings of the address, parameters, conditions."""

from tests.hostile.cases import CANARY, Story, asks
from tests.hostile.tables.authorization import GOOD, good, missing

NOT_FOUND = "not_found"
DECEPTION = [
    asks("H49", target, 404, NOT_FOUND, GOOD, target=target)
    for target in (
        "/refresh.css",
        "/refresh/x.js",
        "/refresh/",
        "//refresh",
        "/refresh%2f..%2fx.png",
        "/refresh%2Fx.js",
        "/refresh;x.css",
        "/refresh%3Bx.css",
        "/refresh%3Fx.css",
        "/refresh%23x.css",
        "/refresh%00.css",
        "/refresh%0a.css",
        "/static/../refresh",
        "/./refresh",
        "/refresh/.",
        "/refresh/..",
        "/%72efresh",
        "/REFRESH",
        "/refresh.",
        "/refresh~",
        "/x/..%2frefresh",
        "/refresh\\x.css",
        "/refresh%20",
        "/refresh,x.css",
        "/healthz/..;/refresh",
        f"/{CANARY}",
    )
]
CACHING = [
    *(
        good("H50", f"?{query}", GOOD, target=f"/refresh?{query}")
        for query in (
            "cb=alert",
            "callback=alert(1)",
            "jsonp=x",
            "a=1&a=2",
            "",
            "&&&",
            "=",
            "%",
            "%zz",
            "a" * 2000,
            "token=x",
            "_=1",
        )
    ),
    *(
        good("H51", header, GOOD, header)
        for header in (
            "If-None-Match: *",
            'If-None-Match: "a"',
            "If-Modified-Since: Thu, 01 Jan 2037 00:00:00 GMT",
            "Range: bytes=0-1",
            "Cache-Control: only-if-cached, max-age=1000",
            "Accept: image/png",
            "Accept-Encoding: gzip, br",
            "Accept-Charset: utf-16",
            "TE: trailers",
        )
    ),
    missing("H51", "a conditional request without a token", "If-None-Match: *"),
]


async def _two_users(town):
    """Two users ask at one address: each gets their own, and no cache may keep either."""
    found = []
    for user in ("ann", "bob", "ann"):
        answer = await town.refresh(town.names[user])
        if town.names[f"{user}.now"].encode() not in answer.body or answer.of("Cache-Control") != [
            "no-store"
        ]:
            found.append(f"{user} got {answer.status} with {answer.of('Cache-Control')}")
    return found


CASES = [*DECEPTION, *CACHING, Story("H51", "two users at one address", _two_users)]
