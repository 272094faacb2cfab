"""The ``/v1`` contract: a Starlette application, mounted in the BentoML service."""

from __future__ import annotations

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from features.store import Store, StoreError
from serving.bodies import parsed
from serving.contract import ChangeIn
from serving.measures import Measures
from serving.moment import InputError
from serving.openapi import document
from serving.problems import of_input, of_status, of_validation, problem
from serving.runtime import Runtime

BESIDE = {
    "/score": "POST",
    "/score_bulk": "POST",
    "/livez": "GET, HEAD",
    "/healthz": "GET, HEAD",
    "/readyz": "GET, HEAD",
    "/schema.json": "GET, HEAD",
}
"""Routes that BentoML or the gate answers, and their methods; with others they arrive here."""

ROUTES = {
    "score a change": "POST /v1/score",
    "scores of a change": "GET /v1/changes/{change_id}",
    "one answer again": "GET /v1/scores/{score_id}",
    "the model": "GET /v1/model",
    "contract": "GET /v1/openapi.json",
    "health": "GET /livez, /readyz",
    "metrics": "GET /metrics",
}


def create_app(runtime: Runtime, measures: Measures) -> Starlette:
    """The application over one worker's runtime."""
    api = _Api(runtime, measures)
    routes = [
        Route("/", api.index, methods=["GET"]),
        Route("/v1/score", api.score, methods=["POST"]),
        Route("/v1/changes/{change_id:path}", api.change, methods=["GET"]),
        Route("/v1/scores/{score_id}", api.again, methods=["GET"]),
        Route("/v1/model", api.model, methods=["GET"]),
        Route("/v1/openapi.json", api.openapi, methods=["GET"]),
        Route("/metrics", api.metrics, methods=["GET"]),
        Route("/{path:path}", _Nothing(), include_in_schema=False),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused})


async def _refused(_request: Request, error: Exception) -> Response:
    return of_status(error.status_code if isinstance(error, HTTPException) else 503)


class _Nothing:
    """What no other route answers: of another method 405, else 404."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the problem."""
        await self._problem(scope)(scope, receive, send)

    def _problem(self, scope: Scope) -> Response:
        allowed = {
            method
            for route in scope["app"].routes[:-1]
            if isinstance(route, Route) and route.matches(scope)[0] is Match.PARTIAL
            for method in route.methods or ()
        }
        methods = ", ".join(sorted(allowed)) or BESIDE.get(scope["path"])
        if methods:
            return of_status(405, headers={"Allow": methods})
        return problem("not-found", "see /v1/openapi.json for what there is")


class _Api:
    """The routes' handlers."""

    def __init__(self, runtime: Runtime, measures: Measures) -> None:
        self._runtime = runtime
        self._measures = measures

    async def index(self, _request: Request) -> Response:
        return _json({"service": "change-risk", "routes": ROUTES})

    async def score(self, request: Request) -> Response:
        """``POST /v1/score``: one neutral change, bare."""
        kind = request.headers.get("content-type")
        refusal, body = parsed(kind, await request.body())
        if refusal is not None:
            return refusal
        try:
            change = ChangeIn.model_validate(body)
        except ValidationError as error:
            return of_validation(error)
        known = "caller" in request.scope.get("state", {})
        give = self._runtime.answer if known else self._runtime.unscored
        try:
            answer = await run_in_threadpool(self._measures.answered, give, change)
        except InputError as error:
            return of_input(error)
        return Response(answer.model_dump_json(), media_type="application/json")

    async def change(self, request: Request) -> Response:
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
            return _json({"change_id": change_id, "scores": scores[::-1]})

        return await self._reading(read)

    async def again(self, request: Request) -> Response:
        """``GET /v1/scores/{score_id}``: one answer as it was given."""

        def read(store: Store) -> Response:
            entry = store.journal_entry(request.path_params["score_id"])
            if entry is None or entry.kind != "score":
                return problem("not-found", "there is no score of this id")
            return _json(entry.body["answer"])

        return await self._reading(read)

    async def model(self, _request: Request) -> Response:
        """``GET /v1/model``: the model that scores, and how well it did."""
        scorer = await run_in_threadpool(self._runtime.scorer)
        if scorer is None or scorer.registered is None:
            return problem("unavailable", self._runtime.ready()[1], headers={"Retry-After": "5"})
        facts = scorer.registered.model.facts()
        shown = {k: v for k, v in facts.items() if k not in ("score_quantiles", "reference")}
        version = {"name": scorer.registered.name, "version": scorer.registered.version}
        return _json({**version, **shown})

    async def openapi(self, _request: Request) -> Response:
        return _json(document())

    async def metrics(self, _request: Request) -> Response:
        await run_in_threadpool(self._measures.observe, self._runtime)
        return Response(
            generate_latest(self._measures.registry),
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

    async def _reading(self, read: object) -> Response:
        scorer = await run_in_threadpool(self._runtime.scorer)
        if scorer is None:
            return problem("unavailable", "the journal cannot be read")
        try:
            return await run_in_threadpool(read, scorer.store)  # type: ignore[arg-type]
        except StoreError:
            return problem("unavailable", "the journal cannot be read")


def _json(value: object) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
