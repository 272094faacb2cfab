"""The contract as OpenAPI 3.1, derived from the types that carry it."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from serving.problems import MEDIA_TYPE, PROBLEMS
from serving.routes import OPERATIONS
from serving.routes.operation import Operation


class Fault(BaseModel):
    """One field or parameter of a request and what was expected of it."""

    pointer: str | None = None
    parameter: str | None = None
    detail: str


class Problem(BaseModel):
    """An RFC 9457 problem."""

    type: str
    title: str
    status: int
    detail: str
    trace_id: str | None = None
    errors: list[Fault] = []


ALWAYS = ("unauthorized", "forbidden", "too-many-requests", "unavailable")
"""Kinds of problems every route with a key can answer with."""

_ONCE = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Names this request: if it comes again within a day it is answered as before.",
}

_TEMPLATE = "#/components/schemas/{model}"


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    _, schemas = models_json_schema(_models(), ref_template=_TEMPLATE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "change-risk",
            "version": "1",
            "description": "How likely a planned IT change is to cause an incident, why, and what "
            "would lower it. The score advises; people decide.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key, crk_…"}
            },
        },
    }


def text() -> str:
    """The document as it is committed in ``docs/openapi.json``."""
    return json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return paths


def _described(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    named = re.findall(r"\{(\w+)\}", operation.path)
    parameters = [*map(_in_path, named), *operation.parameters]
    if operation.method == "POST":
        parameters.append(_ONCE)
    if parameters:
        found["parameters"] = parameters
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": _content(operation.body.__name__)}
    if operation.permission is None:
        found["security"] = []
    found["responses"] = {
        str(status): _answer(description, model)
        for status, (description, model) in operation.gives.items()
    }
    if operation.permission is not None:
        twice = ("invalid", "conflict") if operation.method == "POST" else ()
        found["responses"].update(_problems(*ALWAYS, *twice, *operation.problems))
    return found


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _content(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _TEMPLATE.format(model=name)}}}


def _answer(description: str, model: type[BaseModel] | None) -> dict[str, Any]:
    plain = {"application/json": {"schema": {"type": "object"}}}
    content = plain if model is None else _content(model.__name__)
    return {"description": description, "content": content}


def _problems(*kinds: str) -> dict[str, Any]:
    schema = {"$ref": _TEMPLATE.format(model="Problem")}
    return {
        str(PROBLEMS[kind][0]): {
            "description": PROBLEMS[kind][1],
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for kind in kinds
    }


def _models() -> list[tuple[type[BaseModel], JsonSchemaMode]]:
    """Every model of the contract, each once, with the direction it is used in."""
    found: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for operation in OPERATIONS:
        if operation.body is not None:
            found[operation.body, "validation"] = None
        for _, model in operation.gives.values():
            if model is not None:
                found[model, "serialization"] = None
    return [*found, (Problem, "serialization")]
