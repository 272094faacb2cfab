"""Asking for scores, and reading one again."""

from __future__ import annotations

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from features.store import Store
from serving.bodies import parsed
from serving.contract import Answer, ChangeIn
from serving.moment import InputError
from serving.problems import of_input, of_validation, problem
from serving.routes.operation import BODY_PROBLEMS, Context, Operation, json, shown


async def score(context: Context, request: Request) -> Response:
    """``POST /v1/score``: one neutral change, bare."""
    refusal, body = parsed(request.headers, await request.body())
    if refusal is not None:
        return refusal
    try:
        change = ChangeIn.model_validate(body)
    except ValidationError as error:
        return of_validation(error)
    known = "caller" in request.scope.get("state", {})
    try:
        if known:
            answer = await context.together.answer(change)
        else:  # keys cannot be checked
            answer = await run_in_threadpool(
                context.measures.answered, context.runtime.unscored, change
            )
    except InputError as error:
        return of_input(error)
    return shown(answer)


async def again(context: Context, request: Request) -> Response:
    """``GET /v1/scores/{score_id}``: one answer as it was given."""

    def read(store: Store) -> Response:
        entry = store.journal_entry(request.path_params["score_id"])
        if entry is None or entry.kind != "score":
            return problem("not-found", "there is no score of this id")
        return json(entry.body["answer"])

    return await context.with_store(read)


OPERATIONS = (
    Operation(
        name="score",
        summary="Score one change",
        method="POST",
        path="/v1/score",
        permission="score",
        handler=score,
        body=ChangeIn,
        gives={200: ("The answer: scored, degraded or not_scored", Answer)},
        problems=BODY_PROBLEMS,
    ),
    Operation(
        name="score_again",
        summary="One answer as it was given",
        method="GET",
        path="/v1/scores/{score_id}",
        permission="read",
        handler=again,
        gives={200: ("The answer", Answer)},
        problems=("not-found",),
    ),
)
