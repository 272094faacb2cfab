"""Signing in with a key, and out again."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from features.store import StoreError
from serving.keys import Caller, caller
from serving.pages.desk import Desk, UnreadableError
from serving.pages.session import COOKIE, SESSION, holder, issue

LONGEST = 200
"""Characters of a key worth looking at."""


def form(desk: Desk, request: Request) -> Response:
    """``GET /sign-in``: the form; with a link's token, straight in."""
    token = request.query_params.get("link")
    if token:
        with desk.store() as store:
            who = holder(desk.site.key, token, "link", store, now=desk.now)
        if who is not None:
            return _entered(desk, request, who, "/")
        fault = "This link does not work any more. Sign in with a key."
        return _form(desk, request, fault=fault, status=401)
    return _form(desk, request)


async def enter(desk: Desk, request: Request) -> Response:
    """``POST /sign-in``: a key for a session.

    Raises
    ------
    UnreadableError
        If the store cannot be read now.
    """
    async with request.form(max_files=0, max_fields=5) as given:
        presented, back = str(given.get("key", "")), str(given.get("next", ""))

    def check() -> Caller | None:
        try:
            return caller(desk.scorer.store, presented.strip()[:LONGEST], now=desk.now)
        except StoreError as error:
            raise UnreadableError from error

    who = await run_in_threadpool(check)
    if who is None:
        fault = "This key is unknown, has expired or was revoked."
        return await run_in_threadpool(_form, desk, request, fault, back, 422)
    if who.role == "service":
        fault = "This key belongs to a machine. Ask for one of your own."
        return await run_in_threadpool(_form, desk, request, fault, back, 422)
    return _entered(desk, request, who, back)


async def leave(_desk: Desk, _request: Request) -> Response:
    """``POST /sign-out``: the end of the session."""
    gone = RedirectResponse("/sign-in", 303)
    gone.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return gone


def _entered(desk: Desk, request: Request, who: Caller, back: str) -> Response:
    entered = RedirectResponse(_inside(back), 303)
    entered.set_cookie(
        COOKIE,
        issue(desk.site.key, who.key_id, "session", now=desk.now),
        max_age=int(SESSION.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return entered


def _inside(address: str) -> str:
    """A place on these pages; the agenda for what is none."""
    plain = all(" " < letter < "\x7f" for letter in address) and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"


def _form(
    desk: Desk, request: Request, fault: str = "", back: str = "", status: int = 200
) -> Response:
    return desk.site.render(
        request,
        "sign_in.html",
        status=status,
        back=back or request.query_params.get("next", ""),
        fault=fault,
        ended=request.query_params.get("ended") == "1",
    )
