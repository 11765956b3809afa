"""The Authorization header of `GET /refresh`: how many there are, and every way to write one."""

from tests.hostile.cases import CANARY, JSON, asks, unparsable

MALFORMED, MISSING, UNKNOWN = "bearer_malformed", "bearer_missing", "token_unknown"
GOOD = "Authorization: Bearer {ann}"
LONG = CANARY + "a" * 32


def good(row, what, *lines, **more):
    return asks(row, what, 200, None, *lines, gives="ann", **more)


def malformed(row, what, *lines, **more):
    return asks(row, what, 400, MALFORMED, *lines, **more)


def missing(row, what, *lines, **more):
    return asks(row, what, 401, MISSING, *lines, lacks=("Retry-After",), **more)


def unknown(row, what, token, **more):
    return asks(row, what, 401, UNKNOWN, f"Authorization: Bearer {token}", **more)


ABSENT = [
    missing("H1", "no Authorization header"),
    missing("H1", "a session cookie only", f"Cookie: session={CANARY}"),
    missing("H1", "Proxy-Authorization only", "Proxy-Authorization: Bearer {ann}"),
    missing("H1", "X-Authorization only", "X-Authorization: Bearer {ann}"),
    missing("H1", "an underscore name only", "HTTP_AUTHORIZATION: Bearer {ann}"),
    missing("H1", "an API key in a header of its own", "X-Api-Key: {backend}"),
]
EMPTY = [
    malformed("H2", "an empty header", "Authorization:"),
    malformed("H2", "a header of spaces", "Authorization:    "),
    malformed("H2", "the scheme alone", "Authorization: Bearer"),
    malformed("H2", "the scheme and a space", "Authorization: Bearer "),
    malformed("H2", "the scheme and tabs", "Authorization: Bearer\t\t"),
    malformed("H2", "a token without a scheme", "Authorization: {ann}"),
    malformed("H2", "a null", "Authorization: null"),
]
REPEATED = [
    malformed("H3", "the same header twice", GOOD, GOOD),
    malformed("H3", "two tokens", GOOD, "Authorization: Bearer {bob}"),
    malformed("H3", "two tokens, the first of them unknown", f"Authorization: Bearer {LONG}", GOOD),
    malformed("H3", "a second header that is empty", GOOD, "Authorization:"),
    malformed("H3", "a first header that is empty", "Authorization:", GOOD),
    malformed("H3", "two spellings of the name", GOOD, "AUTHORIZATION: Bearer {ann}"),
    malformed("H3", "Basic beside Bearer", "Authorization: Basic YTpi", GOOD),
    malformed("H3", "twenty headers", *[GOOD] * 20),
]
SCHEMES = [
    *(
        good("H4", f"the scheme as {scheme}", f"Authorization: {scheme} {{ann}}")
        for scheme in ("bearer", "BEARER", "BeArEr", "bEARER")
    ),
    good("H4", "the name in lower case", "authorization: Bearer {ann}"),
    *(
        malformed("H5", f"the scheme {scheme}", f"Authorization: {scheme} {{ann}}")
        for scheme in ("Basic", "Digest", "Token", "Negotiate", "DPoP", "JWT", "OAuth", "Bearers", "earer")
    ),
    malformed("H5", "Basic credentials", "Authorization: Basic YWxpY2U6c2VjcmV0"),
    malformed("H5", "Digest credentials", 'Authorization: Digest username="a", realm="b", nonce="c"'),
    malformed("H5", "a colon behind the scheme", "Authorization: Bearer: {ann}"),
    malformed("H5", "an equals sign behind the scheme", "Authorization: Bearer={ann}"),
    malformed("H5", "no space behind the scheme", "Authorization: Bearer{ann}"),
    malformed("H5", "the scheme twice", "Authorization: Bearer Bearer {ann}"),
    malformed("H5", "a scheme in Cyrillic letters", "Authorization: \u0412earer {ann}"),
    malformed("H5", "a scheme with a long s", "Authorization: Ba\u017fic {ann}"),
]
SPACES = [
    good("H6", "two spaces before the token", "Authorization: Bearer  {ann}"),
    good("H6", "twenty spaces before the token", "Authorization: Bearer" + " " * 20 + "{ann}"),
    good("H6", "white space around the value", "Authorization: \t Bearer {ann} \t "),
    good("H6", "no white space before the value", "Authorization:Bearer {ann}"),
    malformed("H6", "a tab before the token", "Authorization: Bearer\t{ann}"),
    malformed("H6", "two words", "Authorization: Bearer {ann} more"),
    malformed("H6", "two tokens", "Authorization: Bearer {ann} {bob}"),
    *(
        malformed("H6", f"two tokens with {mark!r} between", f"Authorization: Bearer {{ann}}{mark}{{bob}}")
        for mark in (",", ";", "|", ", Bearer ", "\t")
    ),
    *(
        malformed("H6", f"a token in {a}{b}", f"Authorization: Bearer {a}{{ann}}{b}")
        for a, b in ('""', "''", "<>", "[]", "{}", "``")
    ),
    malformed("H6", "a parameter", 'Authorization: Bearer token="{ann}"'),
    malformed("H6", "a backslash", "Authorization: Bearer {ann}\\"),
    malformed("H6", "a no-break space", "Authorization: Bearer\u00a0{ann}"),
    *(malformed("H6", f"{mark} in a token", f"Authorization: Bearer {LONG}{mark}") for mark in "!#$&*?@^:()"),
]
ELSEWHERE = [
    malformed("H7", "a token in the query as well", GOOD, target="/refresh?access_token={ann}"),
    malformed("H7", "an empty one in the query as well", GOOD, target="/refresh?access_token="),
    malformed("H7", "a name alone in the query", GOOD, target="/refresh?access_token"),
    malformed("H7", "an encoded name in the query", GOOD, target="/refresh?access%5Ftoken={ann}"),
    malformed("H7", "behind another parameter", GOOD, target="/refresh?a=b&access_token={ann}"),
    malformed(
        "H7",
        "a token in a form as well",
        GOOD,
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: 14",
        body="access_token=x",
    ),
    malformed("H7", "a token in JSON as well", GOOD, JSON, "Content-Length: 20", body='{"access_token":"x"}'),
    malformed("H7", "an empty chunked body", GOOD, "Transfer-Encoding: chunked", body="0\r\n\r\n"),
    malformed("H8", "a token in the query only", target="/refresh?access_token={ann}"),
    malformed("H8", "two tokens in the query", target="/refresh?access_token={ann}&access_token={bob}"),
    malformed(
        "H8",
        "a token in a form only",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: 14",
        body="access_token=x",
    ),
    asks(
        "H8",
        "a token in a form that is posted",
        405,
        "method_not_allowed",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: 14",
        method="POST",
        body="access_token=x",
    ),
    missing("H8", "a token in a parameter of another name", target="/refresh?token={ann}"),
    missing("H8", "a token in the fragment", target="/refresh?#access_token={ann}"),
    missing("H8", "a token in a cookie", "Cookie: access_token={ann}"),
]
LENGTHS = [
    *(unknown("H9", f"{length} characters", (CANARY * 600)[:length]) for length in (1, 19, 20, 4095, 4096)),
    *(
        malformed("H9", f"{length} characters", f"Authorization: Bearer {(CANARY * 6000)[:length]}")
        for length in (4097, 5000, 8000, 8190, 8191, 20_000, 65_000)
    ),
    *(
        unparsable(
            "H10", f"{length} characters", "Authorization: Bearer " + "x" * length + CANARY, may_break=True
        )
        for length in (70_000, 300_000, 1_000_000)
    ),
    unparsable("H10", "a scheme of 70,000 characters", "Authorization: " + "B" * 70_000, may_break=True),
    unparsable("H10", "a cookie of 300,000 characters", GOOD, "Cookie: " + "c" * 300_000, may_break=True),
]
CONTROLS = [
    unparsable(
        "H11", f"0x{code:02x} in the token", b"Authorization: Bearer " + LONG.encode() + bytes([code]) + b"x"
    )
    for code in (0, 1, 7, 8, 11, 12, 14, 27, 31, 127)
] + [
    unparsable("H11", "a NUL before the scheme", b"Authorization: \0Bearer " + LONG.encode()),
    unparsable("H11", "a NUL in another header", GOOD, b"X-Note: a\0" + CANARY.encode()),
    unparsable("H11", "a NUL in a header's name", b"X-\0" + CANARY.encode() + b": a"),
]
NOT_ASCII = [
    *(
        malformed("H12", f"the token {word}", f"Authorization: Bearer {LONG}{word}")
        for word in ("żółć", "ключ", "鍵", "🔑", "e\u0301", "\u200b", "\u202e", "\ufeff", "\uff41\uff42")
    ),
    *(
        malformed("H13", f"the bytes {raw.hex()}", b"Authorization: Bearer " + LONG.encode() + raw)
        for raw in (
            b"\xff\xfe",
            b"\x80",
            b"\xa0",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xff" * 40,
        )
    ),
    malformed("H13", "a scheme of bytes above ASCII", b"Authorization: \xff\xfe {ann}"),
    malformed("H13", "bytes above ASCII alone", b"Authorization: \xff"),
]
LINES = [
    unparsable("H14", "a bare CR in the token", b"Authorization: Bearer " + LONG.encode() + b"\rX: y"),
    unparsable("H14", "a bare LF in the token", b"Authorization: Bearer " + LONG.encode() + b"\nX: y"),
    unparsable("H14", "a folded header", f"Authorization: Bearer {LONG}", " folded"),
    unparsable("H14", "a header folded with a tab", "Authorization: Bearer", f"\t{LONG}"),
    unparsable("H14", "two CR at the end", b"Authorization: Bearer " + LONG.encode() + b"\r"),
    unparsable("H14", "bare LF at every line", GOOD, ends=b"\n"),
    unparsable("H15", "a space before the colon", f"Authorization : Bearer {LONG}"),
    unparsable("H15", "a tab before the colon", f"Authorization\t: Bearer {LONG}"),
    unparsable("H15", "a space before the name", f" Authorization: Bearer {LONG}", host=""),
    unparsable("H15", "no colon", f"Authorization Bearer {LONG}"),
    unparsable("H15", "no name", f": Bearer {LONG}"),
    *(
        unparsable("H15", f"{mark} in a name", f"Authori{mark}zation: Bearer {LONG}")
        for mark in '@()[]{}<>/?=";,\\'
    ),
    unparsable("H15", "bytes above ASCII in a name", b"Authoriz\xe4tion: Bearer x"),
]
MANY = [
    good("H16", "a hundred headers", GOOD, *(f"X-{number}: y" for number in range(100))),
    *(
        unparsable(
            "H16", f"{count} headers", GOOD, *(f"X-{number}: y" for number in range(count)), may_break=True
        )
        for count in (200, 2_000, 20_000)
    ),
    unparsable("H16", "20,000 times the same header", GOOD, *["X: y"] * 20_000, may_break=True),
    unknown("H17", "a percent-encoded token", "%65yJhbGciOiJIUzI1NiJ9.e30.aaaaaaaaaaaaaaaaaaaaaa"),
    unknown("H17", "a percent-encoded NUL", f"{LONG}%00"),
    unknown("H17", "a percent-encoded line break", f"{LONG}%0d%0aX-Injected:%20y".replace(":", "%3A")),
]

CASES = [
    *ABSENT,
    *EMPTY,
    *REPEATED,
    *SCHEMES,
    *SPACES,
    *ELSEWHERE,
    *LENGTHS,
    *CONTROLS,
    *NOT_ASCII,
    *LINES,
    *MANY,
]
