"""Trying a change before it is submitted: nothing is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from features.store import StoreError
from serving.contract import ChangeIn
from serving.pages import change as parts
from serving.pages.change_page import score_of
from serving.pages.desk import Desk, UnreadableError
from serving.pages.site import swaps

GROUPS = (
    (
        "What",
        (
            ("short_description", "Title", "wide"),
            ("change_type", "Type", "type"),
            ("category", "Category", "text"),
        ),
    ),
    (
        "Where",
        (
            ("ci", "Main item", "text"),
            ("service", "Service", "text"),
            ("assignment_group", "Team", "text"),
            ("affected_cis", "Further items, one a line", "lines"),
        ),
    ),
    (
        "When",
        (
            ("planned_start", "Start", "moment"),
            ("planned_end", "End", "moment"),
        ),
    ),
    (
        "Plans",
        (
            ("description", "Description", "area"),
            ("implementation_plan", "Implementation plan", "area"),
            ("backout_plan", "Backout plan", "area"),
            ("test_plan", "Test plan", "area"),
        ),
    ),
)
"""Name, label and kind of every field of the form, by what it asks for."""

FIELDS = tuple(field for _, fields in GROUPS for field in fields)

TYPES = ("normal", "standard", "emergency")

LONGEST = 8_000


def form(desk: Desk, request: Request) -> Response:
    """``GET /try``: the form; with a query, filled and scored."""
    said = {name: request.query_params.get(name, "")[:LONGEST] for name, _, _ in FIELDS}
    return _shown(desk, request, said) if any(said.values()) else _page(desk, request, said)


async def trial(desk: Desk, request: Request) -> Response:
    """``POST /try``: the score of what the form says."""
    async with request.form(max_files=0, max_fields=50) as given:
        said = {name: str(given.get(name, "")).strip()[:LONGEST] for name, _, _ in FIELDS}
    return await run_in_threadpool(_shown, desk, request, said)


def _shown(desk: Desk, request: Request, said: Mapping[str, str]) -> Response:
    try:
        change = _change(desk, said)
        answer = desk.scorer.consider(change, now=desk.now).model_dump(mode="json")
    except ValidationError as error:
        return _page(desk, request, said, status=422, faults=_faults(error))
    except StoreError as error:
        raise UnreadableError from error
    clock, bands = desk.site.times(), desk.bands
    levers, together = parts.lever_rows(answer, bands, clock)
    with desk.facts() as facts:
        rows, outcomes = parts.similar(answer, facts)
        crossing, _ = parts.collisions(answer, None, {}, facts, clock)
        result = {
            "answer": answer,
            "score": score_of(answer, desk),
            "means": desk.means(),
            "factors": parts.factor_table(answer, facts),
            "levers": levers,
            "together": together,
            "similar": rows,
            "outcomes": outcomes,
            "collisions": crossing,
        }
    return _page(desk, request, said, result=result)


def _faults(error: ValidationError) -> list[tuple[str, str]]:
    """Fields that could not be read, and what to give instead."""
    labels = {name: label for name, label, _ in FIELDS}
    found = dict.fromkeys(str(fault["loc"][0]) for fault in error.errors() if fault["loc"])
    return [
        (name, f"{labels[name]}: give a date and a time between 1970 and 2200.")
        for name in found
        if name in labels
    ]


def _page(
    desk: Desk,
    request: Request,
    said: Mapping[str, str],
    *,
    status: int = 200,
    result: Mapping[str, Any] | None = None,
    faults: Sequence[tuple[str, str]] = (),
) -> Response:
    return desk.site.render(
        request,
        "_trial.html" if swaps(request) else "try.html",
        status=status,
        groups=GROUPS,
        types=TYPES,
        said=said,
        result=result,
        faults=faults,
        problem=desk.problem,
    )


def _change(desk: Desk, said: Mapping[str, str]) -> ChangeIn:
    """The change a form describes; its times are on the board's clock.

    Raises
    ------
    ValidationError
        If a time cannot be read.
    """
    body: dict[str, Any] = {"change_id": "a change to try", "submitted_at": desk.now}
    for name, _, kind in FIELDS:
        text = said[name]
        if not text:
            continue
        if kind == "lines":
            body[name] = [line.strip() for line in text.splitlines() if line.strip()][:200]
        elif kind == "moment":
            body[name] = _moment(desk, text)
        else:
            body[name] = text
    return ChangeIn.model_validate(body)


def _moment(desk: Desk, text: str) -> str:
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return text
    if local.tzinfo is None:
        local = local.replace(tzinfo=desk.site.runtime.board.timezone)
    return local.isoformat()
