"""Makes docs/http.md from the OpenAPI documents that the service serves: `make docs`.

What belongs to no one call is in docs/http.md.in. Nothing of a call is written by hand.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from docs.forms import Schema, form, named, resolved, table
from docs.samples import answer_of, commands
from service.api.doors import Caller, ClientDoor, Doors
from service.api.errors import STATUS, problem
from service.api.openapi import PROBLEM
from service.api.serve import internal_ways
from service.api.waits import Waits
from service.broker.errors import BrokerError, UserUnknown

PAGE = Path(__file__).parent / "http.md"
SOURCE = Path(__file__).parent / "http.md.in"
PLACE = re.compile(r"\{\{(\w+)(?: (\w+))?\}\}")
RUN = "<!-- run by tests/docs/test_http_page.py -->"
DOCUMENTS = {
    "public": ("/openapi-public.json", "token"),
    "internal": ("/openapi.json", "key"),
    "observe": ("/openapi-observe.json", ""),
}
"""Each listener, in the page's order: where it is described, and the variable of what its callers show."""
_PROBLEM = problem(UserUnknown(), empty_token=False)
LONGEST_ANSWER = 6
"""An answer of more fields is shown once, with its shape."""


class _Nobody:
    """Stands for what a description needs to be given and never asks."""

    name, scopes, clients = "nobody", frozenset[str](), None


def documents() -> dict[str, Schema]:
    """Return what the service answers under DOCUMENTS, by listener, with every way of saying who calls."""
    nobody = cast("Any", _Nobody())
    doors = Doors(
        answers=nobody,
        users=nobody,
        overview=nobody,
        observer=nobody,
        readiness=nobody,
        render_metrics=bytes,
        clients=[ClientDoor("default")],
        api_keys=tuple,
        service_accounts=[cast("Caller", nobody)],
        certified=[cast("Caller", nobody)],
    )
    routes = {route.path: route for route in internal_ways(doors, Waits(nobody)).frame._router.routes}  # noqa: SLF001 - it has no other use
    return {
        listener: json.loads(asyncio.run(cast("Any", routes[path].handle(nobody))).body)
        for listener, (path, _) in DOCUMENTS.items()
    }


def render() -> str:
    """Return the whole page; fails when a document is left out."""
    described, text = documents(), SOURCE.read_text()
    if sorted(listener for what, listener in PLACE.findall(text) if what == "calls") != sorted(described):
        raise ValueError(f"{SOURCE.name} must have the calls of every listener once")
    return PLACE.sub(lambda place: _filled(place[1], place[2], described), text)


def _filled(what: str, listener: str, described: dict[str, Schema]) -> str:
    match what:
        case "calls":
            return _calls(listener, described)
        case "shapes":
            return _shapes(described)
        case "codes":
            return table([("code", "status", "meaning"), *_codes()])
    raise ValueError(f"nothing is known to put in place of {what}")


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a listener; `anchor` is what its heading is called in links."""

    listener: str
    document: Schema
    method: str
    path: str
    operation: Schema
    anchor: str

    @property
    def name(self) -> str:
        return f"`{self.method.upper()} {self.path}`"

    @property
    def scopes(self) -> str:
        needed = self.operation.get("description", "").removeprefix("Needs the scope ").rstrip(".")
        return " or ".join(f"`{scope}`" for scope in needed.split(" or ")) if needed else ""

    @property
    def shapes(self) -> Schema:
        shapes: Schema = self.document["components"]["schemas"]
        return shapes


def _all_calls(described: dict[str, Schema]) -> list[_Call]:
    """Return every call in the page's order: a heading that was there before is numbered in links."""
    calls: list[_Call] = []
    taken: Counter[str] = Counter()
    for listener in DOCUMENTS:
        for path, methods in described[listener]["paths"].items():
            for method, operation in methods.items():
                anchor = re.sub(r"[^\w\- ]", "", f"{method} {path}".lower()).replace(" ", "-")
                numbered = f"{anchor}-{taken[anchor]}" if taken[anchor] else anchor
                taken[anchor] += 1
                calls.append(_Call(listener, described[listener], method, path, operation, numbered))
    return calls


def _calls(listener: str, described: dict[str, Schema]) -> str:
    calls = [call for call in _all_calls(described) if call.listener == listener]
    rows = [
        (f"[{call.name}](#{call.anchor})", call.operation["summary"], call.scopes or "none") for call in calls
    ]
    secured = any(call.scopes for call in calls)
    index = [row if secured else row[:2] for row in (("call", "what it does", "scope"), *rows)]
    seen: dict[str, tuple[Schema, str]] = {}
    return "\n\n".join([table(index), *(_section(call, seen) for call in calls)])


def _section(call: _Call, seen: dict[str, tuple[Schema, str]]) -> str:
    parts = [f"### {call.name}", f"{call.operation['summary']}."]
    if call.scopes:
        parts.append(f"Needs the scope {call.scopes}.")
    if parameters := call.operation.get("parameters"):
        rows = [_parameter(one, call.shapes) for one in parameters]
        parts.append(table([("parameter", "in", "form", "meaning"), *rows]))
    parts += _bodies(call, seen)
    parts.append(table([("status", "body", "when"), *_answers(call)]))
    return "\n\n".join(parts + _example(call))


def _parameter(parameter: Schema, shapes: Schema) -> tuple[str, ...]:
    schema = parameter["schema"]
    words = parameter.get("description") or _words(schema)
    return f"`{parameter['name']}`", parameter["in"], form(schema, shapes), words


