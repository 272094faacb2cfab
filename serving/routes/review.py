"""Saying something about a change: decisions, feedback, incidents, outcomes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from features.store import Store
from serving import decisions, feedback, outcomes
from serving.routes.operation import (
    BODY_PROBLEMS,
    Context,
    Operation,
    body_of,
    caller_of,
    shown,
)


async def decision(context: Context, request: Request) -> Response:
    """``GET /v1/changes/{change_id}/decision``: how it stands, with its ``ETag``."""

    def read(store: Store) -> Response:
        found = decisions.read(store, request.path_params["change_id"])
        return shown(found, headers={"ETag": found.etag})

    return await context.with_store(read)


async def decide(context: Context, request: Request) -> Response:
    """``POST /v1/changes/{change_id}/decision``: decide, or reopen."""
    asked = await body_of(request, decisions.DecisionIn)
    by, change_id = caller_of(request), request.path_params["change_id"]
    upon = request.headers.get("if-match")

    def record(store: Store) -> Response:
        now = context.runtime.clock()
        made = decisions.decide(store, change_id, asked, by, now=now, if_match=upon)
        etag = decisions.read(store, change_id).etag
        return shown(made, 201, headers={"ETag": etag})

    return await context.with_store(record)


async def judge(context: Context, request: Request) -> Response:
    """``POST /v1/changes/{change_id}/feedback``: say how a score looks."""
    said, by = await body_of(request, feedback.FeedbackIn), caller_of(request)
    change_id = request.path_params["change_id"]

    def record(store: Store) -> Response:
        given = feedback.give(store, change_id, said, by, now=context.runtime.clock())
        return shown(given, 201)

    return await context.with_store(record)


async def incident(context: Context, request: Request) -> Response:
    """``POST /v1/incidents``: report an incident and what caused it."""
    said, by = await body_of(request, outcomes.IncidentIn), caller_of(request)

    def record(store: Store) -> Response:
        taken = outcomes.report_incident(store, said, by, now=context.runtime.clock())
        return shown(taken, 201 if taken.recorded else 200)

    return await context.with_store(record)


async def outcome(context: Context, request: Request) -> Response:
    """``POST /v1/changes/{change_id}/outcome``: report what happened to a change."""
    said, by = await body_of(request, outcomes.OutcomeIn), caller_of(request)
    change_id = request.path_params["change_id"]

    def record(store: Store) -> Response:
        now = context.runtime.clock()
        taken = outcomes.report_outcome(store, change_id, said, by, now=now)
        return shown(taken, 201 if taken.recorded else 200)

    return await context.with_store(record)


_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The ETag of the state the decision was made upon. Only the first decision "
    "about a change may come without.",
}
_TAKEN = {
    201: ("What was taken into the history", outcomes.Taken),
    200: ("All of it was on record already", outcomes.Taken),
}

OPERATIONS = (
    Operation(
        name="decision",
        summary="How it stands with the decision about a change",
        method="GET",
        path="/v1/changes/{change_id}/decision",
        permission="read",
        handler=decision,
        gives={200: ("The decision that stands, and all there were", decisions.Decisions)},
        problems=("not-found",),
    ),
    Operation(
        name="decide",
        summary="Decide about a change, or reopen its decision",
        method="POST",
        path="/v1/changes/{change_id}/decision",
        permission="decide",
        handler=decide,
        body=decisions.DecisionIn,
        gives={201: ("The decision as recorded", decisions.Decision)},
        problems=(*BODY_PROBLEMS, "not-found", "conflict", "stale", "precondition-required"),
        parameters=(_IF_MATCH,),
    ),
    Operation(
        name="give_feedback",
        summary="Say how a score looks",
        method="POST",
        path="/v1/changes/{change_id}/feedback",
        permission="judge",
        handler=judge,
        body=feedback.FeedbackIn,
        gives={201: ("The feedback as recorded", feedback.Feedback)},
        problems=(*BODY_PROBLEMS, "not-found"),
    ),
    Operation(
        name="report_outcome",
        summary="Report that a change started, was closed or was backed out",
        method="POST",
        path="/v1/changes/{change_id}/outcome",
        permission="record",
        handler=outcome,
        body=outcomes.OutcomeIn,
        gives=_TAKEN,
        problems=(*BODY_PROBLEMS, "not-found"),
    ),
    Operation(
        name="report_incident",
        summary="Report an incident, and the changes that caused it",
        method="POST",
        path="/v1/incidents",
        permission="record",
        handler=incident,
        body=outcomes.IncidentIn,
        gives=_TAKEN,
        problems=BODY_PROBLEMS,
    ),
)
