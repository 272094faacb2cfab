"""Reading about the service itself: its model, its contract, its measures."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from serving.problems import problem
from serving.routes.operation import RETRY, Context, Operation, json


async def model(context: Context, _request: Request) -> Response:
    """``GET /v1/model``: the model that scores, and how well it did."""
    runtime = context.runtime
    scorer = await run_in_threadpool(runtime.scorer)
    if scorer is None or scorer.registered is None:
        return problem("unavailable", runtime.ready()[1], headers=RETRY)
    facts = scorer.registered.model.facts()
    shown = {k: v for k, v in facts.items() if k not in ("score_quantiles", "reference")}
    version = {"name": scorer.registered.name, "version": scorer.registered.version}
    return json({**version, **shown})


async def openapi(_context: Context, _request: Request) -> Response:
    """``GET /v1/openapi.json``: the contract."""
    from serving.openapi import document  # it is made of all routes, this one among them

    return json(document())


async def metrics(context: Context, _request: Request) -> Response:
    """``GET /metrics``: measures for Prometheus."""
    await run_in_threadpool(context.measures.observe, context.runtime)
    shown = await run_in_threadpool(context.measures.shown)
    return Response(shown, headers={"Content-Type": CONTENT_TYPE_LATEST})


OPERATIONS = (
    Operation(
        name="model",
        summary="The model that scores, and how well it did",
        method="GET",
        path="/v1/model",
        permission="inform",
        handler=model,
        gives={200: ("Facts of the model", None)},
    ),
    Operation(
        name="openapi",
        summary="This document",
        method="GET",
        path="/v1/openapi.json",
        permission=None,
        handler=openapi,
        gives={200: ("The contract", None)},
    ),
)
