"""What upstream says that is no answer: redirects, bombs, what does not end, JSON that lies, no tokens.

Each has an OAuth client of its own. The caller gets 503, nothing leaks, and the user's pair is still good.
"""

import asyncio
import gzip
import json
from dataclasses import dataclass
from functools import partial

from tests.hostile.cases import CANARY, Story

SECRET_PAIR = {"accessToken": f"{CANARY}-access-token", "refreshToken": f"{CANARY}-refresh-token"}


def says(body, status="200 OK", *headers, length=None):
    """Return an answer of upstream."""
    content = body if isinstance(body, bytes) else body.encode()
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        *headers,
        f"Content-Length: {len(content) if length is None else length}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + content


def pair(**changes):
    """Return a good answer with something else in it."""
    given = {**SECRET_PAIR, "accessTokenExpiresAt": 1, "refreshTokenExpiresAt": 1, **changes}
    return says(json.dumps({"status": "success", "data": given}))


async def endless(writer, *, gap_s, piece):
    """Answer with a body that does not end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
        await asyncio.sleep(gap_s)


async def one_header_after_another(writer):
    """Answer with a head that does not end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Note: " + b"n" * 1000 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)


async def nothing(writer):
    """Hang up without a word."""


@dataclass(frozen=True)
class Odd:
    """What upstream says; `code` is what the caller is told then."""

    row: str
    what: str
    script: object
    code: str = "refresh_in_progress"


def _oddities():
    for status in (300, 301, 302, 303, 307, 308):
        yield Odd("H66", f"a redirect ({status})", says("", f"{status} Elsewhere", "Location: {trap}"))
    yield Odd("H69", "10 MB", says(b" " * 10_000_000))
    yield Odd("H69", "a length of 1 GB", says(b"{", length=10**9))
    yield Odd("H69", "a bomb", says(gzip.compress(b" " * 50_000_000), "200 OK", "Content-Encoding: gzip"))
    yield Odd("H69", "an encoding of nothing", says(b"\x1f\x8b broken", "200 OK", "Content-Encoding: gzip"))
    yield Odd("H69", "a body without an end", partial(endless, gap_s=0, piece=b" " * 4096))
    yield Odd("H69", "a byte now and then", partial(endless, gap_s=0.5, piece=b" "))
    yield Odd("H69", "a head without an end", one_header_after_another)
    yield Odd("H69", "nothing at all", nothing)
    yield Odd("H69", "half an answer", says(b'{"status":"success"', length=500))
    yield Odd("H69", "no HTTP", f"220 {CANARY} ESMTP\r\n".encode())
    yield Odd("H69", "a NUL in a header", says(b"{}", "200 OK", f"X-Note: a\0{CANARY}"))
    for what, body in _BODIES.items():
        yield Odd("H70", what, says(body))
    for what, tokens in _TOKENS.items():
        yield Odd("H71", what, pair(**tokens))
    for status, body in _ERRORS:
        code = "upstream_unavailable" if status.startswith("429") else "refresh_in_progress"
        yield Odd("H72", f"{status} {body[:30]}", says(body, status), code)


