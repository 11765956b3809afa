"""Says what is wrong with an answer: its status and code, its form, its headers, what it repeats."""

from __future__ import annotations

import json
from http import HTTPStatus

from tests.hostile.cases import CANARY

_EVERY = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_NEVER = ("Server", "X-Powered-By", "Set-Cookie", "Location", "Transfer-Encoding", "ETag", "Last-Modified")
_CHALLENGES = {
    "bearer_missing": (["Bearer"],),
    "bearer_malformed": (['Bearer error="invalid_request"'],),
    "token_unknown": (['Bearer error="invalid_token"'],),
    # Without a key there is nothing to say of it (RFC 6750, section 3.1).
    "key_unknown": (['Bearer error="invalid_token"'], ["Bearer"]),
    "scope_missing": (['Bearer error="insufficient_scope"'],),
}
_PROBLEM = {"type", "title", "status", "detail", "code"}


def complaints(case, answer, names):
    """Return what is wrong with the answer to a case; `names` are the town's."""
    if answer is None:
        return [] if case.status is None or case.may_break else [f"no answer, expected {case.status}"]
    found = [*headers(answer, case.origin), *_status(case, answer), *_lines(case, answer, names)]
    if not case.head:
        found += _body(case, answer, names)
    return found


def headers(answer, origin=None):
    """Yield which headers are missing, wrong or too many, whatever was asked."""
    for name, value in _EVERY.items():
        if answer.of(name) != [value]:
            yield f"{name} is {answer.of(name)}, expected {value}"
    for name in _NEVER:
        if answer.of(name):
            yield f"{name} is there: {answer.of(name)}"
    vary = {word.strip() for value in answer.of("Vary") for word in value.split(",")}
    if not {"Origin", "Authorization"} <= vary:
        yield f"Vary is {vary}"
    for name in ("Date", "Cross-Origin-Resource-Policy"):
        if len(answer.of(name)) != 1:
            yield f"{name} is {answer.of(name)}"
    if answer.of("Access-Control-Allow-Origin") != ([origin] if origin else []):
        yield f"allows the origin {answer.of('Access-Control-Allow-Origin')}, expected {origin}"
    if CANARY.encode() in answer.raw:
        yield "repeats what was sent"


def _status(case, answer):
    if case.status is None:
        yield f"got {answer.status}, expected the connection to end without an answer"
    elif answer.status != case.status:
        yield f"got {answer.status} {answer.body[:160]!r}, expected {case.status} {case.code or ''}"


def _lines(case, answer, names):
    sent = {f"{name}: {value}" for name, value in answer.headers}
    for wanted in case.has:
        if filled(wanted, names) not in sent:
            yield f"has no header {wanted}: {sorted(sent)}"
    for name in case.lacks:
        if answer.of(name):
            yield f"has a header {name}: {answer.of(name)}"


def _body(case, answer, names):
    for part in case.holds:
        if filled(part, names).encode() not in answer.body:
            yield f"the body lacks {part}: {answer.body[:200]!r}"
    if case.gives is not None:
        yield from _gives(names[f"{case.gives}.now"], answer)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        yield from _problem(case, answer)


def _gives(token, answer):
    try:
        given = json.loads(answer.body).get("accessToken")
    except ValueError:
        given = None
    if given != token:
        yield "does not give the current token"


def _problem(case, answer):
    """Yield how an error differs from the problem details it must be."""
    if answer.of("Content-Type") != ["application/problem+json"]:
        yield f"an error of the type {answer.of('Content-Type')}"
    try:
        body = json.loads(answer.body)
    except ValueError:
        yield f"an error that is no JSON: {answer.body[:80]!r}"
        return
    if case.code is not None and body.get("code") != case.code:
        yield f"got the code {body.get('code')}, expected {case.code}"
    expected = _PROBLEM | ({"accessToken"} if case.door == "public" else set())
    if set(body) - {"errors"} != expected or body.get("accessToken", "") != "":
        yield f"an error of the fields {sorted(body)}"
    phrase = HTTPStatus(answer.status).phrase
    if (body.get("status"), body.get("title"), body.get("type")) != (answer.status, phrase, "about:blank"):
        yield f"an error that says {body.get('status')} {body.get('title')} {body.get('type')}"
    if answer.of("WWW-Authenticate") not in _CHALLENGES.get(str(case.code), ([],)):
        yield f"challenges with {answer.of('WWW-Authenticate')}"
    if case.fields is not None and {one["field"] for one in body.get("errors", ())} != case.fields:
        yield f"names the fields {body.get('errors')}, expected {sorted(case.fields)}"


def filled(text, names):
    """Return the text with the town's names in place."""
    for name, value in names.items():
        text = text.replace("{" + name + "}", value)
    return text
