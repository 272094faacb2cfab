"""Reading about changes: the queue, the schedule, and everything about one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from features import instants
from features.store import Store
from serving import decisions, feedback, outcomes, queue
from serving.contract import Answer
from serving.contrast import Against, ContrastOut, contrasted
from serving.problems import RefusedError
from serving.revisions import RevisionOut, revisions
from serving.routes.operation import Context, Operation, query_of, shown
from serving.values import Moment

MOST_SCORES = 50
"""Answers about one change that are given at once; a change has no more revisions than that."""

SCHEDULE_DAYS = 28


def _listed(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


class QueueQuery(BaseModel):
    """What of the queue is wanted."""

    model_config = ConfigDict(hide_input_in_errors=True)

    order: Literal["risk", "soonest"] = "risk"
    band: Annotated[tuple[queue.Band, ...], BeforeValidator(_listed)] = ()
    service: Annotated[str | None, Field(max_length=500)] = None
    team: Annotated[str | None, Field(max_length=500)] = None
    undecided: bool = False
    limit: Annotated[int, Field(ge=1, le=queue.MOST)] = queue.DEFAULT
    after: Annotated[str | None, Field(max_length=1000)] = None


class ScheduleQuery(BaseModel):
    """The span of the schedule; the next four weeks by default."""

    model_config = ConfigDict(hide_input_in_errors=True, populate_by_name=True)

    since: Annotated[Moment, Field(alias="from")] = None
    until: Annotated[Moment, Field(alias="to")] = None
    service: Annotated[str | None, Field(max_length=500)] = None
    limit: Annotated[int, Field(ge=1, le=queue.MOST)] = queue.MOST
    after: Annotated[str | None, Field(max_length=1000)] = None


class ContrastQuery(BaseModel):
    """What a change is compared with."""

    model_config = ConfigDict(hide_input_in_errors=True)

    against: Against = "average"


class CalendarOut(BaseModel):
    """A freeze, a blackout or a maintenance window; ``*`` is the whole organisation."""

    entry_id: str
    kind: str
    scope: str
    starts_at: datetime
    ends_at: datetime


class Schedule(BaseModel):
    """The changes planned in a span, soonest first, and the calendar over it."""

    since: datetime
    until: datetime
    items: list[queue.QueueEntry]
    calendar: list[CalendarOut]
    next: str | None


class EventOut(BaseModel):
    """What happened to a change."""

    kind: str
    occurred_at: datetime | None
    known_at: datetime
    code: str | None
    planned: bool | None


class LinkedOut(BaseModel):
    """An incident somebody or something named a change as the cause of."""

    incident_id: str
    source: str | None
    confidence: float | None
    priority: int | None
    short_description: str | None
    occurred_at: datetime | None


class OutcomeOut(BaseModel):
    """What followed a change as far as is known; ``undecided`` until its window has closed."""

    verdict: Literal["caused", "clean", "undecided"]
    events: list[EventOut]
    incidents: list[LinkedOut]


class ChangeOut(BaseModel):
    """Everything about one change: its scores and what moved between them (newest first),
    decisions, feedback and outcome.
    """

    change_id: str
    current: queue.QueueEntry
    scores: list[Answer]
    revisions: list[RevisionOut]
    decisions: decisions.Decisions
    feedback: list[dict[str, Any]]
    outcome: OutcomeOut


async def listed(context: Context, request: Request) -> Response:
    """``GET /v1/changes``: the queue."""
    asked = query_of(request, QueueQuery)
    wanted = queue.Wanted(
        order=asked.order,
        bands=asked.band,
        service=asked.service,
        team=asked.team,
        undecided=asked.undecided,
        limit=asked.limit,
        after=asked.after,
    )

    def read(store: Store) -> Response:
        found = queue.page(store, wanted, now=context.runtime.clock())
        return shown(found, headers=_next(request, found.next))

    return await context.with_store(read)


async def schedule(context: Context, request: Request) -> Response:
    """``GET /v1/schedule``: the changes planned in a span, and the calendar over it.

    Raises
    ------
    RefusedError
        422 if the span cannot be one.
    """
    asked = query_of(request, ScheduleQuery)
    since = asked.since or context.runtime.clock()
    until = asked.until or since + timedelta(days=SCHEDULE_DAYS)

    def read(store: Store) -> Response:
        if until <= since:
            raise RefusedError("invalid", "expected a moment after `from`", pointer="?to")
        wanted = queue.Wanted(
            order="soonest",
            service=asked.service,
            starts_from=since,
            starts_until=until,
            limit=asked.limit,
            after=asked.after,
        )
        found = queue.page(store, wanted, now=since)
        answer = Schedule(
            since=since,
            until=until,
            items=found.items,
            calendar=_calendar(store, since, until),
            next=found.next,
        )
        return shown(answer, headers=_next(request, found.next))

    return await context.with_store(read)


async def change(context: Context, request: Request) -> Response:
    """``GET /v1/changes/{change_id}``: everything about one change.

    Raises
    ------
    RefusedError
        404 if nothing is known of it.
    """
    change_id, now = request.path_params["change_id"], context.runtime.clock()

    def read(store: Store) -> Response:
        current = queue.entry(store, change_id)
        if current is None:
            raise RefusedError("not-found", "this change was never scored here")
        entries = [e for e in store.journal_entries(change_id=change_id) if e.kind == "score"]
        newest = entries[-MOST_SCORES:]
        scorer = context.runtime.scorer()
        verdict = None if scorer is None else scorer.outcome(change_id, now=now)
        registered = None if scorer is None else scorer.registered
        answer = ChangeOut(
            change_id=change_id,
            current=current,
            scores=[Answer.model_validate(entry.body["answer"]) for entry in newest[::-1]],
            revisions=revisions(newest, None if registered is None else registered.model.bands),
            decisions=decisions.read(store, change_id),
            feedback=feedback.read(store, change_id),
            outcome=OutcomeOut(
                verdict=verdict or "undecided",  # type: ignore[arg-type]
                **outcomes.followed(store, change_id),
            ),
        )
        return shown(answer)

    return await context.with_store(read)


async def contrast(context: Context, request: Request) -> Response:
    """``GET /v1/changes/{change_id}/contrast``: its last score against another.

    Raises
    ------
    RefusedError
        404 or 409 if there is nothing to compare.
    """
    asked, change_id = query_of(request, ContrastQuery), request.path_params["change_id"]
    scorer = await run_in_threadpool(context.runtime.scorer)

    def read(_store: Store) -> Response:
        if scorer is None:
            raise RefusedError("unavailable", "the store cannot be used")
        return shown(contrasted(scorer, change_id, asked.against))

    return await context.with_store(read)


def _calendar(store: Store, since: datetime, until: datetime) -> list[CalendarOut]:
    with store.review() as review:
        rows = review.calendar(instants.to_micros(since), instants.to_micros(until))
    moments = ("starts_at", "ends_at")
    return [
        CalendarOut(**{**row, **{name: instants.from_micros(row[name]) for name in moments}})
        for row in rows
    ]


def _next(request: Request, after: str | None) -> dict[str, str]:
    """The ``Link`` to the next page."""
    if after is None:
        return {}
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
    query = urlencode([*given, ("after", after)])
    return {"Link": f'<{request.url.path}?{query}>; rel="next"'}


def _parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


_MOMENT = {"type": "string", "format": "date-time"}
_PAGING = (
    _parameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": queue.MOST},
        "Entries of a page at most.",
    ),
    _parameter("after", {"type": "string", "maxLength": 1000}, "`next` of the page before."),
)
_SERVICE = _parameter("service", {"type": "string", "maxLength": 500}, "Only of this service.")

OPERATIONS = (
    Operation(
        name="queue",
        summary="Changes still to come, riskiest or soonest first",
        method="GET",
        path="/v1/changes",
        permission="read",
        handler=listed,
        gives={200: ("A page of the queue", queue.Queue)},
        problems=("invalid",),
        parameters=(
            _parameter(
                "order", {"enum": ["risk", "soonest"], "default": "risk"}, "What comes first."
            ),
            _parameter(
                "band",
                {"type": "array", "items": {"enum": ["low", "moderate", "high", "very_high"]}},
                "Only of these bands; several with commas or repeated.",
            ),
            _SERVICE,
            _parameter("team", {"type": "string", "maxLength": 500}, "Only of this team."),
            _parameter("undecided", {"type": "boolean"}, "Only what nobody has decided about."),
            *_PAGING,
        ),
    ),
    Operation(
        name="schedule",
        summary="The changes planned in a span, and the calendar over it",
        method="GET",
        path="/v1/schedule",
        permission="read",
        handler=schedule,
        gives={200: ("The schedule", Schedule)},
        problems=("invalid",),
        parameters=(
            _parameter("from", _MOMENT, "Start of the span; now by default."),
            _parameter("to", _MOMENT, "End of the span; four weeks later by default."),
            _SERVICE,
            *_PAGING,
        ),
    ),
    Operation(
        name="contrast",
        summary="The last score of a change against an average, an earlier or a similar one",
        method="GET",
        path="/v1/changes/{change_id}/contrast",
        permission="read",
        handler=contrast,
        gives={200: ("The two scores and what lies between them", ContrastOut)},
        problems=("invalid", "not-found"),
        parameters=(
            _parameter(
                "against",
                {"enum": ["average", "team", "revision", "similar"], "default": "average"},
                "An average change, an average normal change of its team, its own earlier "
                "revision, or a similar one that went well.",
            ),
        ),
    ),
    Operation(
        name="change",
        summary="Everything about one change: scores, decisions, feedback, outcome",
        method="GET",
        path="/v1/changes/{change_id}",
        permission="read",
        handler=change,
        gives={200: ("The change", ChangeOut)},
        problems=("not-found",),
    ),
)
