"""Methods of every kind, requests that browsers make by themselves, and the wrong door."""

from tests.hostile.cases import CANARY, asks, unparsable
from tests.hostile.tables.authorization import GOOD, good
from tests.hostile.tables.origins import refused

NOT_FOUND, METHOD = "not_found", "method_not_allowed"


def embedded(header):
    return refused("H46", header, GOOD, header)


METHODS = [
    asks("H44", "HEAD /refresh", 405, METHOD, GOOD, method="HEAD"),
    asks("H44", "HEAD /refresh without a token", 405, METHOD, method="HEAD"),
    asks("H44", "HEAD of nothing", 404, NOT_FOUND, method="HEAD", target="/x"),
    *(
        asks("H45", f"{method} /refresh", 405, METHOD, GOOD, method=method, has=("Allow: GET, OPTIONS",))
        for method in (
            "POST",
            "PUT",
            "PATCH",
            "DELETE",
            "TRACE",
            "PROPFIND",
            "PURGE",
            "SEARCH",
            "LINK",
            "MKCOL",
        )
    ),
    *(
        unparsable("H45", f"the method {method}", GOOD, method=method)
        for method in (
            "FOO",
            "get",
            "Get",
            "GETX",
            "G",
            "GET\t",
            "GET,POST",
            "QUERY1",
            "\u0413ET",
            CANARY.upper(),
        )
    ),
    asks("H45", "OPTIONS *", 400, "malformed", method="OPTIONS", target="*", closed=True),
    asks(
        "H45", "CONNECT to a host", 400, "malformed", method="CONNECT", target="evil.example:443", closed=True
    ),
    asks("H45", "a method in a header", 200, None, GOOD, "X-HTTP-Method-Override: DELETE", gives="ann"),
    *(
        embedded(header)
        for header in (
            "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-Mode: no-cors",
            "Sec-Fetch-Mode: websocket",
            "Sec-Fetch-Mode: nested-navigate",
            "Sec-Fetch-Mode: CORS",
            "Sec-Fetch-Mode: x",
            "Sec-Fetch-Dest: image",
            "Sec-Fetch-Dest: document",
            "Sec-Fetch-Dest: script",
            "Sec-Fetch-Dest: style",
            "Sec-Fetch-Dest: iframe",
            "Sec-Fetch-Dest: serviceworker",
        )
    ),
    *(
        good("H46", header, GOOD, header)
        for header in ("Sec-Fetch-Mode: cors", "Sec-Fetch-Mode: same-origin", "Sec-Fetch-Dest: empty")
    ),
]
DOORS = [
    *(
        asks("H84", f"{target} on the public listener", 404, NOT_FOUND, target=target)
        for target in (
            "/v1/users",
            "/v1/users/ann",
            "/v1/users/ann/token",
            "/metrics",
            "/readyz",
            "/openapi.json",
            "/docs",
            "/admin",
            "/.env",
            "/.git/config",
            "/favicon.ico",
            "/debug",
            "/",
        )
    ),
    *(
        asks(
            "H84", f"{target} on the internal listener", 404, NOT_FOUND, GOOD, target=target, door="internal"
        )
        for target in ("/refresh", "/metrics", "/readyz", "/healthz", "/keep-fresh.js")
    ),
    *(
        asks(
            "H84", f"{target} on the observing listener", 404, NOT_FOUND, GOOD, target=target, door="observe"
        )
        for target in ("/refresh", "/v1/users", "/v1/users/ann/token", "/openapi.json", "/docs")
    ),
    asks(
        "H84",
        "/v1/users on the public listener with a key",
        404,
        NOT_FOUND,
        "Authorization: Bearer {backend}",
        target="/v1/users/ann/token",
    ),
    *(
        asks(
            "H84",
            f"{method} {target} on the observing listener",
            405,
            METHOD,
            method=method,
            target=target,
            door="observe",
        )
        for method, target in (("POST", "/metrics"), ("DELETE", "/healthz"), ("PUT", "/readyz"))
    ),
]


CASES = [*METHODS, *DOORS]
