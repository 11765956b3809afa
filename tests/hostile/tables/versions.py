"""Versions, hosts and targets of a request, and what is no HTTP at all."""

from tests.hostile.cases import CANARY, HOST, asks, http, raw, unparsable
from tests.hostile.tables.authorization import GOOD, good

VERSIONS = [
    *(
        unparsable("H56", f"the version {version}", GOOD, version=version)
        for version in (
            "HTTP/9.9",
            "HTTP/2",
            "HTTP/1",
            "HTTP/11",
            "HTTP/1.1.1",
            "http/1.1",
            "HTP/1.1",
            "HTTP/1,1",
            "HTTP/x.y",
            "HTTP/-1.1",
        )
    ),
    *(
        asks("H56", f"the version {version}", 400, "malformed", GOOD, version=version, closed=True)
        for version in ("HTTP/2.0", "HTTP/0.9")
    ),
    good("H56", "HTTP/1.0", GOOD, version="HTTP/1.0", host="", closed=True),
    asks(
        "H56",
        "HTTP/1.0 of a probe",
        200,
        None,
        target="/healthz",
        version="HTTP/1.0",
        host="",
        closed=True,
        door="observe",
    ),
    unparsable("H56", "no host", GOOD, host=""),
    unparsable("H56", "two hosts", GOOD, "Host: evil.example"),
    unparsable("H56", "the same host twice", GOOD, HOST),
    raw("H56", "no version", b"GET /refresh\r\n\r\n"),
    raw("H56", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    raw("H56", "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + CANARY.encode() + b"\r\n\r\n"),
    raw("H56", "SSH", b"SSH-2.0-" + CANARY.encode() + b"\r\n\r\n"),
    raw("H56", "SMTP", b"EHLO " + CANARY.encode() + b"\r\n\r\n"),
    raw("H56", "Redis", b"*1\r\n$4\r\nPING\r\n\r\n"),
    raw("H56", "the proxy protocol", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + http(GOOD)),
    raw("H56", "an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    raw("H56", "bytes of nothing", bytes(range(128, 256)) + b"\r\n\r\n"),
    raw("H56", "NULs", b"\0" * 64 + b"\r\n\r\n"),
    *(
        raw("H56", f"no HTTP on the {door} listener", b"\x16\x03\x01\r\n\r\n", door=door)
        for door in ("internal", "observe")
    ),
    good(
        "H56",
        "a websocket is not taken up",
        GOOD,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
    ),
    good(
        "H56",
        "HTTP/2 is not taken up",
        GOOD,
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAAA",
    ),
    good("H56", "an expectation that nobody knows", GOOD, f"Expect: {CANARY}"),
    good(
        "H56",
        "headers that a proxy would drop",
        GOOD,
        "Connection: authorization",
        "Keep-Alive: timeout=9999",
    ),
]
TARGETS = [
    *(
        asks("H57", f"the target {target}", 400, "malformed", GOOD, target=target, closed=True)
        for target in (
            "http://evil.example/refresh",
            "https://evil.example/refresh",
            "http://broker.test/refresh",
            "HTTP://evil.example/refresh",
            "http://user:pass@broker.test/refresh",
            "ftp://evil.example/",
            "*",
        )
    ),
    *(
        unparsable("H57", f"the target {target!r}", GOOD, target=target)
        for target in (
            "/refresh HTTP/1.1 x",
            "/re fresh",
            "refresh",
            "?refresh",
            "evil.example:443",
            "/refresh\0",
            "/refresh\x7f",
            "/refresh\x01",
        )
    ),
    *(
        asks("H57", f"the host {host}", 200, None, GOOD, host=f"Host: {host}", gives="ann")
        for host in ("evil.example", "127.0.0.1:1", "[::1]", "broker.test:99999")
    ),
    asks("H57", "a target of 60,000 characters", 404, "not_found", GOOD, target="/" + CANARY + "a" * 60_000),
    unparsable("H57", "a target of 300,000 characters", GOOD, target="/" + "a" * 300_000, may_break=True),
    unparsable(
        "H57", "a query of 300,000 characters", GOOD, target="/refresh?" + "a" * 300_000, may_break=True
    ),
]

CASES = [*VERSIONS, *TARGETS]