_BODIES = {
    "HTML": f"<html><body>{CANARY}</body></html>",
    "invalid UTF-8": b'{"status":"success","data":"\xff\xfe"}',
    "NaN": '{"status":"success","data":NaN}',
    "no data": '{"data":null}',
    "a list": f"[{json.dumps(SECRET_PAIR)}]",
    "a text": f'"{CANARY}"',
    "a number": "1",
    "null": "null",
    "an empty object": "{}",
    "data that is a list": json.dumps({"data": [SECRET_PAIR]}),
    "a number of 5,000 digits": '{"data":' + "9" * 5000 + "}",
    "10,000 levels": "[" * 10_000,
    "10,000 closed levels": "[" * 10_000 + "]" * 10_000,
    "a surrogate": r'{"data":{"accessToken":"\ud800"}}',
    "a beginning": '{"status":"success","data":{"accessToken":"' + CANARY,
    "success of nothing": '{"status":"success"}',
}
_TOKENS = {
    "a line break in the token": {"accessToken": f"{CANARY}\r\nX-Injected: 1"},
    "a space in the token": {"accessToken": f"{CANARY} {CANARY}"},
    "a token above ASCII": {"accessToken": CANARY + "\u017c" * 20},
    "a token of 100 KB": {"accessToken": CANARY * 8000},
    "a token of one character": {"accessToken": "a"},
    "an empty token": {"accessToken": ""},
    "a number as a token": {"accessToken": 12345678901234567890},
    "no refresh token": {"refreshToken": None},
    "a list of tokens": {"accessToken": [CANARY * 3]},
    "a NUL in the token": {"accessToken": CANARY + "\0" * 10},
    "a refresh token with a line break": {"refreshToken": f"{CANARY}\n{CANARY}"},
}
_ERRORS = [
    (
        "500 Internal Server Error",
        json.dumps(
            {"status": "error", "error": {"message": f"refresh token {CANARY} is bad", "stack": CANARY}}
        ),
    ),
    ("502 Bad Gateway", f"<html>{CANARY}</html>"),
    ("400 Bad Request", json.dumps({"error": {"message": f"something else about {CANARY}"}})),
    ("404 Not Found", json.dumps({"error": {"message": CANARY}})),
    ("403 Forbidden", json.dumps({"message": CANARY})),
    ("418 I'm a teapot", CANARY),
    ("429 Too Many Requests", json.dumps({"message": CANARY})),
    ("200 OK", json.dumps({"status": "error", "error": {"message": CANARY}})),
    ("204 No Content", ""),
    ("599 Nothing", CANARY),
    ("401 Unauthorized", json.dumps({"message": CANARY})),
]
ODDITIES = {f"odd-{number:02}": odd for number, odd in enumerate(_oddities())}


def _played(client, odd):
    """Return the story: a rotation meets the oddity; afterwards the user is served as before."""

    async def play(town):
        path, user = f"/v1/users/{client}", {"id": client, "email": f"{client}@example.com", "name": "Odd"}
        await town.call("POST", f"/v1/users?client={client}", user, key="admin")
        before = await town.call("GET", f"{path}/token?client={client}", key="admin")
        town.odd.arm(client, odd.script)
        answer = await town.send("POST", f"{path}/refresh?client={client}", {}, key="admin")
        town.odd.arm(client, None)
        return [*_told(town, odd, answer), *await _unharmed(town, client, before["accessToken"])] + (
            [] if town.odd.asked.get(client) else ["upstream was never asked"]
        )

    return Story(odd.row, f"upstream says {odd.what}", play, patient=True)


def _told(town, odd, answer):
    code = json.loads(answer.body).get("code")
    town.documented += answer.status == 503
    if (answer.status, code) != (503, odd.code) or not answer.of("Retry-After"):
        yield f"got {answer.status} {code}, Retry-After {answer.of('Retry-After')}, expected 503 {odd.code}"
    if CANARY.encode() in answer.raw:
        yield "the answer repeats what upstream said"


async def _unharmed(town, client, token):
    """Yield what has become of a user whose pair nothing has happened to upstream."""
    user = await town.call("GET", f"/v1/users/{client}?client={client}", key="admin")
    held = await town.call("GET", f"/v1/users/{client}/token?client={client}", key="admin")
    found = [] if user["state"] == "LIVE" else [f"the user is {user['state']} ({user['reason']})"]
    return found + (
        [] if town.sandbox.is_live(held["accessToken"]) else ["the token that is given is dead upstream"]
    )


async def _nobody_followed(town):
    return [f"{town.odd.trapped} connections to where upstream pointed"] if town.odd.trapped else []


CASES = [
    *(_played(client, odd) for client, odd in ODDITIES.items()),
    Story("H66", "no redirect is followed", _nobody_followed, late=True),
]
