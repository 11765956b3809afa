"""Pages of other origins that ask, or ask whether they may (CORS)."""

from tests.hostile.cases import APP, CANARY, asks
from tests.hostile.tables.authorization import GOOD, good

NOT_FOUND, REFUSED = "not_found", "origin_refused"
PREFLIGHT = (
    "Access-Control-Request-Method: GET",
    "Access-Control-Request-Headers: authorization,content-type",
)
ASKED = (
    "Access-Control-Allow-Methods: GET",
    "Access-Control-Allow-Headers: authorization, content-type",
    "Access-Control-Max-Age: 600",
    "Vary: Origin, Authorization, Access-Control-Request-Method, Access-Control-Request-Headers",
)
CORS = (
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Max-Age",
    "Access-Control-Allow-Credentials",
)
EVIL = {
    "another site": f"https://{CANARY}.example",
    "ours as a beginning": f"{APP}.evil.example",
    "ours as an end": "https://evilapp.example.com",
    "without encryption": "http://app.example.com",
    "another port": f"{APP}:8443",
    "the scheme's own port": f"{APP}:443",
    "a trailing dot": f"{APP}.",
    "a trailing slash": f"{APP}/",
    "a path": f"{APP}/app",
    "upper case": "https://APP.example.com",
    "an upper case scheme": "HTTPS://app.example.com",
    "a punycode twin": "https://xn--pp-7ka.example.com",
    "a homograph": "https://\u0430pp.example.com",
    "a user name": "https://app.example.com@evil.example",
    "a subdomain": "https://x.app.example.com",
    "the parent": "https://example.com",
    "two origins in one header": f"{APP} https://evil.example",
    "a list": f"{APP}, https://evil.example",
    "null": "null",
    "nothing": "",
    "a star": "*",
    "a file": "file://",
    "an extension": "chrome-extension://abcdefghijklmnop",
    "a control character's escape": f"{APP}%00.evil.example",
    "a tab within": f"{APP}\t.evil.example",
}


def refused(row, what, *lines, **more):
    return asks(row, what, 403, REFUSED, *lines, lacks=CORS, **more)


PREFLIGHTS = [
    asks(
        "H40",
        "the preflight of a page that may ask",
        204,
        None,
        f"Origin: {APP}",
        *PREFLIGHT,
        method="OPTIONS",
        origin=APP,
        has=ASKED,
        lacks=("Access-Control-Allow-Credentials",),
    ),
    asks(
        "H40",
        "a preflight for a method that is not there",
        204,
        None,
        f"Origin: {APP}",
        "Access-Control-Request-Method: DELETE",
        method="OPTIONS",
        origin=APP,
        has=ASKED,
    ),
    asks(
        "H40",
        "a preflight for headers that are not there",
        204,
        None,
        f"Origin: {APP}",
        PREFLIGHT[0],
        f"Access-Control-Request-Headers: {CANARY}",
        method="OPTIONS",
        origin=APP,
        has=ASKED,
    ),
    asks("H40", "OPTIONS of the same origin", 204, None, method="OPTIONS", lacks=CORS),
    asks(
        "H40",
        "a preflight for an address that is not there",
        404,
        NOT_FOUND,
        f"Origin: {APP}",
        *PREFLIGHT,
        method="OPTIONS",
        target="/nowhere",
        origin=APP,
    ),
    asks("H40", "a page that may ask, without a token", 401, "bearer_missing", f"Origin: {APP}", origin=APP),
    asks(
        "H40",
        "a page that may ask, at a wrong address",
        404,
        NOT_FOUND,
        f"Origin: {APP}",
        target="/x",
        origin=APP,
    ),
    good("H40", "a page that may ask", f"Origin: {APP}", GOOD, origin=APP),
]
ORIGINS = [
    *(
        refused("H42" if what == "null" else "H41", f"from {what}", f"Origin: {origin}", GOOD)
        for what, origin in EVIL.items()
    ),
    *(
        refused(
            "H42" if what == "null" else "H41",
            f"a preflight from {what}",
            f"Origin: {origin}",
            *PREFLIGHT,
            method="OPTIONS",
        )
        for what, origin in EVIL.items()
    ),
    refused("H41", "two Origin headers", f"Origin: {APP}", "Origin: https://evil.example", GOOD),
    refused("H41", "the same Origin twice", f"Origin: {APP}", f"Origin: {APP}", GOOD),
    refused("H41", "an evil page at a wrong address", "Origin: https://evil.example", target="/x"),
    refused(
        "H41", "an evil page that embeds the helper", "Origin: https://evil.example", target="/keep-fresh.js"
    ),
]

CASES = [*PREFLIGHTS, *ORIGINS]
