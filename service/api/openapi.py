"""Describes the listeners as OpenAPI 3.1, from the same models and tables that do the work.

What a route's operation does not say is not described; nothing here is written by hand twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from service.api.errors import STATUS
from service.api.fields import USER_ID_PATTERN
from service.api.routes import ID, Operation, Route

Schema = dict[str, Any]

REF = "#/components/schemas/{model}"
PROBLEM = "Problem"

ALWAYS = ("malformed", "internal")
WITH_KEY = ("key_unknown", "scope_missing", "invalid", "keys_unavailable")
WITH_BODY = ("request_timeout", "too_large", "unsupported_media_type")

MEANS: dict[str, Schema] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "serviceAccount": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "a Kubernetes service account's projected token of the audience token-broker",
    },
    "certificate": {
        "type": "mutualTLS",
        "description": "a certificate with one of the callers' names among its alternative names",
    },
}

_ID_PARAMETER = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "the app's own user id, percent-encoded",
    "schema": {"type": "string", "pattern": f"^{USER_ID_PATTERN}$"},
}
_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "What went wrong (RFC 9457); `code` is stable, `detail` is for people",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "description": "always about:blank"},
        "title": {"type": "string", "description": "the status in words"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what happened, what it means, what to do"},
        "code": {"type": "string", "enum": sorted(STATUS)},
        "errors": {
            "type": "array",
            "description": "with the code invalid: each field or parameter that cannot be used, and why",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "accessToken": {"const": "", "description": "on the public listener only: what its callers look for"},
    },
}


def describe(title: str, description: str, routes: Iterable[Route], *means: str) -> Schema:
    """Return the OpenAPI document of the routes that have an operation.

    Any one of the `means`, which are names of MEANS, says who calls.
    """
    described = [(route, route.operation) for route in routes if route.operation is not None]
    paths: dict[str, Schema] = {}
    for route, operation in described:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": description},
        "paths": paths,
        "components": {
            "schemas": _schemas([operation for _, operation in described]),
            "securitySchemes": {name: MEANS[name] for name in means},
        },
        "security": [{name: []} for name in means],
    }


def _operation(route: Route, operation: Operation) -> Schema:
    described: Schema = {
        "summary": operation.summary,
        "operationId": f"{route.method.lower()}{route.path.replace(ID, 'id').replace('/', '_')}",
        "responses": _responses(operation),
    }
    if operation.anonymous:
        described["security"] = []
    if operation.scopes:
        described["description"] = f"Needs the scope {' or '.join(operation.scopes)}."
    if parameters := _parameters(route, operation):
        described["parameters"] = parameters
    if operation.body:
        content = {"application/json": {"schema": _any(operation)}}
        described["requestBody"] = {"required": not operation.body_optional, "content": content}
    return described


def _any(operation: Operation) -> Schema:
    refs = [_ref(model) for model in operation.body]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def _parameters(route: Route, operation: Operation) -> list[Schema]:
    if not operation.scopes:
        return []
    fields = _without_defaults(operation.query.model_json_schema(by_alias=True))["properties"]
    queries = [{"name": name, "in": "query", "schema": schema} for name, schema in fields.items()]
    return [_ID_PARAMETER, *queries] if ID in route.path else queries


def _responses(operation: Operation) -> Schema:
    responses: Schema = {}
    for status, (words, model) in operation.answers.items():
        content = {operation.media_type: {"schema": _ref(model) if model else {"type": "string"}}}
        responses[str(status)] = {"description": words} | ({} if status == 204 else {"content": content})  # noqa: PLR2004 - No Content
    by_status: dict[int, list[str]] = {}
    for code in _codes(operation):
        by_status.setdefault(STATUS[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        content = {"application/problem+json": {"schema": {"$ref": REF.format(model=PROBLEM)}}}
        responses[str(status)] = {"description": ", ".join(codes), "content": content}
    return responses


def _codes(operation: Operation) -> tuple[str, ...]:
    keyed = WITH_KEY if operation.scopes else ()
    bodied = WITH_BODY if operation.body else ()
    return tuple(dict.fromkeys((*ALWAYS, *keyed, *bodied, *operation.errors)))


def _ref(model: type[BaseModel]) -> Schema:
    return {"$ref": REF.format(model=model.__name__)}


def _schemas(operations: Iterable[Operation]) -> Schema:
    models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for operation in operations:
        models.update({(model, "validation"): None for model in operation.body})
        models.update({(model, "serialization"): None for _, model in operation.answers.values() if model})
    _, document = models_json_schema(list(models), ref_template=REF, by_alias=True)
    schemas: Schema = _without_defaults(document.get("$defs", {}))
    return schemas | {PROBLEM: _PROBLEM_SCHEMA}


def _without_defaults(schema: Any) -> Any:  # noqa: ANN401 - any part of a JSON schema
    """Drop defaults of null: they stand for absent fields, and null itself is refused."""
    if isinstance(schema, dict):
        absent = "default" in schema and schema["default"] is None
        return {
            key: _without_defaults(part) for key, part in schema.items() if not (key == "default" and absent)
        }
    if isinstance(schema, list):
        return [_without_defaults(part) for part in schema]
    return schema
