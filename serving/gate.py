"""The gate in front of every route: health, body size, keys and roles. Closed by default."""

from __future__ import annotations

import logging

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.store import StoreError, StoreUnavailableError
from serving.access import Rules
from serving.api import RULES
from serving.bodies import NATIVE, native_problem
from serving.keys import Caller, caller
from serving.pages.door import is_page
from serving.problems import problem
from serving.runtime import Runtime

_log = logging.getLogger(__name__)

ALWAYS_ANSWERED = "/v1/score"
"""Where a workflow gets an answer, though none with a score, even if keys cannot be checked."""


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        limit = self._runtime.settings.max_body_bytes
        try:
            body = await _whole(receive, limit)
        except ClientDisconnect:
            return  # whoever asked is gone; what came of the body is not what was meant
        if body is None:
            answer = problem("too-large", f"expected at most {limit} bytes")
            await answer(scope, receive, send)
            return
        if scope["path"] in NATIVE and scope["method"] == "POST":
            kind = Headers(scope=scope).get("content-type")
            wrong = native_problem(scope["path"], kind, body, self._runtime.clock())
            if wrong is not None:
                await wrong(scope, receive, send)
                return
        await self._app(scope, _replay(body, receive), send)

    async def _refusal(self, scope: Scope) -> Response | None:
        path = scope["path"]
        if path == "/readyz" and scope["method"] in ("GET", "HEAD"):
            return await run_in_threadpool(self._readiness)
        needed = RULES.needed(scope["method"], path)
        if needed is None or is_page(path):  # the pages have a door of their own
            return None
        presented = _presented(Headers(scope=scope))
        if presented is None:
            return _unauthorized("send the key as `Authorization: Bearer crk_…` or `X-API-Key`")
        try:
            who = await run_in_threadpool(self._who, presented)
        except StoreError as error:
            _log.error("keys cannot be checked: %s", error)
            if path == ALWAYS_ANSWERED:
                return None  # without a caller, so it will not be scored
            return problem("unavailable", "keys cannot be checked", headers={"Retry-After": "5"})
        if who is None:
            return _unauthorized("the key is unknown, expired or revoked")
        if needed != Rules.ANY_KEY and needed not in who.permissions:
            return problem("forbidden", f"the role {who.role} may not use {path[:100]}")
        scope.setdefault("state", {})["caller"] = who
        return None

    def _who(self, presented: str) -> Caller | None:
        """Whose key it is.

        Raises
        ------
        StoreError
            If the store cannot be asked.
        """
        scorer = self._runtime.scorer()
        if scorer is None:
            raise StoreUnavailableError("the store is not open")
        return caller(scorer.store, presented, now=self._runtime.clock())

    def _readiness(self) -> Response:
        ready, reason = self._runtime.ready()
        body = {"status": "ready" if ready else "not ready", "reason": reason}
        return Response(
            orjson.dumps(body), status_code=200 if ready else 503, media_type="application/json"
        )


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
