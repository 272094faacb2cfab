"""One route of the contract: its path, who may use it, what it takes and what it gives.

The application, the gate's rules and the OpenAPI document are all made from the same list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from features.store import Store, StoreError
from serving.access import Rule
from serving.measures import Measures
from serving.problems import problem
from serving.runtime import Runtime


@dataclass(frozen=True)
class Context:
    """What every handler works with."""

    runtime: Runtime
    measures: Measures

    async def with_store(self, work: Callable[[Store], Response]) -> Response:
        """Do something with the store in a thread; a 503 while it cannot be used."""
        scorer = await run_in_threadpool(self.runtime.scorer)
        if scorer is None:
            return problem("unavailable", "the store cannot be used", headers=RETRY)
        try:
            return await run_in_threadpool(work, scorer.store)
        except StoreError:
            return problem("unavailable", "the store cannot be used", headers=RETRY)


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


def json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(
        orjson.dumps(value, option=orjson.OPT_UTC_Z),
        status_code=status,
        media_type="application/json",
        headers=dict(headers or {}),
    )
