"""Request bodies before anything is done with them: JSON, and changes that can be understood."""

from __future__ import annotations

import codecs
from datetime import datetime

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from serving.contract import ChangeIn
from serving.moment import InputError, moment_of
from serving.problems import of_input, of_validation, problem

MOST_AT_ONCE = 200
"""Changes ``/score_bulk`` takes in one call."""

NATIVE = frozenset({"/score", "/score_bulk"})
"""Routes that BentoML itself reads the bodies of."""

_BULK: TypeAdapter[dict[str, list[ChangeIn]]] = TypeAdapter(dict[str, list[ChangeIn]])


def parsed(content_type: str | None, content: bytes) -> tuple[Response | None, object]:
    """The JSON of a body, or the problem with it."""
    kind = _kind(content_type)
    if kind != "application/json" and not kind.endswith("+json"):
        return problem("unsupported-media-type", "expected application/json"), None
    try:
        # RFC 8259 lets a reader ignore the mark that some editors and scripts put first.
        return None, orjson.loads(content.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError as error:
        return problem("broken-json", f"{error.msg} at character {error.pos}"), None


NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
"""Media types of one JSON value a line."""


def is_ndjson(content_type: str | None) -> bool:
    """Whether a body is declared as one JSON value a line."""
    return _kind(content_type) in NDJSON


def _kind(content_type: str | None) -> str:
    return (content_type or "application/json").partition(";")[0].strip().lower()


def native_problem(
    path: str, content_type: str | None, content: bytes, now: datetime
) -> Response | None:
    """What is wrong with the body of a native route; None for one that can be scored.

    BentoML answers bad bodies in a shape of its own, and some with a 500; none of them gets there.
    """
    refusal, body = parsed(content_type, content)
    if refusal is not None:
        return refusal
    try:
        if path == "/score":
            moment_of(ChangeIn.model_validate(body), now)
            return None
        if not isinstance(body, dict) or "changes" not in body:
            fault = {"pointer": "/changes", "detail": "this field is needed"}
            return problem("invalid", "1 field could not be understood", errors=[fault])
        changes = _BULK.validate_python({"changes": body["changes"]})["changes"]
        if len(changes) > MOST_AT_ONCE:
            fault = {"pointer": "/changes", "detail": f"expected at most {MOST_AT_ONCE} changes"}
            return problem("invalid", "1 field could not be understood", errors=[fault])
        for change in changes:
            moment_of(change, now)
    except ValidationError as error:
        return of_validation(error)
    except InputError as error:
        return of_input(error)
    return None
