"""The agenda's page."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from features import instants
from serving import queue
from serving.pages.agenda import ORDERS, PAGE, PERIODS, Agenda, Filters, Row, make_agenda, week
from serving.pages.desk import Desk
from serving.pages.facts import freeze_of
from serving.pages.site import swaps
from serving.queue import Wanted

EVERYTHING = 100_000
"""More than a queue holds."""


def read_agenda(desk: Desk, filters: Filters) -> Agenda:
    """The agenda as it stands."""
    now = desk.now
    span = instants.to_micros(now), instants.to_micros(now + timedelta(days=filters.days))
    with desk.store() as store:
        entries = queue.page(store, Wanted(limit=EVERYTHING), now=now).items
        with store.review() as review:
            calendar = review.calendar(*span)
    return make_agenda(
        entries,
        [freeze for row in calendar if (freeze := freeze_of(row)) is not None],
        desk.site.times(),
        days=filters.days,
        bands=desk.bands,
        minutes=filters.minutes,
    )


def agenda(desk: Desk, request: Request) -> Response:
    """``GET /``: the changes to come, the riskiest first."""
    board = desk.site.runtime.board
    filters = Filters.of(request.query_params, board.minutes)
    found = read_agenda(desk, filters)
    rows = found.shown(filters)
    page, more = _page(rows, filters.after)
    meeting = board.next_meeting(desk.now)
    drawn, left_out = ("", 0) if filters.after else week(found, desk.site.times(), meeting)
    delegated = [row for row in page if not row.board]
    fold = filters.order == "highest" and len(rows) > 12
    return desk.site.render(
        request,
        "_agenda.html" if swaps(request) else "agenda.html",
        agenda=found,
        filters=filters,
        orders=ORDERS,
        periods=PERIODS,
        found=len(rows),
        minutes=any(row.minutes for row in page),
        short_of=_short_of(found, filters.minutes),
        board=[row for row in page if row.board],
        delegated=[row for row in delegated if not (fold and row.band == "low")],
        folded=[row for row in delegated if fold and row.band == "low"],
        counts={
            "board": sum(row.board for row in rows),
            "open": sum(row.board and not row.decision for row in rows),
            "delegated": sum(not row.board for row in rows),
        },
        more=more,
        page=PAGE,
        plan=drawn,
        left_out=left_out,
        meeting=meeting,
        noun=desk.noun(),
        problem=desk.problem,
        model=desk.registered,
    )


def _short_of(found: Agenda, minutes: int) -> int | None:
    """The minutes the board would need at least; None where it has them."""
    least = sum(row.minutes or 0 for row in found.rows)
    return least if least > minutes else None


def _page(rows: list[Row], after: str) -> tuple[list[Row], str | None]:
    """The rows after a change, and the change after which more follow."""
    first = next((n + 1 for n, row in enumerate(rows) if row.change_id == after), 0)
    page = rows[first : first + PAGE]
    return page, page[-1].change_id if first + PAGE < len(rows) else None
