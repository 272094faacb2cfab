"""The door in front of every page: who is it, may they, and does the form come from here?

Closed by default: a path that no rule names needs a session, and gives a 404 to those who have one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.store import StoreError, StoreUnavailableError
from serving.keys import Caller
from serving.pages.faults import RETRY
from serving.pages.session import COOKIE, holder
from serving.pages.site import HEADERS, Site, address_of, swaps
from serving.presented import Callers
from serving.problems import problem
from serving.proxies import from_here, proxied

_log = logging.getLogger(__name__)

STATIC = "/static/"

OPEN = ("/sign-in", "/sign-out", STATIC)
"""Paths that need no session."""

FEEDS = ("/schedule.ics", "/schedule.atom", "/schedule.json")
"""What a feed's token in the address opens."""

MISSING = "/missing"
"""Where browsers are answered that ask for what nobody knows; no page is there."""

BEGINNINGS = ("/changes/", "/static/", "/schedule", "/snapshots")
PLACES = frozenset(
    {
        "/",
        "/agenda.csv",
        "/track-record",
        "/try",
        "/decisions",
        "/views",
        "/feeds",
        "/sign-in",
        "/sign-out",
        MISSING,
    }
)

NEEDED: Mapping[str, str] = {
    "/decisions": "decide",
    "/views": "decide",
    "/snapshots": "decide",
    "/try": "score",
}
"""The permission each form asks for; looking asks for ``read``."""


def is_page(path: str) -> bool:
    """Whether a path belongs to the pages."""
    return path in PLACES or path.startswith(BEGINNINGS)


class Headers:
    """ASGI middleware: the security headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the headers added."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class Door:
    """ASGI middleware: lets in those with a session."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site
        self._callers = Callers(site.runtime)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = await self._refusal(request)
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        path, unsafe = request.url.path, request.method not in ("GET", "HEAD")
        if unsafe and not _wanted(request):
            return problem("forbidden", "the form does not come from these pages")
        if path.startswith(STATIC):  # also where nobody can be known: the page that says so
            return None
        try:
            who = await run_in_threadpool(self._who, request)
        except StoreError as error:
            _log.error("sessions cannot be checked: %s", error)
            return self._closed(request)
        request.scope.setdefault("state", {})["caller"] = who
        if path.startswith(OPEN):
            return None
        if who is None:
            return self._sign_in(request)
        needed = NEEDED.get(path, "read") if unsafe else "read"
        if needed not in who.permissions:
            return self._site.message(
                request, "forbidden.html", status=403, role=who.role, unsafe=unsafe
            )
        if "\0" in path or any("\0" in said for said in request.query_params.values()):
            # No database keeps a NUL, and some refuse to be asked for one.
            return self._site.message(request, "missing.html", status=404, change_id=None)
        return None

    def _who(self, request: Request) -> Caller | None:
        kind, _, presented = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._callers.of(presented.strip())
        feed = request.query_params.get("feed") if request.url.path in FEEDS else None
        if feed is not None:
            return self._holder(feed, "feed")
        token = request.cookies.get(COOKIE)
        who = None if token is None else self._holder(token, "session")
        return who or proxied(request.scope, self._site.runtime.settings.proxy_peers)

    def _holder(self, token: str, purpose: str) -> Caller | None:
        runtime = self._site.runtime
        scorer = runtime.scorer()
        if scorer is None:
            raise StoreUnavailableError(runtime.ready()[1])
        return holder(self._site.key, token, purpose, scorer.store, now=runtime.clock())

    def _sign_in(self, request: Request) -> Response:
        """The way to the sign-in page; where a part of a page was asked for, that part says so."""
        ended = COOKIE in request.cookies
        if request.method not in ("GET", "HEAD") or swaps(request):
            return self._site.message(request, "ended.html", status=401, ended=ended)
        back = quote(address_of(request), safe="/")
        ended_words = "&ended=1" if ended else ""
        return RedirectResponse(f"/sign-in?next={back}{ended_words}", 303)

    def _closed(self, request: Request) -> Response:
        request.scope.setdefault("state", {})["caller"] = None
        return self._site.message(request, "closed.html", status=503, headers=RETRY)


def _wanted(request: Request) -> bool:
    """Whether an unsafe request is meant by who sends it.

    A program with a key in its header says nothing of pages. A browser may send a key or token that
    a proxy in front adds, so what it says of where the form comes from counts.
    """
    browser = any(name in request.headers for name in ("sec-fetch-site", "origin"))
    if request.headers.get("authorization") and not browser:
        return True
    return from_here(request.headers)
