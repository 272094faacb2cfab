"""Reading about changes: every answer given about one."""

from __future__ import annotations

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from features.store import Store
from serving.contract import Answer
from serving.problems import problem
from serving.routes.operation import Context, Operation, json


class Scores(BaseModel):
    """Every answer given about a change, newest first."""

    change_id: str
    scores: list[Answer]


async def change(context: Context, request: Request) -> Response:
    """``GET /v1/changes/{change_id}``: every answer given about a change, newest first."""
    change_id = request.path_params["change_id"]

    def read(store: Store) -> Response:
        scores = [
            entry.body["answer"]
            for entry in store.journal_entries(change_id=change_id)
            if entry.kind == "score"
        ]
        if not scores:
            return problem("not-found", "this change was never scored here")
        return json({"change_id": change_id, "scores": scores[::-1]})

    return await context.with_store(read)


OPERATIONS = (
    Operation(
        name="scores_of_change",
        summary="Every answer given about a change",
        method="GET",
        path="/v1/changes/{change_id}",
        permission="read",
        handler=change,
        gives={200: ("The answers", Scores)},
        problems=("not-found",),
    ),
)
