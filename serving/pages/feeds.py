"""Addresses of feeds that a calendar keeps: each opens the schedule, for one person, and no more.

Whoever signs in with a key gets addresses that end with it. Whom a provider or a proxy signs in has
no key: on request one is made for their feeds alone, whose secret nobody is ever shown.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from features.store import Store
from serving.keys import Caller, create, holder_of
from serving.pages.desk import Desk
from serving.pages.session import FEED, issue
from serving.pages.site import caller_of, with_query

KINDS = ("ics", "atom", "json")
"""Forms of the schedule that a program may ask for."""


@dataclass(frozen=True)
class Feeds:
    """Where somebody's feeds are.

    Parameters
    ----------
    addresses : mapping of str to str
        Of each kind.
    kept : bool
        Whether a program can keep them; else they need the session of whoever looks.
    keyless : bool
        Whether whoever looks signed in without a key.
    """

    addresses: Mapping[str, str]
    kept: bool
    keyless: bool


def feeds_of(desk: Desk, store: Store, who: Caller | None, service: str) -> Feeds:
    """The feeds of whoever looks, of all services or of one."""
    now = desk.now
    own = None if who is None else holder_of(store, who.key_id, now=now)
    key_id = own.key_id if own is not None else None if who is None else _made(store, who, now)
    token = None if key_id is None else issue(desk.site.key, key_id, "feed", now=now)
    found = {kind: with_query(f"/schedule.{kind}", feed=token, service=service) for kind in KINDS}
    return Feeds(found, kept=token is not None, keyless=own is None)


async def open_feeds(desk: Desk, request: Request) -> Response:
    """``POST /feeds``: make addresses for somebody without a key; earlier ones of theirs end."""
    who = caller_of(request)

    def make() -> None:
        with desk.store() as store:
            if who is None or holder_of(store, who.key_id, now=desk.now) is not None:
                return
            now = desk.now
            while (old := _made(store, who, now)) is not None:
                store.keys.revoke(old, now=now)
            create(
                store,
                name=who.name,
                role="requester",
                now=now,
                expires_at=now + FEED,
                scopes=["read"],
                key_id=_mark(who) + secrets.token_hex(3),
            )

    await run_in_threadpool(make)
    return RedirectResponse("/schedule#feeds", 303)


def _mark(who: Caller) -> str:
    """How the ids of the keys begin that were made for somebody's feeds."""
    return f"feed-{hashlib.sha256(who.key_id.encode()).hexdigest()[:16]}-"


def _made(store: Store, who: Caller, now: datetime) -> str | None:
    """The live key of somebody's feeds."""
    own = [row["key_id"] for row in store.keys.all() if row["key_id"].startswith(_mark(who))]
    return next((key_id for key_id in own if holder_of(store, key_id, now=now) is not None), None)