def _bodies(call: _Call, seen: dict[str, tuple[Schema, str]]) -> list[str]:
    if "requestBody" not in call.operation:
        return []
    schema = call.operation["requestBody"]["content"]["application/json"]["schema"]
    optional = "" if call.operation["requestBody"]["required"] else " It may be left out."
    parts = []
    for one in schema.get("anyOf", [schema]):
        shape = resolved(one, call.shapes)
        said = f"{shape['description'].rstrip('.')}.{optional}"
        parts.append(f"{'Body' if one is schema else 'A body'} (`{named(one)}`): {said}")
        if shape.get("properties"):
            parts.append(table([("field", "needed", "form", "meaning"), *_sent(shape, call, seen)]))
    return parts


def _sent(shape: Schema, call: _Call, seen: dict[str, tuple[Schema, str]]) -> list[tuple[str, ...]]:
    """Return a body's fields; those that an earlier call has just so are named in one row."""
    rows, again = [], []
    needed = shape.get("required", ())
    for name, schema in sorted(shape["properties"].items(), key=lambda field: field[0] not in needed):
        if name not in needed and seen.get(name, ({}, ""))[0] == schema:
            again.append(name)
            continue
        seen.setdefault(name, (schema, call.anchor))
        rows.append(
            (f"`{name}`", "yes" if name in needed else "no", form(schema, call.shapes), _words(schema))
        )
    if again:
        names = ", ".join(f"`{name}`" for name in again)
        rows.append((names, "no", f"as [above](#{seen[again[0]][1]})", ""))
    return rows


def _answers(call: _Call) -> list[tuple[str, ...]]:
    rows = []
    for status, answer in call.operation["responses"].items():
        media_type, content = next(iter(answer.get("content", {"": {}}).items()))
        shape, words = named(content.get("schema", {})), answer["description"]
        if shape == PROBLEM:
            words = ", ".join(f"`{code}`" for code in words.split(", "))
        body = f"[{shape}](#{shape.lower()})" if shape else f"`{media_type}`" if media_type else "none"
        rows.append((f"`{status}`", body, words))
    return rows


def _example(call: _Call) -> list[str]:
    where, who = call.listener, DOCUMENTS[call.listener][1]
    lines = commands(call.method, call.path, call.operation, call.document, where, who)
    parts = [f"{RUN}\n```sh\n{line}\n```" for line in lines]
    content = next(iter(call.operation["responses"].values())).get("content", {})
    shape = named(content.get("application/json", {}).get("schema", {}))
    if shape and _is_small(call.shapes[shape]):
        parts.append(f"```json\n{json.dumps(answer_of(shape, call.shapes))}\n```")
    return parts


def _is_small(shape: Schema) -> bool:
    return len(shape["properties"]) <= LONGEST_ANSWER and not any(_inside(shape))


def _inside(shape: Schema) -> list[str]:
    """Return the names of the schemas that a shape's fields refer to."""
    fields = shape["properties"].values()
    parts = [one for field in fields for one in (*field.get("anyOf", [field]), field.get("items", {}))]
    return [named(one) for one in parts if named(one)]


def _shapes(described: dict[str, Schema]) -> str:
    shapes: Schema = {}
    for document in described.values():
        shapes |= document["components"]["schemas"]
    sections: dict[str, str] = {}
    for document in described.values():
        for name in _answered(document):
            _show(name, shapes, sections)
    return "\n\n".join(sections.values())


def _answered(document: Schema) -> list[str]:
    """Return the shapes that answers have, in the order of the calls."""
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    answers = [answer for operation in operations for answer in operation["responses"].values()]
    contents = [content for answer in answers for content in answer.get("content", {}).values()]
    return [named(content["schema"]) for content in contents if named(content["schema"])]


def _show(name: str, shapes: Schema, sections: dict[str, str], *, inner: bool = False) -> None:
    """Describe a shape, and then those inside it, whose examples are parts of its own."""
    if name in sections:
        return
    shape = shapes[name]
    rows = [
        (f"`{field}`", form(schema, shapes), _words(schema)) for field, schema in shape["properties"].items()
    ]
    parts = [
        f"### {name}",
        f"{shape['description'].rstrip('.')}.",
        table([("field", "form", "meaning"), *rows]),
    ]
    within = [one for one in _inside(shape) if "properties" in shapes[one]]
    if name == PROBLEM or not (inner or _is_small(shape) or any(one in sections for one in within)):
        answer = answer_of(name, shapes) if name != PROBLEM else json.loads(_PROBLEM.body)
        parts.append(f"```json\n{json.dumps(answer, indent=2)}\n```")
    sections[name] = "\n\n".join(parts)
    for one in within:
        _show(one, shapes, sections, inner=True)


def _words(schema: Schema) -> str:
    return str(schema.get("description", "")).replace("|", "\\|")


def _codes() -> list[tuple[str, ...]]:
    """Return every code with its status and what is said of it: the words of the first error that has it."""
    words: dict[str, str] = {}
    for error in _errors(BrokerError):
        if "code" in vars(error):
            words.setdefault(error.code, (error.__doc__ or "").replace("|", "\\|"))
    return [(f"`{code}`", str(status), words[code]) for code, status in STATUS.items()]


def _errors(base: type[BrokerError]) -> list[type[BrokerError]]:
    return [error for direct in base.__subclasses__() for error in (direct, *_errors(direct))]
