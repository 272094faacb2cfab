"""The gate in front of every route: health, body size, keys and roles. Closed by default."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.store import StoreError
from serving import tracing
from serving.access import MAY, Rules
from serving.api import RULES
from serving.bodies import NATIVE, native_problem
from serving.keys import Caller
from serving.limiting import Limiter
from serving.pages.door import MISSING, is_page
from serving.presented import Callers
from serving.problems import problem
from serving.proxies import from_here, proxied
from serving.runtime import Runtime

_log = logging.getLogger(__name__)

ALWAYS_ANSWERED = "/v1/score"
"""Where a workflow gets an answer, though none with a score, even if keys cannot be checked."""


BATCH = "/v1/score/batch"
"""The one path that takes bodies of another size."""

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")


class Gate:
    """ASGI middleware.

    Parameters
    ----------
    app : ASGI application
    runtime : Runtime
    """

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self._app = app
        self._runtime = runtime
        self._callers = Callers(runtime)
        self._limiter = Limiter(runtime.settings.rate_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _lost(scope):
            scope = {**scope, "path": MISSING}  # its address stays in ``raw_path``
        told = {tracing.HEADER: tracing.begin(Headers(scope=scope).get(tracing.HEADER))}
        send = _telling(send, told)
        refusal = await self._refusal(scope, told)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        settings = self._runtime.settings
        batch = scope["path"] == BATCH
        limit = settings.max_batch_bytes if batch else settings.max_body_bytes
        try:
            body = await _whole(receive, limit)
        except ClientDisconnect:
            return  # whoever asked is gone; what came of the body is not what was meant
        if body is None:
            answer = problem("too-large", f"expected at most {limit} bytes")
            await answer(scope, receive, send)
            return
        if scope["path"] in NATIVE and scope["method"] == "POST":
            headers = Headers(scope=scope)
            wrong = native_problem(scope["path"], headers, body, self._runtime.clock())
            if wrong is not None:
                await wrong(scope, receive, send)
                return
        await self._app(scope, _replay(body, receive), send)

    async def _refusal(self, scope: Scope, told: dict[str, str]) -> Response | None:
        """Why a request goes no further; what its answer tells in headers is added to ``told``."""
        path = scope["path"]
        # No route's pattern matches a line's end, not even the one for what is not there; a NUL is
        # kept by no database, and some refuse to be asked for one.
        if "\n" in path or ("\0" in path and not is_page(path)):
            return problem("not-found", "see /v1/openapi.json for what there is")
        if path == "/readyz" and scope["method"] in ("GET", "HEAD"):
            return await run_in_threadpool(self._readiness)
        needed = RULES.needed(scope["method"], path)
        if needed is None or is_page(path):  # the pages have a door of their own
            return None
        try:
            who = await self._caller(scope)
        except StoreError as error:
            _log.error("keys cannot be checked: %s", error)
            if path == ALWAYS_ANSWERED:
                return None  # without a caller, so it will not be scored
            return problem("unavailable", "keys cannot be checked", headers={"Retry-After": "5"})
        if isinstance(who, Response):
            return who
        allowed, how = self._limiter.counted(who.key_id)
        told.update(how)
        if not allowed:
            return problem("too-many-requests", "wait as long as Retry-After says")
        if needed != Rules.ANY_KEY and needed not in who.permissions:
            narrowed = needed in MAY.get(who.role, ())
            whose = f"the scope of this key of the role {who.role} leaves out"
            whose = whose if narrowed else f"the role {who.role} may not use"
            return problem("forbidden", f"{whose} {path[:100]}")
        scope.setdefault("state", {})["caller"] = who
        return None

    async def _caller(self, scope: Scope) -> Caller | Response:
        """Who calls, by key, token or proxy; or why that is nobody.

        Raises
        ------
        StoreError
            If neither the store nor the provider's keys can be asked.
        """
        headers = Headers(scope=scope)
        presented = _presented(headers)
        if presented is not None:
            who = await run_in_threadpool(self._callers.of, presented)
            return who or _unauthorized("the key is unknown, expired or revoked")
        who = proxied(scope, self._runtime.settings.proxy_peers)
        if who is None:
            return _unauthorized("send the key as `Authorization: Bearer crk_…` or `X-API-Key`")
        if scope["method"] not in SAFE and not from_here(headers):
            return problem("forbidden", "the request does not come from our own pages")
        return who

    def _readiness(self) -> Response:
        ready, reason = self._runtime.ready()
        body = {"status": "ready" if ready else "not ready", "reason": reason}
        return Response(
            orjson.dumps(body), status_code=200 if ready else 503, media_type="application/json"
        )


def _lost(scope: Scope) -> bool:
    """Whether a browser without a key asks for what is neither a page nor the contract's.

    The pages' door answers: to people with a session that there is no such page, else with the
    way to the sign-in. Nothing else can be reached by it.
    """
    path, headers = scope["path"], Headers(scope=scope)
    return (
        scope["method"] in ("GET", "HEAD")
        and "text/html" in headers.get("accept", "")
        and not (is_page(path) or path.startswith("/v1") or RULES.methods(path))
        and _presented(headers) is None
    )


def _telling(send: Send, told: Mapping[str, str]) -> Send:
    """A send that adds headers to the answer."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in told.items():
                headers[name] = value
        await send(message)

    return with_headers


def _presented(headers: Headers) -> str | None:
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key") or None


def _unauthorized(detail: str) -> Response:
    return problem("unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


async def _whole(receive: Receive, limit: int) -> bytes | None:
    """The body, or None if it is longer than the limit. What is over is read and dropped, so that
    the client hears the answer instead of a reset, up to 64 times the limit.

    Raises
    ------
    ClientDisconnect
        If the client left before the end of it.
    """
    parts: list[bytes] = []
    total = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnect
        total += len(message.get("body", b""))
        if total <= limit:
            parts.append(message.get("body", b""))
        if not message.get("more_body") or total > 64 * limit:
            return None if total > limit else b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body once and then what follows it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
