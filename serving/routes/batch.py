"""Asking for many scores at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from serving.bodies import RepeatedNameError, compressed, is_ndjson, json_of, parsed
from serving.bulk import chunks
from serving.contract import Answer, ChangeIn
from serving.moment import InputError, moment_of
from serving.problems import of_input, of_validation, problem
from serving.routes.operation import BODY_PROBLEMS, Context, Operation, query_of, shown
from serving.together import MOST as TOGETHER

MOST = {"none": 10_000, "full": 500}
"""Changes of one request, by how much is explained."""


class BatchIn(RootModel[list[ChangeIn]]):
    """The changes; or one a line, as ``application/x-ndjson``."""


class BatchQuery(BaseModel):
    """How much is explained: ``full`` as for one change, or ``none`` for numbers alone."""

    model_config = ConfigDict(hide_input_in_errors=True)

    explain: Literal["full", "none"] = "full"


class BatchItem(BaseModel):
    """What became of one change: its answer, or the problem with it."""

    answer: Answer | None = None
    problem: dict[str, Any] | None = None


class BatchOut(BaseModel):
    """What became of every change, in the order given."""

    items: list[BatchItem]


async def batch(context: Context, request: Request) -> Response:
    """``POST /v1/score/batch``: a list of neutral changes, or one a line."""
    explain = query_of(request, BatchQuery).explain
    lines = is_ndjson(request.headers.get("content-type"))
    content = await request.body()
    refusal, bodies = _lines(request, content) if lines else _list(request, content)
    if refusal is None and len(bodies) > MOST[explain]:
        fault = {"pointer": "", "detail": f"expected at most {MOST[explain]} changes"}
        refusal = problem("invalid", "there are too many changes", errors=[fault])
    if refusal is not None:
        return refusal
    items = await run_in_threadpool(_items, context, bodies, explain)
    if lines:
        text = b"".join(item.model_dump_json(exclude_none=True).encode() + b"\n" for item in items)
        return Response(text, media_type="application/x-ndjson")
    return shown(BatchOut(items=items))


def _list(request: Request, content: bytes) -> tuple[Response | None, Sequence[object]]:
    refusal, body = parsed(request.headers, content)
    if refusal is not None:
        return refusal, ()
    if not isinstance(body, list):
        fault = {"pointer": "", "detail": "expected a list of changes"}
        return problem("invalid", "1 field could not be understood", errors=[fault]), ()
    return None, body


def _lines(request: Request, content: bytes) -> tuple[Response | None, Sequence[object]]:
    """Every line's JSON, or the problem with the line."""
    if (packed := compressed(request.headers)) is not None:
        return packed, ()
    bodies: list[object] = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        if line.strip():
            try:
                bodies.append(json_of(line))
            except orjson.JSONDecodeError as error:
                detail = f"line {number}: {error.msg} at character {error.colno}"
                bodies.append(problem("broken-json", detail))
            except RepeatedNameError as error:
                bodies.append(problem("broken-json", f"line {number}: {error}"))
    return None, bodies


def _items(context: Context, bodies: Sequence[object], explain: str) -> list[BatchItem]:
    runtime, now = context.runtime, context.runtime.clock()
    read = [_change(body, now) for body in bodies]
    changes = [one for one in read if isinstance(one, ChangeIn)]
    if explain == "none":
        answers = [answer for part in chunks(changes) for answer in runtime.answers(part)]
    else:
        parts = chunks(changes, TOGETHER)
        answers = [answer for part in parts for answer in runtime.explained(part)]
    context.measures.counted(answers)
    given = iter(answers)
    return [
        BatchItem(answer=next(given))
        if isinstance(one, ChangeIn)
        else BatchItem(problem=orjson.loads(bytes(one.body)))
        for one in read
    ]


def _change(body: object, now: datetime) -> ChangeIn | Response:
    if isinstance(body, Response):
        return body
    try:
        change = ChangeIn.model_validate(body)
        moment_of(change, now)
    except ValidationError as error:
        return of_validation(error)
    except InputError as error:
        return of_input(error)
    return change


OPERATIONS = (
    Operation(
        name="score_batch",
        summary="Score many changes",
        method="POST",
        path="/v1/score/batch",
        permission="score",
        handler=batch,
        body=BatchIn,
        gives={200: ("What became of every change", BatchOut)},
        problems=BODY_PROBLEMS,
        parameters=(
            {
                "name": "explain",
                "in": "query",
                "schema": {"enum": ["full", "none"], "default": "full"},
                "description": "`none`: numbers alone, many times faster.",
            },
        ),
    ),
)
