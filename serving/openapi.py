"""The contract as OpenAPI 3.1, derived from the types that carry it."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.contract import Answer, ChangeIn
from serving.problems import MEDIA_TYPE, PROBLEMS


class Fault(BaseModel):
    """One field of a request and what was expected of it."""

    pointer: str
    detail: str


class Problem(BaseModel):
    """An RFC 9457 problem."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] = []


class Scores(BaseModel):
    """Every answer given about a change, newest first."""

    change_id: str
    scores: list[Answer]


_TEMPLATE = "#/components/schemas/{model}"


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    _, schemas = models_json_schema(
        [(ChangeIn, "validation"), (Answer, "serialization"), (Scores, "serialization"),
         (Problem, "serialization")],
        ref_template=_TEMPLATE,
    )  # fmt: skip
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


def _paths() -> dict[str, Any]:
    name = {"in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "/v1/score": {
            "post": {
                "operationId": "score",
                "summary": "Score one change",
                "requestBody": {"required": True, "content": _content("ChangeIn")},
                "responses": {
                    "200": _answer("The answer: scored, degraded or not_scored", "Answer"),
                    **_problems("broken-json", "too-large", "unsupported-media-type", "invalid"),
                },
            }
        },
        "/v1/changes/{change_id}": {
            "get": {
                "operationId": "scores_of_change",
                "summary": "Every answer given about a change",
                "parameters": [{"name": "change_id", **name}],
                "responses": {"200": _answer("The answers", "Scores"), **_problems("not-found")},
            }
        },
        "/v1/scores/{score_id}": {
            "get": {
                "operationId": "score_again",
                "summary": "One answer as it was given",
                "parameters": [{"name": "score_id", **name}],
                "responses": {"200": _answer("The answer", "Answer"), **_problems("not-found")},
            }
        },
        "/v1/model": {
            "get": {
                "operationId": "model",
                "summary": "The model that scores, and how well it did",
                "responses": {
                    "200": {
                        "description": "Facts of the model",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    **_problems(),
                },
            }
        },
        "/v1/openapi.json": {
            "get": {
                "operationId": "openapi",
                "summary": "This document",
                "security": [],
                "responses": {
                    "200": {
                        "description": "The contract",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            }
        },
    }


def _content(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _TEMPLATE.format(model=name)}}}


def _answer(description: str, name: str) -> dict[str, Any]:
    return {"description": description, "content": _content(name)}


def _problems(*kinds: str) -> dict[str, Any]:
    schema = {"$ref": _TEMPLATE.format(model="Problem")}
    return {
        str(PROBLEMS[kind][0]): {
            "description": PROBLEMS[kind][1],
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for kind in ("unauthorized", "forbidden", "unavailable", *kinds)
    }
