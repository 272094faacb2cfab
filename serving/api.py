"""The ``/v1`` contract: a Starlette application, mounted in the BentoML service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from serving.access import BESIDE, Rule, Rules
from serving.measures import Measures
from serving.once import once
from serving.problems import of_status, problem
from serving.routes import OPERATIONS, about
from serving.routes.operation import AnsweredError, Context, Handler, json
from serving.runtime import Runtime
from serving.together import Together

UNLISTED: tuple[tuple[Rule, Handler], ...] = (
    (Rule(method="GET", path="/metrics", permission="inform"), about.metrics),
)
"""Routes that are ours but no part of the ``/v1`` contract."""

INDEX = Rule(method="GET", path="/v1", permission=None)

RULES = Rules(
    [INDEX, *BESIDE, *(rule for rule, _ in UNLISTED), *(each.rule for each in OPERATIONS)]
)
"""What the gate asks of the caller of any route."""

ROUTES = {
    **{each.summary: f"{each.method} {each.path}" for each in OPERATIONS},
    "health": "GET /livez, /readyz",
    "measures": "GET /metrics",
}
"""The index: what there is."""


def create_app(runtime: Runtime, measures: Measures, together: Together | None = None) -> Starlette:
    """The application over one worker's runtime."""
    context = Context(runtime, measures, together or Together(runtime, measures))
    routes = [Route("/v1", _index, methods=["GET"])]
    for operation in OPERATIONS:
        bound = _bound(context, operation.handler)
        if operation.method == "POST":
            bound = _once(context, bound)
        routes.append(Route(operation.starlette_path, bound, methods=[operation.method]))
    for rule, handler in UNLISTED:
        routes.append(Route(rule.path, _bound(context, handler), methods=[rule.method]))
    routes.append(Route("/{path:path}", _Nothing(), include_in_schema=False))
    return Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _refused,
            AnsweredError: _answered,
            Exception: _broken,  # the log gets it, too
        },
    )


def _bound(context: Context, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    return partial(handler, context)


def _once(
    context: Context, handle: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """The handler, which does a request with an ``Idempotency-Key`` only once."""

    async def answered(request: Request) -> Response:
        try:
            return await handle(request)
        except AnsweredError as error:
            return error.response

    async def handled(request: Request) -> Response:
        return await once(context.runtime, request, answered)

    return handled


async def _index(_request: Request) -> Response:
    return json({"service": "change-risk", "routes": ROUTES})


async def _refused(_request: Request, error: Exception) -> Response:
    return of_status(error.status_code if isinstance(error, HTTPException) else 503)


async def _answered(_request: Request, error: Exception) -> Response:
    return error.response if isinstance(error, AnsweredError) else of_status(503)


async def _broken(_request: Request, _error: Exception) -> Response:
    return problem("internal-error", "nobody thought of this; the service's log says what it was")


class _Nothing:
    """What no other route answers: of another method 405, else 404."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the problem."""
        await self._problem(scope["path"])(scope, receive, send)

    def _problem(self, path: str) -> Response:
        methods = RULES.methods(path)
        if methods:
            return of_status(405, headers={"Allow": ", ".join(methods)})
        return problem("not-found", "see /v1/openapi.json for what there is")
