"""The pages as one ASGI application, mounted beside the contract."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.pages import (
    agenda_page,
    change_page,
    decide_page,
    feeds,
    record_page,
    schedule_page,
    sign_in,
    snapshot_page,
    trial_page,
)
from serving.pages.desk import Desk, UnreadableError
from serving.pages.door import Door, Headers
from serving.pages.faults import RETRY, Faults
from serving.pages.site import Site, static_digest, static_file
from serving.runtime import Runtime

Handler = Callable[[Desk, Request], Response | Awaitable[Response]]

ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/", agenda_page.agenda),
    ("GET", "/changes/{change_id:path}", change_page.change),
    ("POST", "/decisions", decide_page.decide),
    ("POST", "/views", decide_page.view),
    ("GET", "/track-record", record_page.track_record),
    ("GET", "/try", trial_page.form),
    ("POST", "/try", trial_page.trial),
    ("GET", "/schedule", schedule_page.schedule),
    ("POST", "/feeds", feeds.open_feeds),
    ("GET", "/schedule.ics", schedule_page.calendar),
    ("GET", "/schedule.atom", schedule_page.atom),
    ("GET", "/schedule.json", schedule_page.json),
    ("GET", "/agenda.csv", snapshot_page.live_csv),
    ("GET", "/snapshots", snapshot_page.listed),
    ("POST", "/snapshots", snapshot_page.freeze),
    ("GET", "/snapshots/{snapshot_id}", snapshot_page.snapshot),
    ("GET", "/snapshots/{snapshot_id}/agenda.csv", snapshot_page.frozen_csv),
    ("GET", "/sign-in", sign_in.form),
    ("POST", "/sign-in", sign_in.enter),
    ("POST", "/sign-out", sign_in.leave),
)
"""Method, path and handler of every page; who may look at it, the door says."""


def create_pages(runtime: Runtime) -> Starlette:
    """The pages over one worker's runtime."""
    site = Site(runtime)
    desk = Desk(site)
    routes = [
        Route(path, partial(handler, desk), methods=[method]) for method, path, handler in ROUTES
    ]
    routes.append(Route("/static/{digest}/{name}", static, methods=["GET"]))

    async def missing(request: Request, error: Exception) -> Response:
        status, headers = 404, None
        if isinstance(error, HTTPException):
            status, headers = error.status_code, error.headers
        said: dict[str, Any] = {"status": status, "headers": headers}
        if status == 400:
            return site.message(request, "unread.html", **said)
        return site.message(request, "missing.html", change_id=None, **said)

    async def unreadable(request: Request, _error: Exception) -> Response:
        return site.message(request, "closed.html", status=503, headers=RETRY)

    return Starlette(
        routes=routes,
        middleware=[
            Middleware(Headers),
            Middleware(GZipMiddleware, minimum_size=1_000, compresslevel=6),
            Middleware(Faults, site=site),
            Middleware(Door, site=site),
        ],
        exception_handlers={HTTPException: missing, UnreadableError: unreadable},
    )


async def static(request: Request) -> Response:
    """A static file; its address changes with its content, so it may be kept for good.

    Raises
    ------
    HTTPException
        404 if there is no such file, or it has another digest.
    """
    name = request.path_params["name"]
    try:
        content, kind = static_file(name)
    except KeyError:
        raise HTTPException(404) from None
    current = request.path_params["digest"] == static_digest()
    kept = "public, max-age=31536000, immutable" if current else "no-cache"
    return Response(content, headers={"Cache-Control": kept}, media_type=kind)
