"""JSON bodies: media types, syntax, size."""

import gzip
import json

from tests.hostile.cases import CANARY, calls, invalid

NEW = {"id": "never", "email": "never@example.com", "name": "Never"}
RAW = json.dumps(NEW).encode()
MEDIA, MALFORMED = "unsupported_media_type", "malformed"


def kind(header, status=415, code=MEDIA, **more):
    return calls("H85", header[:60] or "no type", status, code, RAW, kind=header, **more)


def broken(row, what, body, **more):
    return calls(row, what, 400, MALFORMED, body if isinstance(body, bytes) else body.encode(), **more)


KINDS = [
    *(
        kind(f"Content-Type: {media}")
        for media in (
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/json5",
            "application/problem+json",
            "application/xml",
            "application/octet-stream",
            "*/*",
            "application/*",
            "json",
            "",
            "application",
            CANARY,
            "application/json; charset=bogus",
            "application/json; charset=utf-16",
            "application/json; charset=latin-1",
            "application/json; charset=",
            "application/json; boundary=x",
            "application/json, text/plain",
            "application/json text/plain",
            "\u0430pplication/json",
        )
    ),
    kind(""),
    kind("Content-Type: text/plain\r\nContent-Type: application/json", 400, MALFORMED, closed=True),
    *(
        kind(f"Content-Type: application/json\r\nContent-Encoding: {coding}")
        for coding in ("gzip", "deflate", "br", "zstd", "x", "gzip, identity")
    ),
    *(
        invalid("H85", media, {}, "id", "email", "name", kind=f"Content-Type: {media}")
        for media in (
            "application/json",
            "APPLICATION/JSON",
            "application/json;charset=UTF-8",
            'application/json; charset="utf-8"',
            "application/json ; charset=utf-8",
            "application/json;",
        )
    ),
]
SYNTAX = [
    calls("H86", "no body", 400, MALFORMED),
    *(
        broken("H86", what, body)
        for what, body in {
            "nothing": b"",
            "a space": b" ",
            "null": "null",
            "a list": "[]",
            "a list of users": f"[{json.dumps(NEW)}]",
            "a text": '"x"',
            "a number": "1",
            "true": "true",
            "a beginning": RAW[:-1],
            "an end": RAW[1:],
            "half a key": '{"id',
            "a brace": "{",
            "three braces": "{}}",
            "two objects": "{}{}",
            "a comma at the end": '{"id":"a",}',
            "a comma alone": "{,}",
            "single quotes": "{'id':'a'}",
            "a key without quotes": '{id:"a"}',
            "a comment": '{"id":"a"/*x*/}',
            "another comment": '// x\n{"id":"a"}',
            "no colon": '{"id" "a"}',
            "an assignment": '{"id"="a"}',
            "a prefix against hijacking": ")]}',\n{}",
            "a BOM": b"\xef\xbb\xbf" + RAW,
            "UTF-16": json.dumps(NEW).encode("utf-16"),
            "UTF-16 without a BOM": json.dumps(NEW).encode("utf-16-le"),
            "UTF-32": json.dumps(NEW).encode("utf-32"),
            "invalid UTF-8": b'{"id":"\xff\xfe"}',
            "an over-long encoding": b'{"id":"\xc0\xaf"}',
            "an encoded surrogate": b'{"id":"\xed\xa0\x80"}',
            "latin-1": '{"id":"\u00e9"}'.encode("latin-1"),
            "half a character": b'{"id":"\xe2\x82"}',
            "a form": "id=a&email=b",
            "XML": "<id>a</id>",
            "NUL": b"\0",
            "a NUL behind it": RAW + b"\0",
            "a line break in a text": b'{"id":"a\nb"}',
            "a tab in a text": b'{"id":"a\tb"}',
            "an escape of nothing": r'{"id":"\x41"}',
            "half an escape": r'{"id":"\u00"}',
            "gzip": gzip.compress(RAW),
            "only a number of 5,000 digits": "9" * 5000,
        }.items()
    ),
    calls("H86", "white space around it", 422, "invalid", b" \r\n\t{} \n"),
]
SIZES = [
    calls("H87", "17 KB of spaces", 413, "too_large", b" " * 17_000, closed=True),
    calls("H87", "16,385 bytes", 413, "too_large", RAW + b" " * (16_385 - len(RAW)), closed=True),
    calls(
        "H87",
        "100 KB of a text",
        413,
        "too_large",
        {**NEW, "bio": CANARY * 8000},
        closed=True,
        may_break=True,
    ),
    calls("H87", "2 MB", 413, "too_large", b" " * 2_000_000, closed=True, may_break=True),
    invalid("H87", "16,384 bytes", b"{}" + b" " * 16_382, "id", "email", "name"),
    calls(
        "H87",
        "a bomb",
        415,
        MEDIA,
        gzip.compress(b" " * 10_000_000),
        kind="Content-Type: application/json\r\nContent-Encoding: gzip",
    ),
    calls(
        "H87",
        "a length of 100 GB",
        413,
        "too_large",
        None,
        "Content-Length: 100000000000",
        "Content-Type: application/json",
        closed=True,
    ),
]
CASES = [*KINDS, *SYNTAX, *SIZES]
