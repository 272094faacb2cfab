"""Faults that nobody foresaw: the log has them, and whoever asked gets a page that says so."""

from __future__ import annotations

import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.pages.site import Site
from serving.problems import problem
from serving.tracing import trace_id

_log = logging.getLogger(__name__)

RETRY = {"Retry-After": "5"}


class Faults:
    """ASGI middleware: a fault becomes a page, or a problem for those who read none."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and answer in place of what fails before its answer has begun."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:  # whatever it is, whoever asked gets an answer
            _log.exception("a page could not be made")
            if begun or scope["type"] != "http":
                raise
            answer = await run_in_threadpool(self._answer, Request(scope), trace_id())
            await answer(scope, receive, send)

    def _answer(self, request: Request, trace: str | None) -> Response:
        accepted = request.headers.get("accept", "*/*")
        if not any(kind in accepted for kind in ("html", "*/*")):
            return problem("unavailable", "this could not be made; the log says why", headers=RETRY)
        try:
            return self._site.message(request, "fault.html", status=500, trace=trace)
        except Exception:  # noqa: BLE001 - the pages themselves are at fault
            _log.exception("not even the page that says so could be made")
            words = "Something went wrong here. Tell whoever runs the service."
            return PlainTextResponse(words, 500)
