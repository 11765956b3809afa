"""Shows the interface's description as one plain page: no script, nothing from another host."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import Any

import orjson

from service.api.answer import Answer, header_block
from service.api.openapi import Schema
from service.api.routes import Call, Handler

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:14px/1.4 ui-monospace,monospace}summary{cursor:pointer;padding:.3rem 0}"
    "pre{background:#8882;padding:1rem;overflow:auto}:root{color-scheme:light dark}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_POLICY = header_block(
    [
        (
            "Content-Security-Policy",
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'",
        )
    ]
)


def docs_page(documents: Sequence[Schema]) -> Handler:
    """Return a handler that shows these OpenAPI documents."""
    sections = "".join(_section(document) for document in documents)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Token broker</title>'
        f"<style>{STYLE}</style></head><body><h1>Token broker</h1>{sections}</body></html>"
    ).encode()

    async def answer(_: Call) -> Answer:
        return Answer(200, page, content_type="text/html; charset=utf-8", headers=CONTENT_POLICY)

    return answer


def document_file(document: Schema) -> Handler:
    """Return a handler that answers with an OpenAPI document."""
    body = orjson.dumps(document)

    async def answer(_: Call) -> Answer:
        return Answer(200, body)

    return answer


def _section(document: Schema) -> str:
    info = document["info"]
    calls = "".join(
        _call(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(
        f"<details><summary><code>{escape(name)}</code></summary>{_code(schema)}</details>"
        for name, schema in document["components"]["schemas"].items()
    )
    return (
        f"<h2>{escape(info['title'])}</h2><p>{escape(info['description'])}</p>{calls}<h3>Shapes</h3>{schemas}"
    )


def _call(method: str, path: str, operation: Schema) -> str:
    answers = "".join(
        f"<li><code>{status}</code> {escape(answer['description'])}</li>"
        for status, answer in operation["responses"].items()
    )
    needed = escape(operation.get("description", ""))
    details = {key: operation[key] for key in ("parameters", "requestBody") if key in operation}
    taken = _code(details) if details else ""
    return (
        f"<details><summary><code>{method.upper()} {escape(path)}</code> "
        f"{escape(operation['summary'])}</summary><p>{needed}</p><ul>{answers}</ul>{taken}</details>"
    )


def _code(value: Any) -> str:  # noqa: ANN401 - any part of a document
    return f"<pre>{escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())}</pre>"
