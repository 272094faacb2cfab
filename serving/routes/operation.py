"""One route of the contract: its path, who may use it, what it takes and what it gives.

The application, the gate's rules and the OpenAPI document are all made from the same list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from features.store import Store, StoreError
from serving.access import Rule
from serving.bodies import parsed
from serving.keys import Caller
from serving.measures import Measures
from serving.problems import RefusedError, of_validation, problem
from serving.runtime import Runtime
from serving.together import Together

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Context:
    """What every handler works with."""

    runtime: Runtime
    measures: Measures
    together: Together

    async def with_store(self, work: Callable[[Store], Response]) -> Response:
        """Do something with the store in a thread; a 503 while it cannot be used."""
        scorer = await run_in_threadpool(self.runtime.scorer)
        if scorer is None:
            return problem("unavailable", "the store cannot be used", headers=RETRY)
        try:
            return await run_in_threadpool(work, scorer.store)
        except RefusedError as refused:
            return refused.response()
        except StoreError:
            return problem("unavailable", "the store cannot be used", headers=RETRY)


def caller_of(request: Request) -> Caller:
    """Who asks; the gate has let nobody else through."""
    who: Caller = request.scope["state"]["caller"]
    return who


async def body_of(request: Request, model: type[Model]) -> Model:
    """The request's body as a model.

    Raises
    ------
    AnsweredError
        If it is no JSON or cannot be understood.
    """
    refusal, body = parsed(request.headers, await request.body())
    if refusal is not None:
        raise AnsweredError(refusal)
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise AnsweredError(of_validation(error)) from error


def query_of(request: Request, model: type[Model]) -> Model:
    """The request's query as a model; a parameter given twice is a list.

    Raises
    ------
    AnsweredError
        If a parameter cannot be understood.
    """
    given: dict[str, object] = {}
    for name in request.query_params:
        values = request.query_params.getlist(name)
        if any("\0" in value for value in values):  # some databases refuse to be asked for one
            fault = {"parameter": name, "detail": "expected a text without NUL"}
            detail = "1 parameter could not be used"
            raise AnsweredError(problem("invalid", detail, errors=[fault]))
        given[name] = values[0] if len(values) == 1 else values
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise AnsweredError(of_validation(error, of="query")) from error


class AnsweredError(Exception):
    """A handler need not go on: the response is there already."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered")
        self.response = response


RETRY = {"Retry-After": "5"}

Handler = Callable[[Context, Request], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A route.

    Parameters
    ----------
    name : str
        Its ``operationId``.
    summary : str
        One line for the index and the document.
    path : str
        As OpenAPI writes it; ``change_id`` may hold slashes.
    permission : str or None
        One of ``serving.access.PERMISSIONS``; None for a route open to everybody.
    body : type, optional
        The model of the request's body.
    gives : mapping of int to (str, type or None)
        Description and model of the body for every status that is no problem.
    problems : tuple of str
        Kinds of problems beside those every route can answer with.
    parameters : tuple of mappings
        OpenAPI parameters beside those of the path.
    """

    name: str
    summary: str
    method: str
    path: str
    permission: str | None
    handler: Handler
    gives: Mapping[int, tuple[str, type[BaseModel] | None]]
    body: type[BaseModel] | None = None
    problems: tuple[str, ...] = ()
    parameters: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def starlette_path(self) -> str:
        """The path as Starlette writes it."""
        return self.path.replace("{change_id}", "{change_id:path}")

    @property
    def rule(self) -> Rule:
        """What the gate asks of a caller."""
        return Rule(method=self.method, path=self.starlette_path, permission=self.permission)


BODY_PROBLEMS = ("broken-json", "too-large", "unsupported-media-type", "invalid")
"""Kinds of problems of every route that reads a body."""


def shown(
    model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A model as a JSON response."""
    return Response(
        model.model_dump_json(),
        status_code=status,
        media_type="application/json",
        headers=dict(headers or {}),
    )


def json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(
        orjson.dumps(value, option=orjson.OPT_UTC_Z),
        status_code=status,
        media_type="application/json",
        headers=dict(headers or {}),
    )
